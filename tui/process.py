"""Settings of a process that replicates for weeks beside an application: flat memory, and threads that take turns.

glibc gives each thread an arena of its own and keeps in it whatever was freed there; with a dozen threads that take
turns at large buffers, what is resident goes up and down and grows for hours. And Python lets a thread compute for
5 ms before another may go on, which is how long a writer would wait for a checkpoint that has just ended.
"""

import ctypes
import sys

ARENAS_MAX = 2
_M_ARENA_MAX = -8  # of mallopt(3)
SWITCH_SECONDS = 0.001


def settle() -> None:
    """Call it before threads are started; it cannot fail. Without glibc nothing is done about arenas."""
    sys.setswitchinterval(SWITCH_SECONDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS_MAX)

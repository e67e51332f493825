"""Memory of a program that runs for weeks: few arenas, so that what one thread frees another can use.

glibc gives each thread an arena of its own and keeps in it whatever was freed there; with a dozen threads that take
turns at large buffers, what is resident goes up and down and grows for hours. Without glibc nothing is done.
"""

import ctypes

ARENAS_MAX = 2
_M_ARENA_MAX = -8  # of mallopt(3)


def limit_arenas() -> None:
    """Call it before threads are started; it cannot fail."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS_MAX)

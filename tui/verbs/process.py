"""Settings of a process that replicates for weeks beside an application: memory, threads that take turns, descriptors.

glibc gives each thread an arena of its own and keeps in it whatever was freed there; with a dozen threads that take
turns at large buffers, what is resident goes up and down and grows for hours. And Python lets a thread compute for
5 ms before another may go on, which is how long a writer would wait for a checkpoint that has just ended.
systemd lets a process open 1,024 files, since select() knows no more, and half a million if the process asks for it.
"""

import ctypes
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ARENAS_MAX = 2
_M_ARENA_MAX = -8  # of mallopt(3)
SWITCH_SECONDS = 0.001
DESCRIPTORS_WANTED = 1 << 20
"""Descriptors that are asked for, or as many as the hard limit allows."""
_inherited: list[tuple[int, int]] = []
"""The limits on descriptors before they were raised."""


def settle() -> None:
    """Call it before threads are started; it cannot fail. Without glibc nothing is done about arenas."""
    sys.setswitchinterval(SWITCH_SECONDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS_MAX)
    _raise_limit_of_descriptors()


@contextmanager
def descriptors_as_inherited() -> Iterator[None]:
    """A block in which a program may be started that is to have the limits that we were given."""
    raised = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _inherited:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_inherited[0][0], raised[1]), raised[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, raised)


def _raise_limit_of_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            _inherited[:] = [(soft, hard)]

"""Ports for a server of ours, and a server that never outlives who started it."""

import ctypes
import random
import signal
import socket
import sys

_PORTS = range(20_000, 32_000)
"""Below the ports of outgoing connections, so that none of these takes one that is about to be used."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here, since little may be done between fork and exec


def free_ports(count: int, pair_distance: int = 0) -> list[int]:
    """Ports nobody listens on. With a `pair_distance`, the port so far above the first one is free as well."""
    found: list[int] = []
    while len(found) < count:
        # The partner must be in the range too, and nobody else's.
        distance = 0 if found else pair_distance
        port = random.choice(_PORTS[: len(_PORTS) - distance])
        taken = {*found, *(found[:1] and [found[0] + pair_distance])}
        if port not in taken and _is_free(port) and _is_free(port + distance):
            found.append(port)
    return found


def die_with_parent() -> None:
    """For `preexec_fn`: on Linux the kernel ends the process when the thread that started it ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

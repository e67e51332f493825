"""The bytes of a configuration, which may come through a pipe: `-config <(…)`.

Its promise: nobody waits for ever. A pipe that nobody writes to would hold up the reload of an engine, and each one
that is asked for after that.
"""

import os
import select
import stat
import time
from pathlib import Path

READ_SECONDS_MAX = 10.0
"""How long a pipe or a terminal may take to say what it has to."""
_CHUNK_BYTES = 1 << 16


def read_some(path: Path, bytes_max: int) -> bytes:
    """What is there, or more than `bytes_max` bytes of it. Raises OSError, or ValueError for no path."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
        deadline = time.monotonic() + READ_SECONDS_MAX
        found = bytearray()
        while len(found) <= bytes_max:
            if waits:
                _wait(descriptor, deadline)
            try:
                piece = os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not piece:
                break
            found += piece
        return bytes(found)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, deadline: float) -> None:
    """Wait until there is something to read, or the end. Raises TimeoutError."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError(0, f"it is a pipe or a terminal, and nobody wrote all of it within {READ_SECONDS_MAX:g} s")

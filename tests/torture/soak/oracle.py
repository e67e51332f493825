"""The oracle of one database of the long run: every state that it had, read from the writer's file as it grows."""

import hashlib
import time
from bisect import bisect_right
from pathlib import Path

PATIENCE_SECONDS = 2.0
"""A commit can be replicated, and restored, before the writer has told of it."""


class Oracle:
    """States by number, from 0."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._numbers: dict[str, int] = {}
        self._times: list[float] = []

    @property
    def last(self) -> int:
        """The number of the newest state; -1 without one."""
        self._take()
        return len(self._times) - 1

    def find(self, database: Path) -> tuple[int, float]:
        """The number and time of the state that a file has; -1 if it never was one."""
        sha256 = hashlib.sha256(database.read_bytes()).hexdigest()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._take()
            number = self._numbers.get(sha256, -1)
            if number >= 0:
                return number, self._times[number]
            if time.monotonic() > deadline:
                return -1, 0.0
            time.sleep(0.05)

    def newest_before(self, moment: float) -> int:
        """The number of the newest state that was told by then; -1 without one."""
        self._take()
        return bisect_right(self._times, moment) - 1

    def _take(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            found = file.read()
        whole = found[: found.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            moment, sha256 = line.split()
            # A commit that changed nothing is the state before it, under the later number.
            self._numbers[sha256] = len(self._times)
            self._times.append(float(moment))

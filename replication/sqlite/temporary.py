"""Temporary files of SQLite's without a name, whose bytes count: for sorting, and for what may be taken back."""

from dataclasses import dataclass

import apsw


@dataclass(slots=True)
class Room:
    """What the temporary files of one connection may write, and have written."""

    limit: int
    taken: int = 0

    def take(self, size: int) -> None:
        """Count so many bytes. Raises apsw.FullError where they would be too many."""
        if self.taken + size > self.limit:
            raise apsw.FullError
        self.taken += size


class TemporaryFile(apsw.VFSFile):
    """A file without a name, as the operating system has it, whose bytes count."""

    def __init__(self, room: Room, flags: list[int]) -> None:
        self._room = room
        self._end = 0
        super().__init__("", None, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (SQLite's)
        grown = max(0, offset + len(data) - self._end)
        self._room.take(grown)
        self._end += grown
        super().xWrite(data, offset)

    def xClose(self) -> None:  # noqa: N802
        self._room.taken -= self._end
        self._end = 0
        super().xClose()

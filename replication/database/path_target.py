"""Where the path of a database leads, so that an error can say what has changed: a link, a volume, or a folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from replication.nofollow import without_links

LINK_SWITCHED = "the path leads to another place now, by a link that was switched"
VOLUME_EXCHANGED = "another volume is mounted in its place"
FOLDER_REPLACED = "its folder was replaced by another one"


@dataclass(frozen=True, slots=True)
class PathTarget:
    """The file without links, and the folder that it is in: device and inode."""

    real: str
    folder: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> "PathTarget":
        """Where `path` leads now. Raises OSError if its folder is not there."""
        real = str(without_links(path))
        status = os.stat(os.path.dirname(real))  # noqa: PTH116, PTH120 (names only)
        return cls(real, (status.st_dev, status.st_ino))

    def became(self, now: "PathTarget") -> str:
        """How the path came to lead elsewhere, in words; "" if it leads to the same file name in the same folder."""
        if now.real != self.real:
            return LINK_SWITCHED
        if now.folder[0] != self.folder[0]:
            return VOLUME_EXCHANGED
        return FOLDER_REPLACED if now.folder != self.folder else ""

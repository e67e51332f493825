"""The folder that a file replica lives in, and the folders below it, each reached by a descriptor.

Its promises: below the root no symbolic link is followed: every folder is opened from the one above it. As root, a link
of another user on the way to it leads only to that user's own folders. A root that was written to is never made anew,
nor exchanged for another folder: that may be an empty mount point. What is made outlives a power cut.
OSErrors are left to the caller, who knows what it wanted there.
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from replication.errors import PlaceLostError
from replication.nofollow import FOLDER_FLAGS, make_folder, open_folder, open_nearest, opened
from replication.steps import reached
from replication.storage.location import FilePermissions

_STEP_FLAGS = FOLDER_FLAGS | os.O_NOFOLLOW


class Root:
    """The root by its path. Its lock covers the note of which folder was written to first."""

    def __init__(self, path: Path, permissions: FilePermissions) -> None:
        self.path = path
        self._permissions = permissions
        self._home: tuple[int, int] | None = None
        """Device and inode of the root that was written to."""
        self._reached: tuple[int, int] | None = None
        """Device and inode of the root that was last reached through no stranger's link, by which it is known again."""
        self._lock = threading.Lock()

    def open_below(self, parts: Sequence[str]) -> int:
        """A descriptor of a folder below the root."""
        folder = self._open()
        for part in parts:
            folder = _step(folder, part)
        return folder

    def make_below(self, parts: Sequence[str]) -> int:
        """As `open_below`, making what is missing. Raises PlaceLostError as well."""
        folder = self._make() if self._home is None else self._open_home()
        for part in parts:
            folder = self._make_step(folder, part)
        return folder

    def remove_empty(self, folders: Sequence[str]) -> None:
        """Remove folders that a delete left empty, so that a generation without objects is gone."""
        for depth in range(len(folders), 0, -1):
            try:
                parent = self.open_below(folders[: depth - 1])
            except OSError:
                return
            try:
                os.rmdir(folders[depth - 1], dir_fd=parent)
            except OSError:
                return
            finally:
                os.close(parent)

    def check(self) -> None:
        """Raise PlaceLostError if the path leads to another folder than the one that was written to."""
        if self._home is not None:
            os.close(self._open_home())

    def accept(self) -> None:
        """Take the folder that is there now as the one to write to."""
        self._home = None

    def _open(self) -> int:
        """A descriptor of the root, whichever folder that is now."""
        if self._reached is not None:
            root = os.open(self.path, FOLDER_FLAGS)
            if _place(root) == self._reached:
                return root
            os.close(root)
        root = open_folder(self.path)
        self._reached = _place(root)
        return root

    def _open_home(self) -> int:
        """A descriptor of the root that was written to before."""
        try:
            # Known by what it is: however the path leads there, it is no other.
            root = os.open(self.path, FOLDER_FLAGS)
        except FileNotFoundError:
            raise self._lost() from None
        return self._checked(root)

    def _make(self) -> int:
        """A descriptor of the root, made if need be with all that is missing above it, and remembered."""
        root, missing = open_nearest(self.path)
        for name in missing:
            with opened(root) as above:
                root = self._make_one(above, name)
        with self._lock:
            if self._home is None:
                self._home = self._reached = _place(root)
        return self._checked(root)

    def _make_step(self, folder: int, part: str) -> int:
        """As `_step`, making the folder if it is missing, so that it outlives a power cut."""
        try:
            with suppress(FileNotFoundError):
                return os.open(part, _STEP_FLAGS, dir_fd=folder)
            return self._make_one(folder, part, "object: folder made")
        finally:
            os.close(folder)

    def _make_one(self, folder: int, name: str, step: str = "") -> int:
        """A descriptor of a folder of an open folder, made durably if it is missing; `step` is reached if it was."""
        own = self._permissions
        below, made = make_folder(folder, name, own.folder_mode, own.uid, own.gid)
        try:
            if made:
                if step:
                    reached(step)
                os.fsync(folder)
        except BaseException:
            os.close(below)
            raise
        return below

    def _checked(self, root: int) -> int:
        if _place(root) == self._home:
            return root
        os.close(root)
        raise self._lost()

    def _lost(self) -> PlaceLostError:
        return PlaceLostError(
            f"{self.path} is not the folder that was replicated to before: its disk is not mounted, or it was removed "
            "or replaced. Bring it back and replication goes on; to begin anew in an empty folder, restart"
        )


def _place(folder: int) -> tuple[int, int]:
    """Device and inode of an open folder."""
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _step(folder: int, part: str) -> int:
    """Open one folder of an open folder, and close the latter whatever happens."""
    try:
        return os.open(part, _STEP_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)

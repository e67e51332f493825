"""Writes that are not finished: the temporary files that objects are written to, and those that nobody will finish.

Its promise: what is removed is old, has an exact name of ours, and the lock of its writer is free: its process died.
"""

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from replication.nofollow import open_plain
from replication.storage.file.root import Root
from replication.storage.location import FilePermissions

TEMPORARY_SUFFIX = ".tmp"
"""The end of the names of unfinished writes, ours and Litestream's; no listing shows them."""

DEPTH_MAX = 32
"""Folders nested deeper than this below the root are not looked into: a replica has four levels."""

_OUR_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
_MAKE_TRIES_MAX = 10
"""How often a folder is made anew when another thread's delete removes it, empty, at the same moment."""
_AGE_SECONDS_MIN = 60
"""An unfinished write younger than this is left alone: it may be about to take its lock."""
_SWEEP_SECONDS = 3600.0
"""Between two looks for unfinished writes of processes that died."""
_SWEPT_FOLDERS_MAX = 1000
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unfinished:
    """The unfinished writes below one root. Its lock covers only the note of when which folders were swept."""

    def __init__(self, root: Root, permissions: FilePermissions) -> None:
        self._root = root
        self._permissions = permissions
        self._lock = threading.Lock()
        self._swept: dict[str, float] = {}

    def create(self, folders: Sequence[str]) -> tuple[int, str, int]:
        """Make a new, locked file in a folder, which is made if need be.

        Returns the descriptor of the folder, and the name and descriptor of the file. Raises OSError.
        """
        temporary = f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        folder, file = self._create(folders, temporary)
        with suppress(OSError):
            # The lock tells a later run that this write is alive; some network folders have no locks.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):
            os.fchown(file, self._permissions.uid, self._permissions.gid)
        return folder, temporary, file

    def sweep(self, folders: Sequence[str]) -> None:
        """Once in a while: remove unfinished writes of processes that died, whose locks are free.

        Everywhere, for nothing is written any more to the folders of a generation that ended with such a process.
        """
        top = list(folders[:1])
        key, now = "/".join(top), time.monotonic()
        with self._lock:
            if now < self._swept.get(key, 0.0) or len(self._swept) >= _SWEPT_FOLDERS_MAX:
                return
            self._swept[key] = now + _SWEEP_SECONDS
        with suppress(OSError):
            root = self._root.open_below(top)
            emptied = []
            try:
                for path, below, names, folder in os.fwalk(".", dir_fd=root):
                    if path.count("/") >= DEPTH_MAX:
                        below.clear()
                    dead = [name for name in names if _OUR_TEMPORARY.fullmatch(name) and _remove_if_dead(name, folder)]
                    if dead:
                        emptied.append([*top, *path.split("/")[1:]])
            finally:
                os.close(root)
            for path_of_folder in emptied:
                self._root.remove_empty(path_of_folder)

    def _create(self, folders: Sequence[str], temporary: str) -> tuple[int, int]:
        """A folder and a new file in it, made again where another thread removes the folder, still empty."""
        tries = 0
        while True:
            tries += 1
            try:
                folder = self._root.make_below(folders)
            except FileNotFoundError:
                if tries == _MAKE_TRIES_MAX:
                    raise
                continue
            try:
                return folder, os.open(temporary, _FLAGS, self._permissions.file_mode, dir_fd=folder)
            except BaseException as error:
                os.close(folder)
                if not isinstance(error, FileNotFoundError) or tries == _MAKE_TRIES_MAX:
                    raise


def _remove_if_dead(name: str, folder: int) -> bool:
    """Remove an unfinished write that is old and whose lock is free. Return True if it was removed."""
    with suppress(OSError):
        age = time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        if age >= _AGE_SECONDS_MIN:
            file = open_plain(folder, name)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                return True
            finally:
                os.close(file)
    return False

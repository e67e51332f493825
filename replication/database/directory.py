"""What in a folder is a database: looked for by descriptors, through no link, and without a lock of ours lost by it.

Its promise: a file that this process replicates is never opened, whatever name leads to it, and neither is a pipe or
what a link leads to. What cannot be looked at now is as it was at the last look. It leaves to the caller what becomes
of what is found, and is used by one thread at a time.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from replication.config import DirectoryConfig
from replication.database.claim import plainly
from replication.nofollow import open_below, open_folder, opened

MAGIC = b"SQLite format 3\0"
PATH_BYTES_MAX = 500
"""SQLite opens no longer path, with what it puts behind it."""

Watch = Callable[[int], bool]
"""Let the kernel tell of changes in an open folder; false if it cannot."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found: paths from the folder, in order."""

    names: tuple[str, ...] = ()
    is_there: bool = False
    """Whether the folder itself is there."""
    is_watched: bool = False
    """Whether the kernel tells of all changes in it."""
    problems: dict[str, str] = field(default_factory=dict)
    """What could not be looked at, by its path from the folder, each with the reason."""


class Look:
    """One folder, looked at again and again."""

    def __init__(self, config: DirectoryConfig, watch: Watch | None = None) -> None:
        self.found = Found()
        self._config = config
        self._watch = watch
        self._others: dict[str, tuple[int, int, int, int]] = {}
        """Files that were no databases, as they were then."""

    def again(self) -> Found:
        """Look now."""
        before, names, problems = set(self.found.names), set[str](), dict[str, str]()
        others, watched = dict[str, tuple[int, int, int, int]](), self._watch is not None
        try:
            top = open_folder(self._config.path)
        except (FileNotFoundError, NotADirectoryError):
            self.found = Found()
            return self.found
        except OSError as error:
            problems[""] = error.strerror or str(error)
            self.found = Found(self.found.names, self.found.is_there, False, problems)
            return self.found
        with opened(top):
            waiting = [""]
            while waiting:
                inside = waiting.pop()
                try:
                    with opened(_walk(top, inside)) as folder:
                        # Before it is read, so that what comes meanwhile is not missed.
                        watched = (self._watch is not None and self._watch(folder)) and watched
                        for name, is_folder in _entries(folder):
                            path = f"{inside}/{name}" if inside else name
                            if len(os.fsencode(self._config.path / path)) > PATH_BYTES_MAX:
                                continue
                            if is_folder and self._config.recursive and not name.startswith("."):
                                waiting.append(path)
                            elif is_folder or not self._config.takes(path):
                                continue
                            elif path in before or self._is_database(folder, name, path, others):
                                names.add(path)
                except FileNotFoundError:
                    continue  # it went meanwhile
                except OSError as error:
                    problems[inside] = error.strerror or str(error)
                    names.update(name for name in before if not inside or name.startswith(f"{inside}/"))
        self._others = others
        self.found = Found(tuple(sorted(names)), True, watched, problems)
        return self.found

    def _is_database(self, folder: int, name: str, path: str, others: dict[str, tuple[int, int, int, int]]) -> bool:
        """Whether it begins as SQLite's files do. One that cannot be read is none, until it is another one."""
        try:
            with opened(os.open(name, _TO_LOOK, dir_fd=folder)) as file:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    return False
                looks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                if self._others.get(path) == looks:
                    others[path] = looks
                    return False
                with plainly((status.st_dev, status.st_ino)) as free:
                    found = not free or _begins_as_a_database(file, name, folder)
        except FileNotFoundError:
            return False
        except OSError:
            return False
        if not found:
            others[path] = looks
        return found


_TO_LOOK = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC


def _begins_as_a_database(file: int, name: str, folder: int) -> bool:
    if not hasattr(os, "O_PATH"):
        return os.pread(file, len(MAGIC), 0) == MAGIC
    # The very file that was looked at, whatever has its name by now.
    with opened(os.open(f"/proc/self/fd/{file}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as content:
        return os.pread(content, len(MAGIC), 0) == MAGIC


def _walk(top: int, path: str) -> int:
    """A descriptor of the folder at a path below an open one."""
    folder = os.dup(top)
    for name in path.split("/") if path else ():
        try:
            below = open_below(folder, name)
        finally:
            os.close(folder)
        folder = below
    return folder


def _entries(folder: int) -> Iterator[tuple[str, bool]]:
    """Files and folders in an open folder, and whether it is a folder; links and all else are left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, True
                elif entry.is_file(follow_symlinks=False):
                    yield entry.name, False

"""The name by which SQLite opens a database, so that as root nobody leads it into a folder that is not theirs.

SQLite opens a database by its path, and -wal, -shm and the journal by names that it makes from it, one after the
other. A user who may rename a folder on that path can put a link there in between. So as root the folder of the file is
opened first, one part of the path after the other (nofollow.py), and SQLite is given a path through its descriptor:
/proc/self/fd/9/app.db. Whatever becomes of the path, its files are in the folder that was looked at, none a link.

SQLite resolves links in a path before it opens it, and would so turn /proc/self/fd/9 back into a path. It is kept from
that: it asks lstat whether a part is a link, and in this process its lstat is replaced by stat, to which nothing is
one. So as root every database has to be opened by such a name, or by one without links. Where there is no /proc, and
for another user, the name is the path without links.

Its promise: `identity` is that of the file which the name led to. It leaves to the caller to have all files of a
connection opened within the block: the first read does that in WAL mode; in another a journal may be made at any time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import apsw

from replication.nofollow import open_beside, opened, without_links
from replication.sqlite.errors import DatabaseBusyError, cannot_be_opened

_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Opening:
    """A database that may be opened now, by `name`; `path` is the same without links, for words."""

    path: Path
    name: str
    identity: tuple[int, int]
    """Device and inode."""


@contextmanager
def opening(path: Path, identity: tuple[int, int] | None = None) -> Iterator[Opening]:
    """For the length of a block the database at `path`, which must be there, can be opened.

    With `identity` it must be that file. Raises DatabaseError, and DatabaseBusyError if it is another file.
    """
    try:
        real = without_links(path)
        folder, name, status = open_beside(path) if _by_descriptor() else (-1, "", real.stat())
    except OSError as error:
        raise cannot_be_opened(path, error) from None
    found = (status.st_dev, status.st_ino)
    if folder < 0:
        _check(path, found, identity)
        yield Opening(real, str(real), found)
        return
    with opened(folder):
        _check(path, found, identity)
        yield Opening(real, f"{_DESCRIPTORS}/{folder}/{name}", found)


def _check(path: Path, found: tuple[int, int], identity: tuple[int, int] | None) -> None:
    if identity not in (None, found):
        raise DatabaseBusyError(f"{path} was replaced while it was opened; trying again")


def _by_descriptor() -> bool:
    """True if a path leads through a descriptor, and needs to: only root can be made to open what is another's."""
    return os.geteuid() == 0 and hasattr(os, "O_PATH") and _DESCRIPTORS.is_dir() and _takes_no_link_for_a_path()


@cache
def _takes_no_link_for_a_path() -> bool:
    """Keep SQLite in this process from resolving links itself. Return False if that cannot be."""
    system_calls = apsw.VFS("system calls", "unix")
    try:
        return bool(system_calls.xSetSystemCall("lstat", system_calls.xGetSystemCall("stat") or 0))
    finally:
        system_calls.unregister()

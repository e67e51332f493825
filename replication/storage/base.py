"""The contract of a store: named, immutable-once-written objects below one root.

It leaves to the caller: what the names mean (wal03/names.py), what the bytes mean (codec.py), and retrying.
Every back end passes one suite, tests/storage/.
"""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from replication.counts import Requests


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing: name below the root, stored size in bytes, time of writing in UTC."""

    name: str
    size: int
    modified: datetime


class Storage(ABC):
    """A store that holds one replica.

    Names are relative, parts joined by "/", checked on the way in: a name that is absolute, empty or
    holds "." or ".." as a part raises ValueError before anything is touched.
    Methods may be called from several threads at once. All raise StorageError and its children;
    a missing root is an empty store for reads, and is made by the first `put`.
    """

    type: str
    """The word of the configuration: s3, file, memory."""

    address: str
    """Where it is, for people, without any secret: s3://bucket/path at http://host:9000, file:///srv/x."""

    requests = Requests()
    """The requests that were sent over a network. A store that sends any has a count of its own."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object below the folder `prefix` (a path ending in "/", or "" for all), sorted by name.

        Names that no `put` would take are passed over. Names of unfinished writes are not yielded.
        """

    @abstractmethod
    def folders(self, prefix: str) -> builtins.list[str]:
        """The names right below the folder `prefix` that hold objects further down, sorted, without "/"."""

    def passed_over(self, prefix: str) -> builtins.list[str]:
        """Names of what stands right below the folder `prefix` and is no object, such as links: for a warning."""
        return []

    @abstractmethod
    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        """Write one object, whole or not at all, replacing one of that name. Return the bytes stored.

        `chunks` is consumed once and never held whole in memory. When this returns the object is durable.
        With `create` nothing is replaced: ObjectExistsError is raised if an object of that name is there, and of
        several who create it at once one succeeds. That much a store must do itself; one that cannot is looked at
        right before the write, which leaves a gap of that one request.
        """

    @abstractmethod
    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of an object, or `length` bytes from `offset`, in chunks of bounded size.

        Raises ObjectNotFoundError before the first chunk if it is not there. An answer shorter than
        announced raises StorageError; a range that begins at or after the end is empty. Close the iterator
        to let go of the connection early.
        """

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, in the order given as far as the store keeps one; those already gone are no error.

        When the store says of any name that it was not removed, StorageError names it.
        """

    def check_place(self) -> None:  # noqa: B027 (most stores cannot be mistaken for others)
        """Raise PlaceLostError if `put` would write elsewhere than before; `put` itself does so as well."""

    def accept_place(self) -> None:  # noqa: B027 (as above)
        """Take what is there now for the replica, which it was proven to be: the next `put` goes there."""

    def abort_unfinished(self, prefix: str) -> int:
        """Remove what is left of uploads below the folder `prefix` that never ended. Return their number.

        The caller must know that no upload is under way there: nothing tells one from the other.
        """
        return 0

    def interrupt(self) -> None:  # noqa: B027 (most stores hold nothing up)
        """Break off requests under way and refuse others, except those that undo what was begun: the program ends."""

    def close(self) -> None:  # noqa: B027 (most stores hold nothing to let go of)
        """Let go of connections. The store is not used afterwards."""


def check_name(name: str) -> str:
    """Return `name` if it is a safe relative object name, else raise ValueError."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not an object name")
    return name


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it is "" or a safe folder path ending in "/", else raise ValueError."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} is not a folder: it does not end in /")
        check_name(prefix[:-1])
    return prefix


def is_object_name(name: str) -> bool:
    """True if `check_name` accepts `name`. Listings leave out all others."""
    try:
        check_name(name)
    except ValueError:
        return False
    return True


def check_range(offset: int, length: int | None) -> None:
    """Raise ValueError for a negative offset or length."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"offset {offset} and length {length} are not a range")

"""Where a replica is: a frozen value that names one place in one store, whatever kind of store that is.

Its promise: nobody outside the folder of a kind asks which kind a location is of: whatever depends on it is asked of
the location itself. Secrets are kept out of every `repr`, and out of what is for people.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from replication.storage.base import Storage


@dataclass(frozen=True, slots=True)
class FilePermissions:
    """Mode and owner of what is written, under the umask; an owner that cannot be set is left as it is."""

    file_mode: int = 0o600
    folder_mode: int = 0o700
    uid: int = -1
    gid: int = -1


DEFAULT_PERMISSIONS = FilePermissions()


class Location(ABC):
    """A place for one replica. Equal locations are read the same; one place may be written as several of them."""

    __slots__ = ()

    kind: ClassVar[str]
    """The kind of store: the word for `type` in the configuration, and the scheme of its URL."""

    is_on_a_server: ClassVar[bool]
    """Whether one answer that it cannot be reached holds for all that fail together with it."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for people: without any secret."""

    @property
    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """Equal for two locations that are one place, whatever links or slashes they are written with."""

    @property
    @abstractmethod
    def store(self) -> str:
        """What fails together: equal for all on one server, or on one file system of this machine."""

    @property
    def folder(self) -> Path | None:
        """The folder of this machine in which it is, as it was written; None if it is elsewhere."""
        return None

    @abstractmethod
    def below(self, name: str) -> "Location":
        """The place of that name below it; `name` may have slashes, and has no empty part, nor one of dots."""

    @abstractmethod
    def open(self, permissions: FilePermissions) -> Storage:
        """The store at this place. Nothing is touched yet. `permissions` are for files of this machine."""

"""The contract of a kind of store: what it is called, its keys, and how a place in it is written and read.

A kind is a folder beside this file with a module `kind` that holds `KIND`, and a line in kinds.py. What depends on the
place itself is in its Location (location.py), and the verbs are those of its Storage (base.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from replication.errors import ConfigError
from replication.key_rows import Key
from replication.storage.location import Location
from replication.storage.url_parts import ReplicaURL

Note = Callable[[str], None]
"""Called with what in a URL changes nothing here: the end of a sentence that begins with the URL."""

LocationT = TypeVar("LocationT", bound=Location)


class Settings(Protocol):
    """The keys of one replica in a configuration. What is refused names its line; all raise ConfigError."""

    def has(self, key: str) -> bool:
        """True if `key` is there and not empty."""

    def text(self, key: str) -> str | None:
        """The text of `key`, or that at the top of the file for a key that all replicas may share. None without any."""

    def pattern_free(self, key: str) -> str | None:
        """As `text`, for a key that names one place: refused if it holds a *."""

    def local_path(self, key: str) -> Path | None:
        """As `pattern_free`, as an absolute path of this machine."""

    def flag(self, key: str) -> bool | None:
        """The truth of `key`; None if it is not there."""

    def refusal(self, key: str | None, problem: str) -> ConfigError:
        """The error for `key`, or for the replica as a whole. `problem` is the end of its sentence."""


class Kind(ABC, Generic[LocationT]):
    """One kind of store. It holds nothing; loading it must load none of what only an open store needs."""

    name: ClassVar[str]
    """The word for `type` in the configuration, and the scheme of its URL."""

    url_form: ClassVar[str]
    """How its URL is written, for people: s3://BUCKET/PATH."""

    keys: ClassVar[tuple[Key, ...]] = ()
    """The keys of a replica that this kind reads, besides those of every replica."""

    idle_keys: ClassVar[Mapping[str, str]] = {}
    """Keys and URL options of Litestream 0.5 that change nothing of what is kept here, each with why."""

    refused_keys: ClassVar[Mapping[str, str]] = {}
    """Keys and URL options that would change where or how data is kept, each with what to do instead."""

    secret_variables: ClassVar[tuple[str, ...]] = ()
    """Variables of the environment that hold the keys of such a store."""

    @abstractmethod
    def from_url(self, url: ReplicaURL, note: Note) -> LocationT:
        """The place that a URL names. Raises ConfigError, in words that repeat no password."""

    @abstractmethod
    def from_keys(self, settings: Settings) -> LocationT:
        """The place that the keys of a replica name, without a URL."""

    def with_keys(self, location: LocationT, settings: Settings) -> LocationT:
        """`location` with what the keys of a replica say besides. They win over the URL."""
        return location

    def options(self, url: ReplicaURL, note: Note) -> dict[str, str]:
        """The options in the query of `url`, by the names of their keys. Raises ConfigError for an unknown one."""
        known = [key.name for key in self.keys if key.is_option]
        return url.options(known, self.idle_keys, self.refused_keys, note)

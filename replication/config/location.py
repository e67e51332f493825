"""One replica of the configuration, read into the place it names by the kind of store that it is of.

Its promise: a type, key or encryption that this program does not have is refused, so that data never goes to
another place, or in another form, than the file says.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from replication.config.document import Section
from replication.errors import ConfigError, UsageError
from replication.reserved import problem_of, refuse_output
from replication.scrub import quoted
from replication.storage.kind import Kind
from replication.storage.kinds import DEFAULT_KIND, KINDS, MISSING, TYPES
from replication.storage.location import Location
from replication.storage.url import is_replica_url, parse_replica_url


class ReplicaSettings:
    """What a kind of store may ask of a replica in the configuration; `for_all` is what the top of the file has."""

    def __init__(self, replica: Section, for_all: Mapping[str, str | None]) -> None:
        self._replica = replica
        self._for_all = for_all

    def has(self, key: str) -> bool:
        return self._replica.has(key)

    def text(self, key: str) -> str | None:
        return self._replica.text(key) or self._for_all.get(key)

    def pattern_free(self, key: str) -> str | None:
        text = self.text(key)
        check_pattern(self._replica, key, text or "")
        return text

    def local_path(self, key: str) -> Path | None:
        text = self.pattern_free(key)
        return local_path(text) if text is not None else None

    def flag(self, key: str) -> bool | None:
        return self._replica.flag(key)

    def refusal(self, key: str | None, problem: str) -> ConfigError:
        return self._replica.refusal(key, problem)


def check_type(replica: Section) -> None:
    """Raise RefusedError for a type that this program does not have, with the nearest way there is."""
    kind = replica.text("type") or ""
    if replica.has("url"):
        scheme = (replica.text("url") or "").partition("://")[0].lower()
        if scheme in MISSING:
            way = MISSING[scheme].nearest_way
            raise replica.refusal("url", f"is of type {scheme}, which this program does not have; {way}")
    elif kind in MISSING:
        way = MISSING[kind].nearest_way
        raise replica.refusal("type", f"is {kind}, which this program does not have; {way}")
    elif kind and kind not in KINDS:
        raise replica.refusal("type", f"is {quoted(kind)!r}, an unknown replica type; use {TYPES}")


def plain_path(section: Section, key: str, text: str, instead: str) -> Path:
    """A path on this machine. Raises RefusedError for a pattern, which is not expanded, and for a URL.

    A URL would be a path below the working directory, where a database is waited for that never comes.
    """
    check_pattern(section, key, text)
    if is_replica_url(text):
        raise section.refusal(key, f"is a URL; write the path of {instead}")
    return local_path(text)


def database_path(section: Section, text: str) -> Path:
    """The path of a database. Raises RefusedError for what can be none."""
    path = plain_path(section, "path", text, "the file itself, such as /srv/app.db")
    if problem := problem_of(path):
        raise section.refusal("path", problem)
    return path


def check_pattern(section: Section, key: str, text: str) -> None:
    """Raise RefusedError for what holds a *: it would be a file or folder of that very name."""
    if "*" in text:
        raise section.refusal(key, "holds a *, and patterns are not expanded; write one entry for each, by its name")


def read_location(replica: Section, for_all: Mapping[str, str | None]) -> Location:
    """The place of `replica`. `for_all` has the keys at the top of the file, for a replica that has none of its own."""
    if replica.has("age"):
        raise replica.refusal(
            "age",
            "asks for encryption, which this program does not have: it would store the data readable. "
            "Go on with Litestream 0.3 for this database, or remove age",
        )
    settings = ReplicaSettings(replica, for_all)
    location = _from_url(replica) if replica.has("url") else _from_keys(replica, settings)
    kind = KINDS[location.kind]
    _refuse_keys_of_other_types(replica, kind)
    found: Location = kind.with_keys(location, settings)
    return found


def local_path(text: str) -> Path:
    """An absolute, clean path; "~" alone or before a slash is the home folder. Links are kept.

    Raises UsageError for a relative path where there is no working directory.
    """
    if text == "~" or text.startswith("~/"):
        text = str(Path(text).expanduser())
    try:
        return Path(os.path.abspath(text))  # noqa: PTH100  Path.absolute() would keep "..".
    except FileNotFoundError:
        raise UsageError(
            f"{text} is relative to the working directory, which was removed: go to another one, or give a whole path"
        ) from None


def output_path(text: str) -> Path:
    """The path of a restored database, as `local_path`. Raises UsageError for what names a folder, or a file of
    SQLite's, a replica's or the engine's.
    """
    if text.endswith("/"):
        raise UsageError(f"{text} names a folder: give the path of the file to restore to, such as {text}app.db")
    path = local_path(text)
    refuse_output(path)
    return path


def _from_url(replica: Section) -> Location:
    try:
        location = parse_replica_url(replica.text("url") or "", lambda words: replica.note("url", words))
    except ConfigError as error:
        raise replica.refusal("url", f"cannot be used: {error}") from None
    check_pattern(replica, "url", location.address)
    kind = KINDS[location.kind]
    for key in ("path", *(key.name for key in kind.keys if key.is_place)):
        if replica.has(key):
            raise replica.refusal(key, f"stands beside url: cannot specify url & {key} for {kind.name} replica")
    return location


def _from_keys(replica: Section, settings: ReplicaSettings) -> Location:
    kind = KINDS[replica.text("type") or DEFAULT_KIND]
    path = replica.text("path")
    if path is not None and is_replica_url(path):
        raise replica.refusal("path", "cannot be a URL; use the url key instead")
    if not replica.has("type"):
        for key, home in _keys_of_others(kind):
            if replica.has(key):
                raise replica.refusal(
                    key, f"belongs to type {home}, and a replica without type is of type {kind.name}; add type: {home}"
                )
    location: Location = kind.from_keys(settings)
    return location


def _refuse_keys_of_other_types(replica: Section, kind: Kind[Any]) -> None:
    own = [key.name for key in kind.keys]
    missing = [(key, name) for name, store in MISSING.items() for key in store.keys if key not in own]
    for key, home in [*missing, *_keys_of_others(kind)]:
        if replica.has(key):
            raise replica.refusal(key, f"belongs to type {home}, and this replica is of type {kind.name}; remove it")


def _keys_of_others(kind: Kind[Any]) -> list[tuple[str, str]]:
    """The keys that only other kinds read, each with the first that does."""
    own = [key.name for key in kind.keys]
    return [(key.name, other.name) for other in KINDS.values() for key in other.keys if key.name not in own]

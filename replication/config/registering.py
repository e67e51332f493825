"""A database that is named while the engine runs, with the URL of its replica: what it is, by a configuration.

It has the settings that a new entry of the file would have: the defaults, and what the top of the file says for all.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.config.schema import Config, DatabaseConfig, ReplicaConfig, default_meta_path, rows_of
from replication.errors import ConfigError, UsageError
from replication.nofollow import kind
from replication.reserved import problem_of
from replication.scrub import quoted
from replication.storage.kinds import KINDS
from replication.storage.location import Location
from replication.storage.url import is_replica_url, parse_replica_url


def registered(
    config: Config, path: str, replica_url: str, note: Callable[[str], None] = lambda words: None
) -> DatabaseConfig:
    """The database at `path`, which need not exist, with one replica. Raises UsageError for the path, ConfigError for
    the URL.
    """
    if is_replica_url(path):
        raise UsageError("the database is given as a URL; name the path of the file itself, such as /srv/app.db")
    if not path.startswith("/") or "\0" in path or path.endswith("/") or os.path.normpath(path) != path:
        raise UsageError(
            f"{quoted(path)!r} is not the whole path of a database: the engine is in another folder; write one such "
            "as /srv/app.db"
        )
    if problem := problem_of(Path(path)):
        raise UsageError(f"{path} {problem}")
    with suppress(OSError):
        if not stat.S_ISREG((found := Path(path).stat()).st_mode):
            raise UsageError(f"{path} is {kind(found)}, and no plain file; name the file of a SQLite database")
    if "*" in path or "*" in replica_url:
        raise UsageError("patterns are not expanded here; put an entry with dir: into the configuration")
    location = parse_replica_url(replica_url, lambda words: note(f"the replica URL {words}"))
    store: Any = KINDS[location.kind]
    location = store.with_keys(location, _OfTheTop(config))
    return DatabaseConfig(Path(path), default_meta_path(Path(path)), (_replica(config, location),))


def as_registered(config: Config, path: str, replica_url: str) -> DatabaseConfig:
    """The same of one that an engine has; without a replica where its place cannot be written as a URL."""
    try:
        return registered(config, path, replica_url)
    except (ConfigError, UsageError):
        return DatabaseConfig(Path(path), default_meta_path(Path(path)), ())


def _replica(config: Config, location: Location) -> ReplicaConfig:
    found = {
        name: config.defaults.seconds[key.name]
        for name, key in rows_of(ReplicaConfig).items()
        if key.name in config.defaults.seconds
    }
    replica = ReplicaConfig(name=location.kind, location=location, **found)
    check = replica.retention_check_interval
    if replica.retention and replica.retention < check:
        found["retention_check_interval"] = replica.retention
        return ReplicaConfig(name=location.kind, location=location, **found)
    return replica


class _OfTheTop:
    """The keys of a replica that has none of its own."""

    def __init__(self, config: Config) -> None:
        self._for_all = config.defaults.for_all

    def has(self, key: str) -> bool:
        return False

    def text(self, key: str) -> str | None:
        return self._for_all.get(key)

    def pattern_free(self, key: str) -> str | None:
        return self.text(key)

    def local_path(self, key: str) -> Path | None:
        return None

    def flag(self, key: str) -> bool | None:
        return None

    def refusal(self, key: str | None, problem: str) -> ConfigError:
        return ConfigError(f"a replica with the keys at the top of the configuration {problem}")

"""The replicas of a configured database, opened for reading, to be listed or restored without an engine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replication.config import Config, DatabaseConfig
from replication.errors import UsageError
from replication.restore.open_replica import OpenReplica, Warn
from replication.scrub import quoted
from replication.storage.location import Location
from replication.storage.open import open_storage

_logger = logging.getLogger(__name__)


def log(message: str) -> None:
    """Warn in the log: for a caller that may not write to the terminal."""
    _logger.warning(message)


def configured(config: Config, path: Path) -> DatabaseConfig:
    """The database of that path, which in one of its folders need not be there any more. Raises UsageError."""
    found = config.named(path)
    if found is None:
        known = [str(item.path) for item in config.databases]
        known += [f"{item.pattern} in {item.path}" for item in config.directories]
        raise UsageError(f"database not found in config: {path}; it has: {', '.join(known) or 'none'}")
    return found


def open_replicas(database: DatabaseConfig, warn: Warn = log, replica: str | None = None) -> list[OpenReplica]:
    """All its replicas, or the one of that name, to be closed by the caller. Raises UsageError if that is missing."""
    chosen = [item for item in database.replicas if replica in (None, item.name)]
    if not chosen and replica is not None:
        names = ", ".join(item.name for item in database.replicas) or "none"
        raise UsageError(f"{database.path} has no replica called {quoted(replica)!r}; it has: {names}")
    sources: list[OpenReplica] = []
    try:
        for item in chosen:
            sources.append(open_replica(item.location, warn, item.name))
    except BaseException:
        _close(sources)
        raise
    return sources


def open_replica(location: Location, warn: Warn = log, name: str = "") -> OpenReplica:
    """Open one replica. Without a name it is called by the type of its store."""
    storage = open_storage(location)
    return OpenReplica(name or storage.type, storage, warn)


@contextmanager
def replicas_of(config: Config, path: Path, replica: str | None = None) -> Iterator[list[OpenReplica]]:
    """The replicas of the database of that path, closed at the end; for a thread that may wait for the store."""
    sources = open_replicas(configured(config, path), log, replica)
    try:
        yield sources
    finally:
        _close(sources)


def _close(sources: list[OpenReplica]) -> None:
    for source in sources:
        source.storage.close()

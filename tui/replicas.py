"""The replicas of a configured database, opened for reading: what restoring and listing need, without the engine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replication.config import Config
from replication.errors import UsageError
from replication.restore.choose import Source
from replication.storage.open import open_storage
from replication.storage.replica_client import ReplicaClient

_logger = logging.getLogger(__name__)


@contextmanager
def sources_of(config: Config, database: str) -> Iterator[list[Source]]:
    """The replicas of a database, by its path, closed at the end; for a thread that may wait for the store."""
    found = config.named(Path(database))
    if found is None:
        raise UsageError(f"{database} is not in the configuration")
    sources: list[Source] = []
    try:
        for item in found.replicas:
            storage = open_storage(item.location)
            sources.append(Source(item.name or storage.type, ReplicaClient(storage, _warn)))
        yield sources
    finally:
        for source in sources:
            source.client.storage.close()


def _warn(message: str) -> None:
    # The terminal is taken by the screen.
    _logger.warning(message)

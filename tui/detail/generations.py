"""The generations of a replica, as a screen keeps them: read from the store now and then, in a thread.

Its promise: reading never takes more than a small share of the time, however large the replica is.
Nothing here knows Textual; when to read, and in which thread, is the caller's.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from replication.config import Config
from replication.errors import ReplicationError
from replication.restore.open_replicas import replicas_of
from replication.restore.wal03.listing import HeldGeneration, held

READ_SECONDS = 60.0
"""A listing is read again after so long."""
READ_SHARE = 20
"""And never before so many times as long as reading it took."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a replica held at time `read`, newest generation first; `error` says why it could not be read."""

    replica: str
    address: str
    generations: tuple[HeldGeneration, ...]
    read: float
    seconds: float
    error: ReplicationError | None = None

    def is_old(self, now: float) -> bool:
        """True when it is time to read again."""
        return now >= self.read + max(READ_SECONDS, READ_SHARE * self.seconds)


def read_listing(config: Config, database: str, replica: str, now: float) -> Listing:
    """Ask a replica for its generations; `now` is noted as the time of reading. Raises ReplicationError."""
    began = time.monotonic()
    with replicas_of(config, Path(database), replica) as sources:
        client = sources[0].client
        return Listing(replica, client.address, held(client), now, time.monotonic() - began)


def failed(before: Listing | None, replica: str, error: ReplicationError, now: float) -> Listing:
    """A reading that failed: what was read before stays, with the reason."""
    kept = before.generations if before is not None else ()
    return Listing(replica, before.address if before is not None else "", kept, now, 0.0, error)

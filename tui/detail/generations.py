"""The generations of a replica, as a screen keeps them: read from the store now and then, in a thread.

Its promise: reading never takes more than a small share of the time, however large the replica is.
Nothing here knows Textual; when to read, and in which thread, is the caller's.
"""

import threading
import time
from dataclasses import dataclass

from replication.control import JobControl
from replication.control.requests import Generations
from replication.errors import ReplicationError
from replication.restore.histories import HeldGeneration
from replication.status import ReplicaStatus
from tui.session.jobs import followed

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


def read_listing(
    control: JobControl, database: str, replica: ReplicaStatus, leaving: threading.Event, now: float
) -> Listing:
    """Ask a replica for its generations; `now` is noted as the time of reading. Raises ReplicationError."""
    began = time.monotonic()
    job = followed(control, Generations(database=database, replica=replica.name), leaving)
    return Listing(replica.name, replica.address, tuple(job.result), now, time.monotonic() - began)


def failed(before: Listing | None, replica: str, error: ReplicationError, now: float) -> Listing:
    """A reading that failed: what was read before stays, with the reason."""
    kept = before.generations if before is not None else ()
    return Listing(replica, before.address if before is not None else "", kept, now, 0.0, error)

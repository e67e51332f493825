"""The generations of one replica that are older than one of them, as its notes and times have it, the newest first."""

import threading
from collections.abc import Sequence
from datetime import datetime

from replication.restore.target import Latest
from replication.restore.wal03.attempts import Prepared
from replication.restore.wal03.choose import read_all
from replication.restore.wal03.generations import in_order


def older_generations(prepared: Prepared, stop: threading.Event, since: datetime | None = None) -> Sequence[str]:
    """Return the generations older than the one that was chosen, in its replica, with anything stored since a time.

    Raises StorageError, RestoreCancelledError.
    """
    found, failures = read_all([prepared.source], None, Latest(), stop)
    if failures:
        raise failures[0].error
    newest = {catalog.generation: catalog.newest for _, catalog in found}
    order, chosen = in_order(found), prepared.plan.generation
    older = order[order.index(chosen) + 1 :] if chosen in order else []
    return [name for name in older if since is None or (newest[name] or since) >= since]

"""A timeline of a store in a test, and a cache of tables that is a dictionary."""

import threading
from dataclasses import dataclass, field

from replication.history.contract import Moment
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.retry import Backoff
from replication.restore.target import Latest, Target
from replication.storage.base import Storage
from replication.storage.blocks import BlockTable

QUICK = Backoff(base_seconds=0.0)


@dataclass
class Cached:
    """Tables by sign, and how many were looked for in vain."""

    tables: dict[str, BlockTable] = field(default_factory=dict)
    missed: int = 0

    def load(self, sign: str) -> BlockTable | None:
        self.missed += sign not in self.tables
        return self.tables.get(sign)

    def save(self, sign: str, table: BlockTable) -> None:
        self.tables[sign] = table


def timeline(
    storage: Storage,
    target: Target | None = None,
    cache: Cached | None = None,
    cancel: threading.Event | None = None,
) -> Timeline:
    """What a restore of the target from this store would follow."""
    options = RestoreOptions(target=target or Latest(), backoff=QUICK)
    return read_timeline([OpenReplica("test", storage)], options, cache or Cached(), cancel=cancel)


def content(moment: Moment) -> bytes:
    """All pages of a moment."""
    return b"".join(moment.page(number) for number in range(1, moment.pages + 1))

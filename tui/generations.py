"""The generations of a replica, as a screen keeps them: read from the store now and then, in a thread.

Its promise: reading never takes more than a small share of the time, however large the replica is.
Nothing here knows Textual; when to read, and in which thread, is the caller's.
"""

import time
from dataclasses import dataclass, replace

from replication.config import Config
from replication.errors import ReplicationError, UsageError
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.listing import GenerationSummary, summary
from replication.restore.wal03.points import Survey, survey
from tui.replicas import sources_of

READ_SECONDS = 60.0
"""A listing is read again after so long."""
READ_SHARE = 20
"""And never before so many times as long as reading it took."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation: what it holds in numbers, and what a timeline of it needs."""

    summary: GenerationSummary
    survey: Survey


@dataclass(frozen=True, slots=True)
class Listing:
    """What a replica held at time `read`, newest generation first; `error` says why it could not be read."""

    replica: str
    address: str
    generations: tuple[Generation, ...]
    read: float
    seconds: float
    error: str = ""

    def is_old(self, now: float) -> bool:
        """True when it is time to read again."""
        return now >= self.read + max(READ_SECONDS, READ_SHARE * self.seconds)


def read_listing(config: Config, database: str, replica: str, now: float) -> Listing:
    """Ask a replica for its generations; `now` is noted as the time of reading. Raises ReplicationError."""
    began = time.monotonic()
    with sources_of(config, database) as sources:
        source = next((item for item in sources if item.name == replica), None)
        if source is None:
            raise UsageError(f"{database} has no replica called {replica!r} in the configuration")
        found = []
        for name in source.client.generations():
            catalog = read_catalog(source.client, name)
            if (item := summary(catalog)) is not None:
                found.append(Generation(item, ends_of_runs(survey(catalog))))
        found.sort(key=lambda item: (item.summary.end, item.summary.start), reverse=True)
        return Listing(replica, source.client.address, tuple(found), now, time.monotonic() - began)


def failed(before: Listing | None, replica: str, error: ReplicationError | str, now: float) -> Listing:
    """A reading that failed: what was read before stays, with the reason."""
    kept = before.generations if before is not None else ()
    return Listing(replica, before.address if before is not None else "", kept, now, 0.0, str(error))


def ends_of_runs(survey: Survey) -> Survey:
    """The same for a timeline, without the stops that only go on: there may be a hundred thousand of them."""
    stops = survey.stops
    ends = (0, len(stops) - 1)
    kept = [n for n in range(len(stops)) if n in ends or not (stops[n].joined and stops[n + 1].joined)]
    return replace(survey, stops=tuple(stops[n] for n in kept))

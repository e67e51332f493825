"""Who else writes to the place of a replica: another host with another database, or a copy of this program.

Found in listings that are made anyway, without any clock but the store's: a generation that is not of our line and
got an object while we wrote here. It is reported, and never deleted. Another host that has
not written since before our generation began looks like what an earlier run of ours left, and cannot be told from it.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from replication.replica.wal03.holdings import Holdings

_NEVER = datetime.min.replace(tzinfo=UTC)


class Neighbours:
    """What was seen of others, from one listing to the next. Used by one thread at a time."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()
        """Generations of others that were written to while we ran, by name; those that are gone are left out."""
        self._newest: dict[str, datetime] | None = None
        self._since: datetime | None = None
        """When the first object of ours of this run was written, by the store's clock."""

    def look(self, holdings: Sequence[Holdings], ours: Collection[str], first_object: str) -> bool:
        """Look at a whole listing.

        Return True if `found` has changed by it. `first_object` is the first that we wrote.
        """
        if self._since is None:
            self._since = _time_of(holdings, first_object)
        newest = {held.generation: held.newest for held in holdings if held.generation not in ours}
        known = {generation: time for generation, time in newest.items() if time is not None}
        found = {generation for generation in self.found if generation in known}
        for generation, time in known.items():
            before_it = None if self._newest is None else self._newest.get(generation, _NEVER)
            if (before_it is not None and time > before_it) or (self._since is not None and time > self._since):
                found.add(generation)
        self._newest = known
        before, self.found = self.found, tuple(sorted(found))
        return self.found != before


def alive_since(holdings: Sequence[Holdings], ours: Collection[str], began: datetime) -> set[str]:
    """Generations not of our line that were written to after ours began: their writer may be about to go on."""
    return {
        held.generation
        for held in holdings
        if held.generation not in ours and held.newest is not None and held.newest > began
    }


def _time_of(holdings: Sequence[Holdings], name: str) -> datetime | None:
    for held in holdings:
        times = {item.name: item.created for item in held.snapshots} | {
            item.name: item.created for item in held.segments
        }
        if name in times:
            return times[name]
    return None

"""The restore points of some replicas: lists, and segments one by one, as points.PointReader has it.

Its promise: what was learned of a segment is kept as long as it matters, in bounded memory.
"""

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from replication.errors import CorruptObjectError, NoBackupError, ObjectNotFoundError, RestoreError, StorageError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.points import Commits, Extent, Fetch, Learned, Listed, PointMap, Stop
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.choose import choose_among, read_all
from replication.restore.wal03.generations import in_order
from replication.restore.wal03.holes import holes_of
from replication.restore.wal03.offers import OfferOrRefusal, Refusal
from replication.restore.wal03.plan import Plan, make_plan
from replication.restore.wal03.points import point_map, read_commits, read_header
from replication.sqlite.wal import WALHeader
from replication.storage.wal03.replica_client import ReplicaClient
from replication.times import format_time

SEGMENTS_KEPT_MAX = 200
"""Segments whose commits are kept."""
COMMITS_KEPT_MAX = 2_000_000
"""Commits kept over all of them; the newest segment read always is."""
HOLES_READS_MAX = 8
"""Generations that are looked through for holes at the same time."""


class SegmentReader:
    """Used by one thread at a time. `newest` and `waiting` are as in RestoreOptions; "" ends the waiting."""

    def __init__(
        self,
        replicas: Sequence[OpenReplica],
        newest: Callable[[], Position | None] = lambda: None,
        waiting: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._sources = replicas
        self._newest = newest
        self._waiting = waiting
        self._source: OpenReplica | None = None
        self._catalogs: dict[str, Catalog] = {}
        self._point_maps: tuple[PointMap, ...] = ()
        self._extents: dict[str, Extent] = {}
        self._damaged: frozenset[str] = frozenset()
        self._unreadable: frozenset[str] = frozenset()
        self._commits: OrderedDict[str, Commits] = OrderedDict()
        self._headers: dict[tuple[str, int], WALHeader] = {}
        self._holes: dict[str, list[Position]] = {}
        """By generation, the places where an object is missing that no list shows."""

    def list(self, name: str | None = None) -> Listed:
        """List one replica, or that which answers best: the one that restoring the latest state would take.

        Raises StorageError if it, or none of them, answers, and NoBackupError if there is nothing to restore.
        """
        wanted = [source for source in self._sources if name in (None, source.name)]
        stop = threading.Event()
        found, failures = read_all(wanted, None, Latest(), stop, self._newest, self._waiting)
        self._waiting("")
        passed_over = [f"{item.source.name}: {item.error}" for item in failures]
        held = {source.name: [catalog for one, catalog in found if one is source] for source in wanted}
        point_maps = {name: _point_maps(catalogs) for name, catalogs in held.items()}
        usable = [source for source in wanted if point_maps[source.name]]
        if usable:
            source = usable[0]
            others: tuple[str, ...] = ()
            try:
                chosen = choose_among(wanted, found, failures, Latest(), None, stop)
                source = chosen.source if chosen.source in usable else source
                others = tuple(_other(item) for item in chosen.answers if item.source is not source)
            except (RestoreError, StorageError) as error:
                # The points can be looked at all the same. A person has to say which of them is the newest.
                source = max(usable, key=lambda item: _newest(point_maps[item.name]))
                passed_over.append(str(error))
            order = in_order([(source, catalog) for catalog in held[source.name]])
            return self._take(source, held[source.name], order, tuple(passed_over), others)
        if failures:
            raise failures[0].error
        without = next((source for source in wanted if held[source.name]), None)
        if without is not None:
            raise NoBackupError(
                f"{without.address} holds {len(held[without.name])} generations, but none has a snapshot, so "
                "there is nothing to restore. The snapshot key makes one"
            )
        where = ", ".join(source.address for source in wanted) or "no replica"
        raise NoBackupError(f"Nothing has been replicated to {where} yet, so there is nothing to restore")

    def read(self, stop: Stop) -> Learned:
        """Read what is at one stop; what cannot be read is said in the result, and not raised."""
        name, begins = stop.object, stop.begins
        assert self._source is not None
        assert begins is not None
        client = self._source.client(ReplicaClient)
        words, changed = "", False
        key = (begins.generation, begins.index)
        try:
            if begins.offset and key not in self._headers:
                self._headers[key] = read_header(client, begins)
            commits = read_commits(client, begins, self._headers.get(key), self._stored(begins))
        except (CorruptObjectError, ObjectNotFoundError) as error:
            words, changed = str(error), True
            self._damaged |= {name, error.name}
        except StorageError as error:
            words = str(error)
            self._unreadable |= {name}
        else:
            changed = name not in self._extents and self._surprises(begins, commits.extent)
            self._extents[name] = commits.extent
            self._keep(name, commits)
        changed_maps = self._mapped_again(begins.generation) if changed else None
        return Learned(changed_maps, dict(self._commits), self._unreadable, words)

    def plan(self, position: Position) -> Fetch:
        """What restoring a point would fetch, by the list as it was. Raises RestoreError."""
        return self._plan(position).fetch()

    def is_by_itself(self, position: Position) -> bool:
        """True if restoring a point would take a snapshot of Litestream's as it is."""
        try:
            plan = self._plan(position)
        except RestoreError:
            return False
        return plan.snapshot.note is None and not plan.segments

    def _plan(self, position: Position) -> Plan:
        return make_plan(self._catalogs[position.generation], AtPosition(position))

    def _take(
        self,
        source: OpenReplica,
        catalogs: Sequence[Catalog],
        order: Sequence[str],
        passed_over: tuple[str, ...],
        others: tuple[str, ...],
    ) -> Listed:
        """Take this replica as the one whose segments are read from here on, and list its points."""
        if self._source is not source:
            # Another replica cuts its segments elsewhere, under the same names.
            self._extents, self._damaged = {}, frozenset()
            self._commits.clear()
            self._headers.clear()
        self._source, self._unreadable = source, frozenset()
        self._catalogs = {catalog.generation: catalog for catalog in catalogs}
        with ThreadPoolExecutor(HOLES_READS_MAX, thread_name_prefix="find-holes") as pool:
            found_holes = list(pool.map(partial(holes_of, source.client(ReplicaClient)), catalogs))
        self._holes = {catalog.generation: holes for catalog, holes in zip(catalogs, found_holes, strict=True)}
        point_maps = map(self._point_map, catalogs)
        found = [item for item in point_maps if item.stops]
        found.sort(key=lambda item: order.index(item.generation))
        self._point_maps = tuple(found)
        without = len(catalogs) - len(found)
        return Listed(source.name, source.address, self._point_maps, without, passed_over, others)

    def _point_map(self, catalog: Catalog) -> PointMap:
        return point_map(catalog, self._extents, self._damaged, self._holes.get(catalog.generation, ()))

    def _stored(self, begins: Position) -> datetime | None:
        segments, place = self._catalogs[begins.generation].segments, (begins.index, begins.offset)
        here = bisect_left(segments, place, key=lambda item: (item.index, item.offset))
        found = segments[here] if here < len(segments) else None
        return found.created if found is not None and (found.index, found.offset) == place else None

    def _surprises(self, segment: Position, extent: Extent) -> bool:
        """True if reading a segment changes the list: it does not end where the next one of its index begins."""
        segments = self._catalogs[segment.generation].segments
        here = bisect_right(segments, (segment.index, segment.offset), key=lambda item: (item.index, item.offset))
        following = segments[here] if here < len(segments) else None
        joined = following is not None and (following.index, following.offset) == (segment.index, extent.end)
        return not joined or extent.previous is not None

    def _mapped_again(self, generation: str) -> tuple[PointMap, ...] | None:
        """All point maps, with that of one generation made anew; None if it is as before."""
        again = self._point_map(self._catalogs[generation])
        now = tuple(again if item.generation == generation else item for item in self._point_maps)
        now = tuple(item for item in now if item.stops)
        if now == self._point_maps or not now:
            return None
        self._point_maps = now
        return now

    def _keep(self, name: str, commits: Commits) -> None:
        self._commits[name] = commits
        self._commits.move_to_end(name)
        total = sum(len(item.ends) for item in self._commits.values())
        while len(self._commits) > 1 and (len(self._commits) > SEGMENTS_KEPT_MAX or total > COMMITS_KEPT_MAX):
            total -= len(self._commits.popitem(last=False)[1].ends)


def _point_maps(catalogs: Sequence[Catalog]) -> list[PointMap]:
    return [item for item in map(point_map, catalogs) if item.stops]


def _newest(point_maps: Sequence[PointMap]) -> datetime:
    return max(item.stops[-1].time for item in point_maps)


def _other(answer: OfferOrRefusal) -> str:
    """What another replica has of the newest generation, in words."""
    if isinstance(answer, Refusal):
        return f"{answer.source.name}: {answer.error}"
    newest = answer.catalog.newest
    return f"{answer.source.name} up to {answer.end}" + (f", from {format_time(newest)}" if newest else "")

"""What a restore picker reads from the replicas of one database: lists, and segments one by one.

Its promise: what was learned of a segment is kept as long as it matters, in bounded memory. Every method may wait
for the store, so it is called from a thread, one call at a time. Values come out, of which none needs the layout.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from replication.config import Config
from replication.errors import CorruptObjectError, NoBackupError, ObjectNotFoundError, RestoreError, StorageError
from replication.holes import holes_of
from replication.offline import look
from replication.position import Position
from replication.restore.open_replicas import replicas_of
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.attempts import Prepared
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.choose import OpenReplica, choose_among, read_all
from replication.restore.wal03.generations import in_order
from replication.restore.wal03.offers import OfferOrRefusal, Refusal
from replication.restore.wal03.plan import Plan, make_plan
from replication.restore.wal03.points import Commits, Extent, PointMap, Stop, point_map, read_commits, read_header
from replication.sqlite.wal import WALHeader
from replication.storage.wal03.names import SegmentInfo, generation_prefix
from replication.times import format_time

SEGMENTS_KEPT_MAX = 200
"""Segments whose commits are kept."""
COMMITS_KEPT_MAX = 2_000_000
"""Commits kept over all of them; the newest segment read always is."""


HOLES_READS_MAX = 8
"""Generations that are looked through for holes at the same time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A replica as it was listed: its generations with restore points, newest first, and how many have none.

    `passed_over` says of other replicas why they were not taken, `others` what those have that were not needed.
    """

    replica: str
    address: str
    point_maps: tuple[PointMap, ...]
    without_points: int
    passed_over: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What reading a segment told: everything to give to the picker anew."""

    point_maps: tuple[PointMap, ...] | None
    commits: Mapping[str, Commits]
    unreadable: frozenset[str]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What restoring a point would fetch: in short, its bytes as stored, and line by line with every object."""

    words: str
    size: int
    lines: tuple[str, ...]


class Reader:
    """Opens the replicas when first asked; `close` lets go of them."""

    def __init__(self, config: Config, database: str) -> None:
        self._config = config
        self._path = Path(database)
        self._stack = ExitStack()
        self._sources: list[OpenReplica] = []
        self._source: OpenReplica | None = None
        self._catalogs: dict[str, Catalog] = {}
        self._point_maps: tuple[PointMap, ...] = ()
        self._extents: dict[str, Extent] = {}
        self._damaged: frozenset[str] = frozenset()
        self._unreadable: frozenset[str] = frozenset()
        self._commits: OrderedDict[str, Commits] = OrderedDict()
        self._headers: dict[tuple[str, int], WALHeader] = {}
        self._holes: dict[str, list[Position]] = {}
        """By generation, where something is missing that no list shows."""
        self.waiting = ""
        """Which replica is waited for, in words; set by the thread that waits."""

    def close(self) -> None:
        """Let go of the replicas."""
        self._stack.close()

    def names(self) -> list[str]:
        """The names of the replicas, in the order of the configuration."""
        if not self._sources:
            self._sources = self._stack.enter_context(replicas_of(self._config, self._path))
        return [source.name for source in self._sources]

    def list(self, name: str | None = None) -> Listed:
        """List one replica, or that which answers best: the one that restoring the latest state would take.

        Raises StorageError if it, or none of them, answers, and NoBackupError if there is nothing to restore.
        """
        self.names()
        wanted = [source for source in self._sources if name in (None, source.name)]
        stop = threading.Event()
        found, failures = read_all(wanted, None, Latest(), stop, self._newest, self._tell)
        self.waiting = ""
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
                # The points can be looked at all the same; which is the newest is for a person to say.
                source = max(usable, key=lambda item: _newest(point_maps[item.name]))
                passed_over.append(str(error))
            order = in_order([(source, catalog) for catalog in held[source.name]])
            return self._take(source, held[source.name], order, tuple(passed_over), others)
        if failures:
            raise failures[0].error
        without = next((source for source in wanted if held[source.name]), None)
        if without is not None:
            raise NoBackupError(
                f"{without.client.address} holds {len(held[without.name])} generations, but none has a snapshot, so "
                "there is nothing to restore. The snapshot key makes one"
            )
        where = ", ".join(source.client.address for source in wanted) or "no replica"
        raise NoBackupError(f"Nothing has been replicated to {where} yet, so there is nothing to restore")

    def read(self, stop: Stop) -> Learned:
        """Read what is at one stop; what cannot be read is told in words, and not raised."""
        segment = stop.segment
        assert self._source is not None
        assert segment is not None
        words, changed = "", False
        key = (segment.generation, segment.index)
        try:
            if segment.offset and key not in self._headers:
                self._headers[key] = read_header(self._source.client, segment)
            commits = read_commits(self._source.client, segment, self._headers.get(key))
        except (CorruptObjectError, ObjectNotFoundError) as error:
            words, changed = str(error), True
            self._damaged |= {segment.name, error.name}
        except StorageError as error:
            words = str(error)
            self._unreadable |= {segment.name}
        else:
            changed = segment.name not in self._extents and self._surprises(segment, commits.extent)
            self._extents[segment.name] = commits.extent
            self._keep(segment.name, commits)
        changed_maps = self._mapped_again(segment.generation) if changed else None
        return Learned(changed_maps, dict(self._commits), self._unreadable, words)

    def plan(self, position: Position) -> Fetch:
        """What restoring a point would fetch, by the list as it was. Raises RestoreError."""
        return _fetch(self._plan(position))

    def is_by_itself(self, position: Position) -> bool:
        """True if restoring a point would take a snapshot of Litestream's as it is."""
        try:
            plan = self._plan(position)
        except RestoreError:
            return False
        return plan.snapshot.note is None and not plan.segments

    def _plan(self, position: Position) -> Plan:
        return make_plan(self._catalogs[position.generation], AtPosition(position))

    def _newest(self) -> Position | None:
        """The last commit that was copied here."""
        found = self._config.named(self._path)
        return look(found).position if found is not None else None

    def _tell(self, words: str) -> None:
        self.waiting = words

    def _take(
        self,
        source: OpenReplica,
        catalogs: Sequence[Catalog],
        order: Sequence[str],
        passed_over: tuple[str, ...],
        others: tuple[str, ...],
    ) -> Listed:
        """From here on segments of this replica are read."""
        if self._source is not source:
            # Another replica cuts its segments elsewhere, under the same names.
            self._extents, self._damaged = {}, frozenset()
            self._commits.clear()
            self._headers.clear()
        self._source, self._unreadable = source, frozenset()
        self._catalogs = {catalog.generation: catalog for catalog in catalogs}
        with ThreadPoolExecutor(HOLES_READS_MAX, thread_name_prefix="find-holes") as pool:
            found_holes = list(pool.map(partial(holes_of, source.client), catalogs))
        self._holes = {catalog.generation: holes for catalog, holes in zip(catalogs, found_holes, strict=True)}
        point_maps = map(self._point_map, catalogs)
        found = [item for item in point_maps if item.stops]
        found.sort(key=lambda item: order.index(item.generation))
        self._point_maps = tuple(found)
        without = len(catalogs) - len(found)
        return Listed(source.name, source.client.address, self._point_maps, without, passed_over, others)

    def _point_map(self, catalog: Catalog) -> PointMap:
        return point_map(catalog, self._extents, self._damaged, self._holes.get(catalog.generation, ()))

    def _surprises(self, segment: SegmentInfo, extent: Extent) -> bool:
        """False if a segment ends where the next one of its index begins, so that no list changes by it."""
        segments = self._catalogs[segment.generation].segments
        here = bisect_right(segments, (segment.index, segment.offset), key=lambda item: (item.index, item.offset))
        following = segments[here] if here < len(segments) else None
        joined = following is not None and (following.index, following.offset) == (segment.index, extent.end)
        return not joined or extent.previous is not None

    def _mapped_again(self, generation: str) -> tuple[PointMap, ...] | None:
        """All surveys, with that of one generation made anew; None if it is as before."""
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


def fetch_of(prepared: Prepared) -> Fetch:
    """What a restore that was prepared would fetch."""
    return _fetch(prepared.plan)


def _fetch(plan: Plan) -> Fetch:
    segments = len(plan.segments)
    words = f"snapshot {plan.snapshot.info.index:08x}"
    words += f" + {segments} segment{'' if segments == 1 else 's'}" if segments else ""
    # The first line names the generation; again before each object there would be no room for the rest.
    prefix = generation_prefix(plan.generation)
    return Fetch(words, plan.size, tuple(line.replace(prefix, "", 1) for line in plan.lines()))


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

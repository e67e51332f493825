"""What a restore picker reads from the replicas of one database: lists, and segments one by one.

Its promise: what was learned of a segment is kept as long as it matters, in bounded memory. Nothing here knows
Textual; every method may wait for the store, so it is called from a thread, one call at a time.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from replication.config import Config
from replication.errors import CorruptObjectError, NoBackupError, ObjectNotFoundError, StorageError
from replication.position import Position
from replication.restore.catalog import Catalog, read_catalog
from replication.restore.choose import Source
from replication.restore.plan import Plan, make_plan
from replication.restore.points import Commits, Extent, Survey, read_commits, read_header, survey
from replication.restore.target import AtPosition
from replication.sqlite.wal import WALHeader
from replication.storage.names import SegmentInfo
from tui.replicas import sources_of

SEGMENTS_KEPT_MAX = 200
"""Segments whose commits are kept."""
COMMITS_KEPT_MAX = 2_000_000
"""Commits kept over all of them; the newest segment read always is."""
LISTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Listed:
    """A replica as it was listed: its generations with restore points, newest first, and how many have none.

    `passed_over` says of other replicas why they were not taken.
    """

    source: Source
    surveys: tuple[Survey, ...]
    without_points: int
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What reading a segment told: everything to give to the picker anew."""

    surveys: tuple[Survey, ...] | None
    commits: Mapping[str, Commits]
    unreadable: frozenset[str]
    words: str = ""


class Reader:
    """Opens the replicas when first asked; `close` lets go of them."""

    def __init__(self, config: Config, database: str) -> None:
        self._config = config
        self._database = database
        self._stack = ExitStack()
        self._sources: list[Source] = []
        self._source: Source | None = None
        self._catalogs: dict[str, Catalog] = {}
        self._surveys: tuple[Survey, ...] = ()
        self._extents: dict[str, Extent] = {}
        self._damaged: frozenset[str] = frozenset()
        self._unreadable: frozenset[str] = frozenset()
        self._commits: OrderedDict[str, Commits] = OrderedDict()
        self._headers: dict[tuple[str, int], WALHeader] = {}

    def close(self) -> None:
        """Let go of the replicas."""
        self._stack.close()

    def names(self) -> list[str]:
        """The names of the replicas, in the order of the configuration."""
        if not self._sources:
            self._sources = self._stack.enter_context(sources_of(self._config, self._database))
        return [source.name for source in self._sources]

    def list(self, name: str | None = None) -> Listed:
        """List one replica, or the first that answers and holds a restore point.

        Raises StorageError if it, or none of them, answers, and NoBackupError if there is nothing to restore.
        """
        self.names()
        wanted = [source for source in self._sources if name in (None, source.name)]
        passed_over: list[str] = []
        failure: StorageError | None = None
        empty: Listed | None = None
        for source in wanted:
            try:
                listed = self._list(source)
            except StorageError as error:
                failure = failure or error
                passed_over.append(f"{source.name}: {error}")
                continue
            if listed.surveys:
                return Listed(source, listed.surveys, listed.without_points, tuple(passed_over))
            empty = empty or listed
            passed_over.append(f"{source.name} holds no restore point")
        if failure is not None:
            raise failure
        if empty is not None and empty.without_points:
            raise NoBackupError(
                f"{empty.source.client.address} holds {empty.without_points} generations, but none has a snapshot, so "
                "there is nothing to restore. The snapshot key makes one"
            )
        where = ", ".join(source.client.address for source in wanted) or "no replica"
        raise NoBackupError(f"Nothing has been replicated to {where} yet, so there is nothing to restore")

    def read(self, segment: SegmentInfo) -> Learned:
        """Read one segment; what cannot be read is told in words, and not raised."""
        assert self._source is not None
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
        resurveyed = self._resurvey(segment.generation) if changed else None
        return Learned(resurveyed, dict(self._commits), self._unreadable, words)

    def plan(self, position: Position) -> Plan:
        """What restoring a point would fetch, by the list as it was. Raises RestoreError."""
        return make_plan(self._catalogs[position.generation], AtPosition(position))

    def _list(self, source: Source) -> Listed:
        names = source.client.generations()
        with ThreadPoolExecutor(LISTS_AT_ONCE, thread_name_prefix="list-generation") as pool:
            catalogs = list(pool.map(lambda name: read_catalog(source.client, name), names))
        if self._source is not source:
            # Another replica cuts its segments elsewhere, under the same names.
            self._extents, self._damaged = {}, frozenset()
            self._commits.clear()
            self._headers.clear()
        self._source, self._unreadable = source, frozenset()
        self._catalogs = {catalog.generation: catalog for catalog in catalogs}
        surveys = (survey(catalog, self._extents, self._damaged) for catalog in catalogs)
        found = [item for item in surveys if item.stops]
        found.sort(key=lambda item: (item.stops[-1].time, item.stops[0].time), reverse=True)
        self._surveys = tuple(found)
        return Listed(source, self._surveys, len(catalogs) - len(found))

    def _surprises(self, segment: SegmentInfo, extent: Extent) -> bool:
        """False if a segment ends where the next one of its index begins, so that no list changes by it."""
        segments = self._catalogs[segment.generation].segments
        here = bisect_right(segments, (segment.index, segment.offset), key=lambda item: (item.index, item.offset))
        following = segments[here] if here < len(segments) else None
        joined = following is not None and (following.index, following.offset) == (segment.index, extent.end)
        return not joined or extent.previous is not None

    def _resurvey(self, generation: str) -> tuple[Survey, ...] | None:
        """All surveys, with that of one generation made anew; None if it is as before."""
        again = survey(self._catalogs[generation], self._extents, self._damaged)
        now = tuple(again if item.generation == generation else item for item in self._surveys)
        now = tuple(item for item in now if item.stops)
        if now == self._surveys or not now:
            return None
        self._surveys = now
        return now

    def _keep(self, name: str, commits: Commits) -> None:
        self._commits[name] = commits
        self._commits.move_to_end(name)
        total = sum(len(item.ends) for item in self._commits.values())
        while len(self._commits) > 1 and (len(self._commits) > SEGMENTS_KEPT_MAX or total > COMMITS_KEPT_MAX):
            total -= len(self._commits.popitem(last=False)[1].ends)

"""What a replica holds, replayed in memory as its objects arrive: every restore point against the oracle, at once.

A restore of every point after every step would cost seconds. Here each frame is verified and applied once, when the
object with it is stored, and the database is hashed at each commit. It trusts nothing but the bytes of the objects.
"""

import struct
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from replication.position import Position, positions_in
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import WALHeader, frames_in
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.wal03.names import parse_segment
from tests.restore.reference import commits_of
from tests.torture.oracle import Oracle
from tests.torture.place import Arrived, Store

OUT_OF_ORDER = "its commits are not one after the other"


@dataclass(frozen=True, slots=True)
class Kept:
    """One object. `place` is where a segment begins, and the commit that a snapshot holds; `commits` are all in it.

    `time` is the true time of writing, `stamp` that of the store, whose clock was `ahead`. `before` are the generations
    that a snapshot names as older, `beside` says that somebody else was seen to go on with one of them; it `begins` its
    generation if nothing of that was there.
    """

    name: str
    place: Position
    end: Position
    commits: tuple[Position, ...]
    snapshot: bool
    time: float
    stamp: datetime
    ahead: float
    before: frozenset[str] = frozenset()
    beside: bool = False
    begins: bool = False
    lefts: frozenset[Position] = frozenset()
    """The first places past where generations before that of a snapshot were left."""
    reached: frozenset[Position] = frozenset()
    """The first places past what others had in this replica."""
    seen: tuple[tuple[Position, datetime], ...] = ()
    """Up to where a segment was copied by which time of the store, as its note tells."""


@dataclass
class _History:
    """One generation as far as it was replayed. `content` is the database after the commit `number` at `position`."""

    content: bytearray
    position: Position
    number: int
    page_size: int
    header: WALHeader | None = None
    index: int = -1
    end: int = 0
    sums: Sums = (0, 0)
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    """Frames no commit has followed yet: page numbers and pages."""
    mark: str = ""
    """Salts and checksum of the last frame that the snapshot holds, as it notes them."""

    def goes_on_in(self, data: bytes) -> bool:
        """True if WAL from the start of its index is that which the snapshot holds, as far as it comes."""
        at = self.position.offset
        frame = data[at - FRAME_HEADER_SIZE - self.page_size : at]
        return not self.mark or len(data) < at or frame[8:24].hex() == self.mark


class Mirror:
    """One replica. `points` are its restore points with the states that they must restore to."""

    def __init__(self, store: Store, oracle: Oracle) -> None:
        self.store = store
        self.points: dict[Position, int] = {}
        self.histories: dict[str, _History] = {}
        self.kept: dict[str, Kept] = {}
        """All objects that were ever written, as they were written last."""
        self._oracle = oracle
        self._wal: dict[tuple[str, int], bytearray] = {}
        """What was ever seen of each index."""
        self._ended: set[tuple[str, int]] = set()
        """Indexes from the end of which the next one goes on."""
        self.shared = False
        """There is, or was, another side."""
        self.passed_by = 0
        """Commits by another name of the database that no restore point has; the next commit holds what they did."""
        self._page_sizes: dict[str, int] = {}
        self._orphans: dict[Position, tuple[Arrived, bytes]] = {}
        """Segments that nothing leads to, since all before them was removed."""

    def emptied(self) -> None:
        """All was removed behind the engine's back: what comes now need not follow anything until a snapshot comes."""
        self.points.clear()
        self.histories.clear()
        self._wal.clear()
        self._ended.clear()
        self._orphans.clear()

    def lost_the_last(self, generation: str) -> None:
        """Somebody removed what came last of a generation: it is as if that had never come."""
        names = [name for name in self.store.names() if name.split("/")[1] == generation]
        left = sorted((self.kept[name] for name in names), key=lambda item: item.time)
        if generation in self.histories:
            self._begin_anew(generation)
        self._orphans = {at: item for at, item in self._orphans.items() if at.generation != generation}
        for item in left:
            data = self.store.read(item.name)
            self._look_at(Arrived(item.name, data, item.time, item.stamp, item.ahead, True, False))

    def held(self) -> dict[str, list[Kept]]:
        """What is there now, by generation."""
        found: dict[str, list[Kept]] = {}
        for name in self.store.names():
            found.setdefault(self.kept[name].place.generation, []).append(self.kept[name])
        return found

    def length(self, generation: str, index: int) -> int | None:
        """How long an index was, if the next one has begun."""
        return len(self._wal.get((generation, index), b"")) if (generation, index) in self._ended else None

    def look(self) -> int:
        """Replay what was written since the last look; how many commits that were."""
        written, self.store.written = self.store.written, []
        before = len(self.points)
        for item in written:
            self._look_at(item)
        return len(self.points) - before

    def _look_at(self, item: Arrived) -> None:
        data = b"".join(DEFAULT_CODEC.open(item.name, iter([item.data])))
        _, generation, kind, base = item.name.split("/")
        if generation in self.histories and item.alone:
            self._begin_anew(generation)
        if kind == "snapshots":
            self._snapshot(item, generation, data)
        else:
            place = parse_segment(base)
            assert place is not None
            self._segment(item, Position(generation, *place), data)

    def _snapshot(self, item: Arrived, generation: str, data: bytes) -> None:
        note = DEFAULT_CODEC.open("object", [item.data]).note
        assert note is not None
        position = Position.parse(str(note["position"]))
        number = self._oracle.number(data)
        assert number >= 0, f"{item.name} at {position} is a state that never was"
        assert self.points.setdefault(position, number) == number, f"{item.name} is not the commit that it says"
        before = frozenset({str(note["previous"]), *str(note["earlier"]).split()} - {""})
        when, said = (item.time, item.stamp, item.ahead), (before, bool(note.get("beside")), bool(note.get("begins")))
        lefts, reached = (frozenset(positions_in(str(note.get(key, "")))) for key in ("lefts", "reached"))
        self.kept[item.name] = Kept(item.name, position, position, (position,), True, *when, *said, lefts, reached)
        self._page_sizes[generation] = int(note["page_size"])
        known = self.histories.get(generation)
        if known is None or (self._may_lead_nowhere(generation) and known.position < position):
            # What led to it is gone, or never came: from here on it is whole again.
            made = _History(bytearray(data), position, number, int(note["page_size"]), mark=str(note.get("frame", "")))
            self.histories[generation] = made
            following = Position(generation, position.index, 0)
            while following in self._orphans:
                self._segment(self._orphans[following][0], following, self._orphans[following][1])
                following = Position(generation, position.index, made.end)

    def _may_lead_nowhere(self, generation: str) -> bool:
        """True where others removed what this would have followed: somebody, or another side's retention."""
        if self.store.emptied:
            return True
        before = {name for name in self.kept if name.split("/")[1] == generation}
        return self.shared and not before <= {*self.store.names()}

    def _begin_anew(self, generation: str) -> None:
        """All of it went, by retention of another side that had left it: now it begins here once more."""
        del self.histories[generation]
        self.points = {at: number for at, number in self.points.items() if at.generation != generation}
        self._wal = {key: wal for key, wal in self._wal.items() if key[0] != generation}
        self._ended = {key for key in self._ended if key[0] != generation}

    def _segment(self, item: Arrived, start: Position, data: bytes) -> None:
        name, generation, index = item.name, start.generation, start.index
        history = self.histories.get(generation)
        follows = history is not None and self._follows(history, start, item.data, data)
        if self._may_lead_nowhere(generation) and not follows:
            self._orphans[start] = (item, data)
            self._keep(item, start, data)
            return
        assert history is not None, f"{name} came before any snapshot"
        wal = self._wal.setdefault((generation, index), bytearray())
        same = wal[start.offset : start.offset + len(data)]
        assert data.startswith(bytes(same)), f"{name} was written again with other content"
        assert start.offset + len(same) == len(wal) or not data[len(same) :], f"{name}: WAL was skipped"
        wal += data[len(same) :]
        self._keep(item, start, data)
        known = 0
        if index == history.index:
            known = max(0, min(history.end - start.offset, len(data)))
        elif data:
            assert start.offset == 0, f"{name}: WAL was skipped"
            first = history.index < 0 and index == history.position.index
            assert first or index == history.index + 1, f"{name}: an index was skipped"
            assert not history.waiting, f"{name}: the index before does not end with a commit"
            self._ended |= {(generation, history.index)} if history.index >= 0 else set()
            history.header = WALHeader.parse(data[:WAL_HEADER_SIZE])
            history.index, history.end, history.sums = index, WAL_HEADER_SIZE, history.header.sums
            known = WAL_HEADER_SIZE
        if data[known:]:
            assert start.offset + known == history.end, f"{name}: WAL was skipped"
            self._replay(name, history, data[known:])

    def _keep(self, item: Arrived, start: Position, data: bytes) -> None:
        commits = commits_of(data, start.offset, self._page_sizes[start.generation])
        ends = tuple(Position(start.generation, start.index, offset) for offset in commits)
        end = Position(start.generation, start.index, start.offset + len(data))
        note = DEFAULT_CODEC.open("object", [item.data]).note or {}
        # Of a store that tells whole seconds it may have come at the end of one.
        stored = item.stamp if item.stamp.microsecond else item.stamp + timedelta(seconds=1)
        told = (entry.split(":") for entry in str(note.get("seen", "")).split())
        seen = tuple((replace(start, offset=int(at)), stored - timedelta(milliseconds=int(age))) for at, age in told)
        when = (item.time, item.stamp, item.ahead)
        self.kept[item.name] = Kept(item.name, start, end, ends, False, *when, seen=seen)

    def _follows(self, history: _History, start: Position, stored: bytes, data: bytes) -> bool:
        """True if a segment begins where a generation has come to, or is in it already."""
        if start.index == history.index:
            known = self._wal[start.generation, start.index][start.offset : start.offset + len(data)]
            return start.offset <= history.end and data.startswith(bytes(known))
        if history.header is None:
            return (start.index, start.offset) == (history.position.index, 0) and history.goes_on_in(data)
        # Of two sides each may have its own end of the index before.
        note = DEFAULT_CODEC.open("object", [stored]).note or {}
        end = f"{start.generation}/{history.index:08x}:{history.end}"
        mark = struct.pack(">IIII", *history.header.salts, *history.sums).hex()
        said = (note.get("previous", end), note.get("frame", mark))
        return (start.index, start.offset) == (history.index + 1, 0) and said == (end, mark)

    def _replay(self, name: str, history: _History, data: bytes) -> None:
        header = history.header
        assert header is not None
        assert header.page_size == history.page_size
        frames = frames_in(data, header, history.sums)
        assert frames.count * header.frame_size == len(data), f"{name}: a frame is not valid"
        history.sums = frames.sums
        for row in range(frames.count):
            at = row * header.frame_size + FRAME_HEADER_SIZE
            history.waiting.append((int(frames.pages[row]), data[at : at + header.page_size]))
            history.end += header.frame_size
            if frames.commits[row]:
                self._commit(name, history, int(frames.commits[row]))

    def _commit(self, name: str, history: _History, pages: int) -> None:
        position = Position(history.position.generation, history.index, history.end)
        if position > history.position:
            size, content = history.page_size, history.content
            content.extend(bytes(max(0, pages * size - len(content))))
            for page, data in history.waiting:
                content[(page - 1) * size : page * size] = data
            del content[pages * size :]
            number = self._oracle.number(content)
            assert number >= 0, f"{name}: {position} is a state that never was"
            passed_by = self._oracle.between(history.number, number)
            assert passed_by is not None, f"{name}: {OUT_OF_ORDER}: {history.number}, {number}"
            self.passed_by += passed_by
            assert self.points.setdefault(position, number) == number
            history.position, history.number = position, number
        history.waiting.clear()

"""Replicas as values of time for rounds of retention: generations, indexes, hosts with wrong clocks, programs without
notes, and a store whose clock is right, if only to the second.

What retention may remove is judged here by the true times and in a few lines of its own: a commit is restorable if a
snapshot of its generation is no later and every segment from the start of that snapshot's index up to it is there.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from replication.position import Position
from replication.replica.wal03.keeping import Keeping
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name, snapshot_name
from replication.storage.wal03.notes import SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient

BEGAN = datetime(2024, 5, 1, tzinfo=UTC)
FRAME_BYTES, HEADER_BYTES, PAGE_BYTES = 536, 32, 512
CLOCKS = (0.0, 0.0, -2.0, 60.0, -60.0, 86_400.0, -86_400.0, 31_536_000.0, -94_608_000.0)
WINDOWS = (5.0, 60.0, 600.0)
RULES_MAX = 64


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as it was uploaded: when, and where it ends. `segment` begins the object that has it."""

    time: float
    generation: str
    index: int
    offset: int
    segment: str


@dataclass(frozen=True, slots=True)
class Image:
    """A snapshot by what it truly holds."""

    name: str
    generation: str
    index: int
    offset: int


class Rounds:
    """One place over time. Every method that acts is one step; `commits` and `images` never forget."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0.0
        self.off = 0.0
        self.whole_seconds = chance.random() < 0.5
        self.store = MemoryStorage(clock=self.store_time)
        self.client = ReplicaClient(self.store)
        self.commits: list[Commit] = []
        self.images: list[Image] = []
        self.segments: list[tuple[str, int, int, str]] = []
        """Generation, index, offset and name of each that was ever written."""
        self.rounds = self.removed = 0
        self.line: list[str] = []
        self.noted = True
        self.log: list[str] = []
        self.keeping = self.restart()
        self.begin()

    def store_time(self) -> datetime:
        time = BEGAN + timedelta(seconds=self.now)
        return time.replace(microsecond=0) if self.whole_seconds else time

    def host_time(self) -> datetime:
        return BEGAN + timedelta(seconds=self.now + self.off)

    def restart(self) -> Keeping:
        """The program ends and begins again, on another host or with another clock."""
        self.off = self.chance.choice(CLOCKS)
        self.keeping = Keeping("r", self.client, lambda *_, **__: None, lambda: self.now)
        return self.keeping

    # -- what is written ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A generation begins with a snapshot; a program without notes says nothing of those before it."""
        # Litestream leaves a snapshot without a note; here one also has the next index before more is committed.
        self.generation = f"{self.chance.getrandbits(64):016x}"
        self.index, self.offset = 0, HEADER_BYTES + FRAME_BYTES * self.chance.randint(1, 3)
        self.snapshot()
        self.start, self.sent = 0, False
        self.upload(0)
        self.line.append(self.generation)

    def snapshot(self) -> None:
        """Of the newest commit, if the index has none."""
        name = snapshot_name(self.generation, self.index)
        if any(image.name == name for image in self.images):
            return
        position = Position(self.generation, self.index, self.offset)
        before = self.line[::-1][:RULES_MAX]
        note = SnapshotNote(
            position=position,
            pages=1,
            page_size=PAGE_BYTES,
            mode=None,
            time=self.host_time(),
            reason="",
            previous=before[0] if before else "",
            earlier=tuple(before[1:]),
        )
        self.client.write_snapshot(self.generation, self.index, [b"x"], note)
        if not self.noted:
            self.store.replace(name, b"".join(DEFAULT_CODEC.seal([b"x"])))
        self.keeping.clock.wrote(name, self.now)
        self.keeping.expected.snapshot(position)
        self.images.append(Image(name, self.generation, self.index, self.offset))
        self.commits.append(Commit(self.now, self.generation, self.index, self.offset, ""))

    def upload(self, frames: int) -> None:
        """A segment of so many commits, of one frame each."""
        if self.sent is False:
            self.start, self.sent = 0, True
        begins = Position(self.generation, self.index, self.start)
        name = segment_name(begins)
        ends = [self.offset + FRAME_BYTES * number for number in range(1, frames + 1)]
        if self.start == 0 and not ends:
            ends = [self.offset]
        # As long as the next one says: objects without a number are measured.
        self.client.write_segment(begins, [bytes(ends[-1] - self.start)])
        self.keeping.clock.wrote(name, self.now)
        self.keeping.expected.segment(begins)
        self.segments.append((self.generation, self.index, self.start, name))
        self.commits += [Commit(self.now, self.generation, self.index, end, name) for end in ends]
        self.offset = self.start = ends[-1]

    def next_index(self) -> None:
        self.index, self.offset, self.start, self.sent = self.index + 1, 0, 0, False
        self.offset = HEADER_BYTES
        self.upload(self.chance.randint(1, 2))

    def step(self) -> None:
        """One event by chance."""
        long = 600.0 if self.chance.random() < 0.1 else 1.0
        # The store has whole microseconds.
        self.now = round(self.now + self.chance.choice((0.001, 0.3, 0.7, 2.0, 2.0, 30.0, long)), 6)
        what = self.chance.choices(
            ("upload", "index", "snapshot", "restart", "begin", "notes", "lost folder"), (14, 4, 4, 1, 1, 0.3, 0.3)
        )[0]
        self.log.append(f"{self.now:.3f} {what}")
        match what:
            case "upload":
                self.upload(self.chance.randint(1, 3))
            case "index":
                self.next_index()
            case "snapshot":
                self.snapshot()
            case "restart":
                self.restart()
            case "begin":
                self.begin()
            case "notes":
                self.noted = not self.noted
                self.begin()
            case _:
                # The next generation knows of none before it, and the times of the store must do.
                self.line.clear()
                self.now = round(self.now + 2.0, 6)
                self.restart()
                self.begin()

    # -- rounds -------------------------------------------------------------------------------------------------------

    def restorable(self) -> set[Commit]:
        """All commits that what is there leads to."""
        names = set(self.store.names())
        found = set()
        by_index: dict[tuple[str, int], list[tuple[int, str]]] = {}
        for generation, index, offset, name in self.segments:
            by_index.setdefault((generation, index), []).append((offset, name))
        for image in self.images:
            if image.name not in names:
                continue
            index = image.index
            while chain := sorted(by_index.get((image.generation, index), [])):
                whole = True
                for _, name in chain:
                    whole = whole and name in names
                    if whole:
                        found |= {
                            commit
                            for commit in self.commits
                            if commit.segment == name and (index, commit.offset) >= (image.index, image.offset)
                        }
                if not whole:
                    break
                index += 1
            found |= {
                commit
                for commit in self.commits
                if (commit.generation, commit.index, commit.offset) == (image.generation, image.index, image.offset)
            }
        return found

    def wanted(self, seconds: float) -> set[Commit]:
        """All commits that were uploaded within the window by a clock that is right, and the newest before it."""
        begin = round(self.now - seconds, 6)
        older = [commit for commit in self.commits if commit.time <= begin]
        last = older[-1:]
        same = [c for c in self.commits if last and (c.generation, c.index, c.offset) == _place(last[0])]
        return {commit for commit in self.commits if commit.time > begin} | set(same)

    def round(self) -> None:
        """Retention, as a replica does it: nothing of the window is lost."""
        seconds = self.chance.choice(WINDOWS)
        before = {_place(commit) for commit in self.restorable()}
        position = Position(self.generation, self.index, self.offset)
        holdings = self.keeping.look()
        proof = self.keeping.prove(holdings, position)
        assert proof is not None
        assert proof.restorable, f"a false alarm: {proof}\n{self.told()}"
        self.removed += self.keeping.forget(holdings, position, seconds, (), self.host_time())
        after = {_place(commit) for commit in self.restorable()}
        lost = {_place(commit) for commit in self.wanted(seconds)} & before - after
        assert not lost, f"retention of {seconds} s at {self.now:.3f} lost {sorted(lost)}\n{self.told()}"
        self.rounds += 1

    def told(self) -> str:
        listed = [f"{item.modified - BEGAN} {item.name}" for item in self.store.list("")]
        return "\n".join(
            [*self.log, *(f"{c.time:.3f} {c.generation} {c.index} {c.offset}" for c in self.commits), *listed]
        )


def _place(commit: Commit) -> tuple[str, int, int]:
    return (commit.generation, commit.index, commit.offset)

"""One side of a history of the state machine: its application, and an engine with two replicas driven step by step.

Every method is one step. Others may act between two steps of ours (interleaving.py). After every step the replicas are
replayed in memory against the oracle, and each new generation must have a cause among the things that happened.
The places are in world.py; a second side is made in cloning.py, and how a history ends is in settling.py.
"""

import shutil
from collections import Counter, deque
from pathlib import Path
from typing import Any

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.database.source_files import WRITTEN
from replication.database.wal_scanner import WALCursor
from replication.errors import DatabaseError, StorageError
from replication.local.files import PROOF_NAME
from replication.replica.wal03.replica import Replica
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.torture.causes import JUSTIFIED, known_reason
from tests.torture.crew import Crew
from tests.torture.files import Files
from tests.torture.interleaving import Between
from tests.torture.mortal import Mortal
from tests.torture.world import World

SAID_MAX = 60
BUSY_WORDS = ("is locked", "changed while it was opened", "pinned reader was lost", "is not open")
PARTED = ("another program writes the same history", "the replica holds another history")
"""What is said when another program is found in this history."""


class History(Files):
    """See above. `counts` collects what happened over all histories."""

    def __init__(
        self,
        folder: Path,
        crews: dict[str, Crew],
        mortal: Mortal,
        between: Between,
        world: World,
        settings: tuple[int, str, int],
        policy: CheckpointPolicy,
    ) -> None:
        counts: Counter[str] = world.counts
        super().__init__(folder, crews, mortal, counts, settings)
        self.between, self.world, self.clock, self.policy = between, world, world.clock, policy
        self.oracle = world.oracle
        self.last_cursor: WALCursor | None = None
        """How far the engine had come when it ended."""
        self.left_file = (0, 0)
        """The database file as the engine left it."""
        self.opening = False
        """It began this step without a pin."""
        self.database: Database | None = None
        self.replicas: dict[str, Replica] = {}
        self.said: deque[str] = deque(maxlen=SAID_MAX)
        """What the engine told last, for a failure."""
        self.cloned = False
        """It had a copy, or is one."""
        self.started = 0.0
        self.stands_since = 0.0
        """When its replicas were looked up, at the earliest."""
        self.forgotten: set[str] = set()
        """Generations of before the local folder was lost, while there was another side."""
        self.wrote: dict[str, list[float]] = {}
        """By how much each place was ahead when this run of the engine wrote to it."""

    def begin(self) -> None:
        """The first steps of all."""
        self.open_application()
        self.commit("left", "small")
        self.start([])

    # -- the engine -----------------------------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        return self.database is not None and self.database._opened is not None and not self.opening

    @property
    def shares_its_index(self) -> bool:
        held = self.database._opened if self.database is not None else None
        return held is None or held.wal_index.is_in_place()

    @property
    def followed(self) -> bytes | None:
        held = self.database is not None and self.database._opened is not None
        cursor = self.database.cursor if self.database is not None and held else self.last_cursor
        return cursor.header.pack() if cursor is not None and cursor.frames else None

    def emit(self, level: str, message: str, **values: object) -> None:
        self.said.append(f"{self.folder.name}: {message} {values}")
        if message == "generation begins":
            self._begins(str(values["reason"]))
        elif message == "generation continues":
            self.causes -= {"commit unseen", "last close while down", "written while down"}
        elif message in PARTED:
            # It may tell of a generation that it has left already.
            assert self.cloned, values
            self.counts["clones found out"] += 1

    def _begins(self, reason: str) -> None:
        known = known_reason(reason)
        assert known, f"a generation began for a reason that nothing here may lead to: {reason}"
        if not self._was_in_a_replica():
            self.causes.add("never in a replica")
        if self.cloned:
            self.causes.add("has a copy")
        if self.opening and self._file() != self.left_file:
            self.causes.add("written while down")
        if self.between.recovered_unseen and "torn" in self.causes:
            self.causes.add("recovered twice")
        if self.between.forgotten and {"torn", "vacuum"} <= self.causes:
            # VACUUM writes pages as they were, so that they look as if they had been copied back.
            self.causes.add("recovered after a vacuum")
        # A copy whose files are not proven to be those that were followed parts as it begins.
        at_the_start = self.opening and "cloned" in self.causes
        assert JUSTIFIED[known] & self.causes or at_the_start, (
            f"a generation began without a cause: {reason}, {self.causes}"
        )
        self.counts["generations"] += 1
        self.counts[f"because {known}"] += 1
        # Frames that were rolled back stay in the WAL, and so does what a VACUUM wrote.
        self.causes &= {"frames without a commit", "vacuum"}
        self.between.recovered_unseen = self.between.forgotten = False

    def _was_in_a_replica(self) -> bool:
        """True if a replica confirmed the first snapshot of the generation before, of a WAL with nothing in it."""
        previous = self.database.generation_info.previous if self.database is not None else ""
        digest = self.folder / "meta" / PROOF_NAME
        return bool(previous) and digest.exists() and digest.read_text().startswith(previous)

    def start(self, planned: list[str]) -> None:
        if self.database is None:
            self.database = Database(self.path, self.folder / "meta", self.policy, self.emit, self.clock)
            self.sync(planned)
            self.started = self.stands_since = self.clock.now
            self.wrote = {name: [] for name in self.world.stores}
            for name, store in self.world.stores.items():
                self.replicas[name] = Replica(name, ReplicaClient(store), self.database, self.emit, restored_digest)

    def position_is_known(self, other: "History") -> bool:
        """True if this one goes on with the generation that another is in."""
        ours, theirs = self.database, other.database
        if ours is None or theirs is None or ours.position is None or theirs.position is None:
            return False
        return ours.position.generation == theirs.position.generation

    def stop(self, cleanly: bool) -> None:
        """End the engine, after a last sync or as a crash does."""
        if self.database is not None:
            if cleanly:
                self.sync_to_the_end()
            if self.unseen:
                self.causes.add("commit unseen")
            held = self.database._opened
            self.last_cursor = self.database.cursor if held is not None else self.last_cursor
            if not cleanly and held is not None and held.copier is not None:
                # A process that was killed made nothing durable on its way out.
                held.copier.make_durable = lambda: None  # type: ignore[method-assign]
                self.database._opening.describe = lambda *ended: None  # type: ignore[method-assign]
            self.database.close()
            self.left_file = self._file()
            self.database = None
            self.replicas.clear()

    def lose_folder(self, cleanly: bool) -> None:
        """Nothing but the database is left of what an engine had here; but where that says whose the WAL is."""
        if self.left_wal:
            return
        self.stop(cleanly)
        shutil.rmtree(self.folder / "meta")
        self.last_cursor = None
        if self.cloned:
            # From here on nothing tells which of those that are there were its own.
            self.forget_others()
        self.causes.add("start")
        self.counts["local folders lost"] += 1
        self.start([])

    def forget_others(self) -> None:
        """The window of what is there until now is not that of this side."""
        self.forgotten |= {item.place.generation for m in self.world.mirrors.values() for item in m.kept.values()}

    def _file(self) -> tuple[int, int]:
        """The database file's size and time of writing."""
        status = self.path.stat()
        return (status.st_size, status.st_mtime_ns)

    def sync(self, planned: list[str]) -> None:
        database = self.database
        if database is not None:
            self.opening = database._opened is None
            self.unseen = self.unseen if self.opening else False
            try:
                if self._ours(planned, database.sync):
                    self.counts["syncs"] += 1
            finally:
                if database._opened is None and self.unseen:
                    self.causes.add("commit unseen")
                self.opening = False

    def sync_to_the_end(self) -> None:
        """A commit among the frames of a large transaction that was rolled back may be found one pass later."""
        self.sync([])
        self.sync([])

    def checkpoint(self, planned: list[str]) -> None:
        if self.database is not None and self._ours(planned, self.database.checkpoint):
            self.counts["checkpoints of ours"] += 1

    def upload(self, name: str, planned: list[str], puts: int | None, lose: bool) -> None:
        self._with_replica(name, "sync", planned, puts, lose)
        if self.database is not None:
            self.database.clean([replica.position for replica in self.replicas.values()])

    def snapshot(self, name: str, planned: list[str], puts: int | None, lose: bool) -> None:
        self._with_replica(name, "snapshot", planned, puts, lose)

    def retention(self, name: str, seconds: float) -> None:
        """A round of it: nothing is lost of the window that a right clock grants."""
        if name in self.replicas:
            replica, world = self.replicas[name], self.world
            before, believed = world.standing(name), self._believed_ahead(name)
            self._on(name, lambda: replica.enforce_retention(seconds, self.clock.host_time()))
            after = world.standing(name)
            # A snapshot that it began with has told it more of the time.
            believed = max(believed, self._believed_ahead(name))
            written = tuple(item for item in after.items if item.place.generation not in self.forgotten)
            wanted = before.without(self.forgotten).wanted(self.clock.now - seconds, believed, self.oracle, written)
            lost = wanted - after.restorable
            assert not lost, f"retention of {seconds} s in {name} lost the states {sorted(lost)}\n{world.told()}"
            self.counts["rounds of retention"] += 1
            if any(item not in after.items for item in before.items):
                self.counts["rounds of retention that removed something"] += 1
                world.incomplete.add(name)

    def prove(self, name: str) -> None:
        """The check of retention where nothing is ever removed."""
        self._on(name, lambda: self.replicas[name].enforce_retention(0.0, self.clock.host_time()))

    def _believed_ahead(self, name: str) -> float:
        """How far the clock of a place may be taken to be ahead of the true time (store_clock.py)."""
        mirror, wrote = self.world.mirrors[name], self.wrote[name]
        if mirror.store.emptied > self.started:
            # What it wrote is gone, and with it what that told.
            return max([mirror.store.ahead, *(item.ahead for item in mirror.kept.values())])
        if wrote:
            return min(wrote[0], wrote[-1])
        kept = [item for items in mirror.held().values() for item in items]
        newest = max(kept, key=lambda item: item.stamp, default=None)
        return min(newest.ahead if newest else 0.0, self.clock.ahead)

    def _with_replica(self, name: str, verb: str, planned: list[str], puts: int | None, lose: bool) -> None:
        if name in self.replicas:
            store = self.world.stores[name]
            store.puts_left, store.lose_the_last = puts, lose
            try:
                if self._on(name, getattr(self.replicas[name], verb), planned):
                    self.counts[f"{verb} of a replica"] += 1
                    self._check_ours(name)
            finally:
                store.puts_left, store.lose_the_last = None, False

    def _on(self, name: str, work: Any, planned: list[str] | None = None) -> bool:
        """A step of one replica."""
        before = len(self.world.stores[name].written)
        try:
            return self._ours(planned or [], work)
        finally:
            arrived = self.world.stores[name].written[before:]
            self.check()
            # Only of what was acknowledged, and is no mere end mark, the engine takes the time.
            kept = self.world.mirrors[name].kept
            self.wrote[name] += [item.ahead for item in arrived if item.acknowledged and kept[item.name].commits]

    def _check_ours(self, name: str) -> None:
        """All was sent, or it was found that another program is in this history (promise 8)."""
        if self.world.stores[name].emptied > self.stands_since:
            # Another side may have begun there meanwhile, which the next proof finds.
            return
        at, database = self.replicas[name].position, self.database
        if at is not None and database is not None and at == database.position:
            number = self.world.mirrors[name].points.get(at)
            assert number is None or number in self.oracle, (
                f"{at} in {name} is taken for ours, and is another's\n{self.world.told()}"
            )

    def _ours(self, planned: list[str], work: Any) -> bool:
        """A step of the engine, with what others do meanwhile; errors that this history accounts for are its answer."""
        self.between.planned, self.between.act = list(planned), self.act
        before = self.between.acted
        try:
            work()
            return True
        except StorageError:
            self.counts["uploads that failed"] += 1
        except DatabaseError as error:
            words = str(error)
            if self.left_wal and "was replaced, but" in words:
                self.counts["refusals to mix"] += 1
            elif "while a snapshot was read" in words:
                assert JUSTIFIED[WRITTEN] & self.causes, words
                self.counts["snapshots given up"] += 1
            else:
                assert any(part in words for part in BUSY_WORDS), words
                self.counts["put off"] += 1
        finally:
            self.between.planned = []
            self.counts["steps of others inside ours"] += self.between.acted - before
        return False

    def while_closed(self) -> None:
        self.sync([])

    def while_linked(self) -> None:
        """Its other name is seen and told of, and nothing ends.

        Not where a generation was asked for: to begin it the engine lets go, and nobody is left whose index knows that
        all in the WAL was copied back. Then SQLite would lay that over what the other name brings into the file.
        """
        if self.database is not None and not (self.holding and self.database._current.wanted):
            syncs = self.counts["syncs"]
            self.sync([])
            if self.counts["syncs"] > syncs:
                assert "2 names (hard links)" in self.database.health.error, self.database.health

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every restore point that came is a state that was, and none is missing between two of a generation."""
        if self.torn or not self.is_open:
            # While somebody has the database open who knows what counts, nothing else comes to count.
            self.recount()
        self.world.look()

    def finish(self) -> None:
        """Let go of everything, whatever happened."""
        self.between.planned = []
        for crew in self.crews.values():
            crew.close_all()
        if self.database is not None:
            self.database.close()
        shutil.rmtree(self.folder)

"""One history of the state machine: its application, an engine driven step by step, two replicas, and what must hold.

Every method is one step. Others may act between two steps of ours (interleaving.py). After every step the replicas are
replayed in memory against the oracle, and each new generation must have a cause among the things that happened.
"""

import datetime as datetime_module
import shutil
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.database.source_files import WRITTEN
from replication.database.tail import Mark
from replication.database.unwritten import PROOF_NAME
from replication.errors import DatabaseError, StorageError
from replication.position import Position
from replication.replica.replica import Replica
from replication.restore.choose import Source
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition, Latest, Target
from replication.storage.replica_client import ReplicaClient
from tests.engine.running import restore_points
from tests.torture.crew import Crew
from tests.torture.files import Files
from tests.torture.interleaving import Between
from tests.torture.mirror import Mirror, Store
from tests.torture.mortal import Mortal

JUSTIFIED = {
    "no generation exists": {"start"},
    "no shadow wal": {"commit unseen", "never in a replica", "frames without a commit"},
    "wal missing": {"last close while down"},
    "wal empty": {"truncate", "wal removed", "last close while down", "rewritten"},
    "wal header mismatch": {"commit unseen", "frames without a commit"},
    "wal restarted while it was opened": {"commit unseen", "frames without a commit"},
    "database file replaced": {"replaced"},
    "wal removed by another process": {"wal removed", "replaced"},
    "wal replaced by another process": {"wal removed", "replaced"},
    "page size changed": {"replaced"},
    "-shm removed or replaced by another process": {"shm removed", "wal removed", "replaced", "rewritten"},
    # After an orderly end a checkpoint of others is told from a foreign write by nothing.
    f"{WRITTEN}, while not replicating": {"rewritten", "recovered twice", "written while down"},
    WRITTEN: {"rewritten", "recovered twice"},
    "asked for": {"asked for"},
}
"""Reasons of new generations, and what must have happened for them. No other reason may ever be given."""

BUSY_WORDS = ("is locked", "changed while it was opened", "pinned reader was lost", "is not open")


class Clock:
    """The wall clock that the code reads, in seconds since the epoch: it goes on by itself, and jumps."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset

    def now(self) -> datetime_module.datetime:
        return datetime_module.datetime.fromtimestamp(self(), datetime_module.UTC)


def skewed(clock: Clock) -> dict[str, Any]:
    """What takes the place of the module `time` and the class `datetime` where the engine asks for the wall clock."""

    class Skewed(datetime_module.datetime):
        @classmethod
        def now(cls, tz: datetime_module.tzinfo | None = None) -> "Skewed":
            return cls.fromtimestamp(clock(), tz)

    return {
        "replication.replica.snapshots.time": SimpleNamespace(time=clock, monotonic=time.monotonic),
        "replication.replica.snapshots.datetime": Skewed,
        "replication.database.origin.datetime": Skewed,
    }


class History(Files):
    """See above. `counts` collects what happened over all histories."""

    def __init__(
        self,
        folder: Path,
        crews: dict[str, Crew],
        mortal: Mortal,
        between: Between,
        counts: Counter[str],
        clock: Clock,
        settings: tuple[int, str, int],
        policy: CheckpointPolicy,
    ) -> None:
        super().__init__(folder, crews, mortal, counts, settings)
        self.between, self.clock, self.policy = between, clock, policy
        self.between.act = self.act
        self.last_mark: Mark | None = None
        """How far the engine had come when it ended."""
        self.left_file = (0, 0)
        """The database file as the engine left it."""
        self.opening = False
        """It began this step without a pin."""
        self.thinned: set[str] = set()
        """Replicas from which retention may have removed something."""
        self.database: Database | None = None
        self.replicas: dict[str, Replica] = {}
        self.stores = {name: Store(name) for name in ("near", "far")}
        self.mirrors = {name: Mirror(store, self.oracle) for name, store in self.stores.items()}
        for store in self.stores.values():
            store.clock = lambda: self.clock.now()
            store.before_put = self.between
        self.open_application()
        self.commit("left", "small")
        self.start([])

    # -- the engine -----------------------------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        return self.database is not None and self.database._held is not None and not self.opening

    @property
    def shares_its_index(self) -> bool:
        held = self.database._held if self.database is not None else None
        return held is None or held.wal_index.is_in_place()

    @property
    def followed(self) -> bytes | None:
        held = self.database is not None and self.database._held is not None
        mark = self.database.mark if self.database is not None and held else self.last_mark
        return mark.header.pack() if mark is not None and mark.frames else None

    def emit(self, level: str, message: str, **values: object) -> None:
        if message == "generation begins":
            reason = str(values["reason"])
            known = [words for words in JUSTIFIED if reason.startswith(words)]
            assert known, f"a generation began for a reason that nothing here may lead to: {reason}"
            if not self._was_in_a_replica():
                self.causes.add("never in a replica")
            if self.opening and self._file() != self.left_file:
                self.causes.add("written while down")
            if self.between.recovered_unseen and "torn" in self.causes:
                self.causes.add("recovered twice")
            assert JUSTIFIED[known[0]] & self.causes, f"a generation began without a cause: {reason}, {self.causes}"
            self.counts["generations"] += 1
            self.counts[f"because {known[0]}"] += 1
            # Frames that were rolled back stay in the WAL.
            self.causes &= {"frames without a commit"}
            self.between.recovered_unseen = False
        elif message == "generation continues":
            self.causes -= {"commit unseen", "last close while down", "written while down"}

    def _was_in_a_replica(self) -> bool:
        """True if a replica confirmed the first snapshot of the generation before, of a WAL with nothing in it."""
        previous = self.database.origin.previous if self.database is not None else ""
        digest = self.folder / "meta" / PROOF_NAME
        return bool(previous) and digest.exists() and digest.read_text().startswith(previous)

    def start(self, planned: list[str]) -> None:
        if self.database is None:
            self.database = Database(self.path, self.folder / "meta", self.policy, self.emit, self.clock)
            self.sync(planned)
            for name, store in self.stores.items():
                self.replicas[name] = Replica(name, ReplicaClient(store), self.database, self.emit)

    def stop(self, cleanly: bool) -> None:
        """End the engine, after a last sync or as a crash does."""
        if self.database is not None:
            if cleanly:
                self.sync_to_the_end()
            if self.unseen:
                self.causes.add("commit unseen")
            held = self.database._held
            self.last_mark = self.database.mark if held is not None else self.last_mark
            if not cleanly and held is not None and held.follower is not None:
                # A process that was killed made nothing durable on its way out.
                held.follower.make_durable = lambda: None  # type: ignore[method-assign]
                self.database._describe_files = lambda *ended: None  # type: ignore[method-assign]
            self.database.close()
            self.left_file = self._file()
            self.database = None
            self.replicas.clear()

    def _file(self) -> tuple[int, int]:
        """The database file's size and time of writing."""
        status = self.path.stat()
        return (status.st_size, status.st_mtime_ns)

    def sync(self, planned: list[str]) -> None:
        database = self.database
        if database is not None:
            self.opening = database._held is None
            self.unseen = self.unseen if self.opening else False
            try:
                if self._ours(planned, database.sync):
                    self.counts["syncs"] += 1
            finally:
                if database._held is None and self.unseen:
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
        if name in self.replicas:
            replica = self.replicas[name]
            self.thinned.add(name)
            self._ours([], lambda: replica.enforce_retention(seconds, self.clock.now()))

    def jump(self, seconds: float) -> None:
        """The wall clock is set."""
        self.clock.offset += seconds
        self.counts["clock jumps"] += 1

    def _with_replica(self, name: str, verb: str, planned: list[str], puts: int | None, lose: bool) -> None:
        if name in self.replicas:
            store = self.stores[name]
            store.puts_left, store.lose_the_last = puts, lose
            try:
                if self._ours(planned, getattr(self.replicas[name], verb)):
                    self.counts[f"{verb} of a replica"] += 1
            finally:
                store.puts_left, store.lose_the_last = None, False

    def _ours(self, planned: list[str], work: Any) -> bool:
        """A step of the engine, with what others do meanwhile; errors that this history accounts for are its answer."""
        self.between.planned = list(planned)
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
        """Its other name is seen and told of, and nothing ends."""
        if self.database is not None:
            syncs = self.counts["syncs"]
            self.sync([])
            if self.counts["syncs"] > syncs:
                assert "2 names (hard links)" in self.database.health.error, self.database.health

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every restore point that came is a state that was, and none is missing between two of a generation."""
        self.recount()
        for mirror in self.mirrors.values():
            self.counts["restore points checked"] += mirror.look()

    def check_end(self, points: int) -> None:
        """All settles, the latest restore is the last commit, and so are `points` others what they must be."""
        self.end("ROLLBACK")
        self.mend()
        self.recount()
        self.open_application()
        for side in sorted(self.reading):
            self.read(side)
        self.start([])
        self.settle()
        for name, mirror in self.mirrors.items():
            at = self.replicas[name].position
            assert at is not None
            assert mirror.histories[at.generation].number == len(self.oracle.states) - 1, "the last commit is missing"
            client = ReplicaClient(self.stores[name])
            self._check_restore(client, Latest(), len(self.oracle.states) - 1)
            offered: list[Position] = []
            for generation in client.generations():
                if client.snapshots(generation):
                    here = restore_points(client, generation)
                    # By their states, for the end of an index and the start of the next are one.
                    found = sorted({mirror.points[point] for point in here})
                    whole = sorted({mirror.points[point] for point in mirror.points if point.generation == generation})
                    # What retention leaves is the end of what there was.
                    kept = whole[-len(found) :] if name in self.thinned else whole
                    assert found == kept, f"commits are missing: {set(kept) - set(found)}, {self._told(client)}"
                    offered += here
            for point in offered[:: max(1, len(offered) // points)][:points]:
                self._check_restore(client, AtPosition(point), mirror.points[point])

    def settle(self) -> None:
        assert self.database is not None
        for _ in range(20):
            self.sync_to_the_end()
            for name in self.replicas:
                self.upload(name, [], None, False)
            self.check()
            positions = {replica.position for replica in self.replicas.values()}
            if positions == {self.database.position} and self.holding:
                return
        raise AssertionError(f"it does not settle: {self.database.position}, {positions}, {self.database.health}")

    def _check_restore(self, client: ReplicaClient, target: Target, number: int) -> None:
        output = self.folder / "restored.db"
        restore([Source("test", client)], output, RestoreOptions(target=target, integrity_check="none"))
        found = self.oracle.number(output.read_bytes())
        output.unlink()
        assert found == number, f"{target} restores state {found}, not {number}, of {self._told(client)}"
        self.counts["restores"] += 1

    def _told(self, client: ReplicaClient) -> list[str]:
        """What a replica says of its generations."""
        notes = []
        for generation in client.generations():
            for item in client.snapshots(generation):
                notes.append(f"{item.created} {client.read_note(item.name)}")
        return notes

    def finish(self) -> None:
        """Let go of everything, whatever happened."""
        self.between.planned = []
        for crew in self.crews.values():
            crew.close_all()
        if self.database is not None:
            self.database.close()
        shutil.rmtree(self.folder)

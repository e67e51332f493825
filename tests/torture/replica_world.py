"""One history for the differential test: hosts, clocks, generations and replicas in memory, driven step by step.

The engine's own classes write; the world remembers every object that was ever written and every commit with its true
order. Some programs write no notes, as Litestream does. What may be restored is judged in differential.py.
"""

import datetime as datetime_module
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.errors import AccessDeniedError, ReplicationError, StorageError
from replication.position import Position
from replication.replica.wal03.replica import Replica
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import parse_segment, parse_snapshot
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.foreign import ForeignConnection, Shell
from tests.restore.reference import Place, commits_of, states, unpack

BEGAN = datetime_module.datetime(2024, 5, 1, tzinfo=datetime_module.UTC).timestamp()
NEVER = CheckpointPolicy(pages_min=10**6, pages_max=0, interval_seconds=0)
PAGE_SIZE = 512
CLOCKS = (0.0, 0.0, -2.0, 60.0, -60.0, 86_400.0, -86_400.0, 31_536_000.0, -94_608_000.0)
"""By how many seconds a host's clock may be off."""


@dataclass(slots=True)
class Written:
    """An object as it was when it was written last. `place` is that of its content: of a snapshot, the commit."""

    generation: str
    place: Place
    snapshot: bool
    content: bytes
    time: float
    noted: bool
    before: frozenset[str]


def store_time(seconds: float) -> datetime_module.datetime:
    return datetime_module.datetime.fromtimestamp(seconds, datetime_module.UTC)


class Store(MemoryStorage):
    """A store whose clock is right, in steps of `resolution` seconds. It remembers all that was ever written."""

    def __init__(self, name: str, world: "World", resolution: float) -> None:
        super().__init__(f"memory://{name}")
        self.world = world
        self.resolution = resolution
        self.clock = lambda: store_time(self.stamp())
        self.ever: dict[str, Written] = {}
        self.torn: set[str] = set()
        self.down = False
        self.copied = False
        """Its times are those of a copy."""

    def stamp(self) -> float:
        return self.world.now // self.resolution * self.resolution

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        data = b"".join(chunks)
        note = DEFAULT_CODEC.open("object", [data]).note or {}
        if self.world.without_notes:
            data = data[8 + int.from_bytes(data[4:8], "little") :] if note else data
        self.world.tick()
        size = super().put(name, [data], create=create)
        _, generation, _, base = name.split("/")
        snapshot = parse_snapshot(base) is not None
        at = Position.parse(str(note["position"])) if snapshot else None
        place = (at.index, at.offset) if at else parse_segment(base)
        assert place is not None
        before = frozenset({str(note.get("previous", "")), *str(note.get("earlier", "")).split()} - {""})
        noted = not self.world.without_notes
        self.ever[name] = Written(generation, place, snapshot, unpack(data), self.stamp(), noted, before)
        self.torn.discard(name)
        return size

    def _begin(self, verb: Any) -> Any:
        if self.down:
            raise AccessDeniedError(f"{self.address} is away")
        return super()._begin(verb)

    def held(self) -> dict[str, Written]:
        """What is there now, torn objects too."""
        return {name: self.ever[name] for name in self.names()}


class World:
    """See above. `numbers` has the number of the commit at each place of each generation, in the order made."""

    def __init__(self, folder: Path, chance: random.Random, counts: Counter[str]) -> None:
        self.folder, self.chance, self.counts = folder, chance, counts
        self.now, self.offset = BEGAN, 0.0
        self.without_notes = False
        self.states: dict[str, int] = {}
        self.numbers: dict[tuple[str, Place], int] = {}
        self.hosts = 0
        self.log: list[str] = []
        self.more_events: list[tuple[int, Callable[[], None]]] = []
        """Those that whoever judges brings along, with their weights."""
        names = ["r0", "r1", "r2"][: chance.choice((1, 2, 2, 3))]
        self.stores = {name: Store(name, self, chance.choice((1e-6, 1.0, 1.0))) for name in names}
        self.path = folder / "app-0.db"
        self.app: ForeignConnection
        self.open_application(True)
        self.database = self.open()
        self.replicas: dict[str, Replica] = {}
        self.start()

    def clock(self) -> float:
        """What the host believes."""
        return self.now + self.offset

    def tick(self) -> None:
        self.now += self.chance.choice((0.001, 0.01, 0.3, 0.3, 1.5))

    def skewed(self) -> dict[str, Any]:
        """What takes the place of clocks in the engine."""
        clock = self.clock

        class Skewed(datetime_module.datetime):
            @classmethod
            def now(cls, tz: datetime_module.tzinfo | None = None) -> "Skewed":
                return cls.fromtimestamp(clock(), tz)

        return {
            "replication.replica.wal03.snapshots.time": SimpleNamespace(time=clock, monotonic=clock),
            "replication.replica.wal03.snapshots.datetime": Skewed,
            "replication.local.generation_info.datetime": Skewed,
        }

    # -- the application and the engine -----------------------------------------------------------------------------

    def open_application(self, new: bool) -> None:
        self.app = Shell(self.path).open(timeout=0, autocheckpoint=False)
        if new:
            self.app.execute(f"PRAGMA page_size={PAGE_SIZE}")
        self.app.execute("PRAGMA journal_mode=wal")
        if new:
            self.app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        self.note_state()

    def note_state(self) -> None:
        self.states.setdefault(self.app.sha256(), len(self.states))

    def open(self) -> Database:
        return Database(
            self.path, self.folder / f"meta-{self.hosts}", NEVER, lambda level, message, **values: None, self.clock
        )

    def start(self) -> None:
        self.database.sync()
        self.replicas = {
            name: Replica(
                name, ReplicaClient(store), self.database, lambda level, message, **values: None, restored_digest
            )
            for name, store in self.stores.items()
        }

    def close(self) -> None:
        self.database.close()
        self.app.close()

    # -- events -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One event by chance."""
        events: list[tuple[int, Callable[[], None]]] = [
            (14, self.commits),
            (12, self.upload),
            (3, self.checkpoint),
            (3, self.snapshot),
            (2, self.restart),
            (2, self.unseen_then_restart),
            (1, self.replace_host),
            (1, self.go_back),
            (1, self.other_program),
            (1, self.copy),
            (1, self.outage),
            (1, self.lose),
            (1, self.tear),
            (2, self.wait),
        ]
        events += self.more_events
        act = self.chance.choices([event for _, event in events], [weight for weight, _ in events])[0]
        self.log.append(f"{self.now - BEGAN:.3f} {getattr(act, '__name__', 'retention')}")
        self.counts[f"event {getattr(act, '__name__', 'retention')}"] += 1
        self.tick()
        try:
            act()
        except StorageError as error:
            self.counts["uploads that failed"] += 1
            self.log.append(str(error))

    def commits(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.tick()
            if self.chance.random() < 0.4 and self.app.execute("SELECT count(*) FROM t")[0][0]:
                self.app.execute("UPDATE t SET b = randomblob(40) WHERE a = (SELECT max(a) FROM t)")
            elif self.chance.random() < 0.15:
                self.app.execute("DELETE FROM t WHERE a < (SELECT max(a) FROM t)")
                self.note_state()
                self.app.execute("INSERT INTO t(b) VALUES(randomblob(40))")
            else:
                self.app.execute(f"INSERT INTO t(b) VALUES(randomblob({self.chance.choice((40, 40, 700))}))")
            self.note_state()
            if self.chance.random() < 0.5:
                self.database.sync()

    def upload(self) -> None:
        self.database.sync()
        for name, replica in self.replicas.items():
            if self.chance.random() < 0.6:
                self.log.append(f"to {name}")
                replica.sync()

    def checkpoint(self) -> None:
        if self.chance.random() < 0.5:
            self.database.sync()
            self.database.checkpoint()
        else:
            self.app.execute(f"PRAGMA wal_checkpoint({self.chance.choice(('PASSIVE', 'RESTART', 'TRUNCATE'))})")

    def snapshot(self) -> None:
        self.database.sync()
        self.replicas[self.chance.choice(sorted(self.replicas))].snapshot()

    def restart(self) -> None:
        self.database.close()
        self.database = self.open()
        self.start()

    def unseen_then_restart(self) -> None:
        """Commits come and go while nobody looks: a generation begins."""
        self.database.close()
        for _ in range(2):
            self.app.execute("INSERT INTO t(b) VALUES(randomblob(40))")
            self.note_state()
            self.app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self.chance.random() < 0.5:
            self.app.execute("INSERT INTO t(b) VALUES(randomblob(40))")
            self.note_state()
        self.database = self.open()
        self.start()

    def replace_host(self) -> None:
        """The volume moves to another host, without the local folder, and with another clock."""
        self.database.close()
        self.hosts += 1
        self.offset = self.chance.choice(CLOCKS)
        self.database = self.open()
        self.start()

    def go_back(self) -> None:
        """Another host begins with what a replica restores, which may be old."""
        self.note_numbers()
        source = self.chance.choice(sorted(self.stores))
        path = self.folder / f"app-{self.hosts + 1}.db"
        try:
            restore([OpenReplica(source, self.stores[source])], path, RestoreOptions(integrity_check="none"))
        except ReplicationError:
            return
        self.close()
        self.hosts += 1
        self.offset = self.chance.choice(CLOCKS)
        self.path = path
        self.open_application(False)
        # What was restored is made anew, and so the newest: it must not be an old state for the oracle.
        self.app.execute("INSERT INTO t(b) VALUES(randomblob(40))")
        self.note_state()
        self.database = self.open()
        self.start()

    def other_program(self) -> None:
        """From here on a program writes that knows no notes, or one that does again."""
        self.without_notes = not self.without_notes
        self.restart()

    def copy(self) -> None:
        """A replica is copied to another place, which takes its part: all times are new, in one order or another."""
        name = self.chance.choice(sorted(self.stores))
        old = self.stores[name]
        if old.down:
            return
        new = Store(name, self, old.resolution)
        new.ever, new.copied = old.ever, True
        names = old.names()
        # In the order of names the times look right, and are not: without notes nothing tells that.
        if self.chance.random() < 0.5 or not all(item.noted for item in old.ever.values()):
            self.chance.shuffle(names)
        for item in names:
            if self.chance.random() < 0.3:
                self.tick()
            new.replace(item, old.read(item), store_time(new.stamp()))
            new.ever[item].time = new.stamp()
        new.torn = old.torn
        self.stores[name] = new
        self.restart()

    def outage(self) -> None:
        store = self.stores[self.chance.choice(sorted(self.stores))]
        store.down = not store.down
        self.log.append(f"{store.address} is {'away' if store.down else 'back'}")

    def lose(self) -> None:
        store = self.stores[self.chance.choice(sorted(self.stores))]
        names = [name for name in store.names() if self._loss_can_be_told(store, name)]
        if names and self.chance.random() < 0.4 and not store.down:
            name = self.chance.choice(names)
            self.log.append(f"{store.address} lost {name}")
            store.delete([name])

    def _loss_can_be_told(self, store: Store, name: str) -> bool:
        """False for the end of an index of which nothing says where it ended."""
        written = store.ever[name]
        if written.snapshot:
            return True
        held = store.held().values()
        same = [item for item in held if item.generation == written.generation and not item.snapshot]
        index = written.place[0]
        later = [item for item in same if item.place[0] == index and item.place > written.place]
        following = [item for item in same if item.place == (index + 1, 0)]
        return bool(later) or all(item.noted for item in following)

    def tear(self) -> None:
        store = self.stores[self.chance.choice(sorted(self.stores))]
        names = [name for name in store.names() if name not in store.torn]
        if names and self.chance.random() < 0.4 and not store.down:
            name = self.chance.choice(names)
            modified = store_time(store.ever[name].time)
            self.log.append(f"{store.address} has torn {name}")
            data = store.read(name)
            if self.chance.random() < 0.3 and DEFAULT_CODEC.open("object", [data]).note is not None:
                data = data[:40] + bytes([data[40] ^ 1]) + data[41:]
            else:
                data = data[:-3]
            store.replace(name, data, modified)
            store.torn.add(name)

    def wait(self) -> None:
        self.now += self.chance.choice((1.0, 5.0, 60.0, 3600.0))

    # -- what is known ----------------------------------------------------------------------------------------------

    def note_numbers(self) -> None:
        """Bring `numbers` up to date: by all that was ever written, each replica by itself."""
        for store in self.stores.values():
            for generation in {item.generation for item in store.ever.values()}:
                mine = [item for item in store.ever.values() if item.generation == generation]
                for place, sha in states(*contents(mine), self.lengths(generation)).items():
                    number = self.states.get(sha, -1)
                    assert number >= 0, f"{generation} {place} in {store.address} is a state that never was"
                    self.numbers.setdefault((generation, place), number)

    def lengths(self, generation: str) -> dict[int, int]:
        """How long each index was, where the next has begun."""
        found: dict[int, int] = {}
        for store in self.stores.values():
            for item in store.ever.values():
                if item.generation == generation and not item.snapshot:
                    end = item.place[1] + len(item.content)
                    found[item.place[0]] = max(found.get(item.place[0], 0), end)
        last = max(found, default=-1)
        return {index: end for index, end in found.items() if index != last}


def contents(items: Iterable[Written]) -> tuple[dict[Place, bytes], dict[Place, bytes]]:
    """Snapshots by the commit they hold, and segments by where they begin."""
    listed = list(items)
    return (
        {item.place: item.content for item in listed if item.snapshot},
        {item.place: item.content for item in listed if not item.snapshot},
    )


def places(item: Written) -> list[Place]:
    """The commits of which an object is evidence."""
    if item.snapshot:
        return [item.place]
    index, offset = item.place
    return [(index, end) for end in commits_of(item.content, offset, PAGE_SIZE)]

"""What many databases cost while nothing happens, and at a start: requests, system calls, wake-ups and descriptors.

A monitor interval is made short here, and stands for the second that it is by default: sixty of them are a minute.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from replication.config import Config
from replication.database import wal_stat as wal_stat_module
from replication.database.database import Database
from replication.database.wal_stat import PATHS_CHECKS, WALStat
from replication.engine import Engine, making
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from tests.engine.running import config_of, running, until
from tests.foreign import Shell

ROUNDS = 60
"""Monitor intervals in a minute at the default of a second."""
MONITOR_SECONDS = 0.05
DESCRIPTORS_MAX = 5
"""Of a database at rest: the file, -wal, -shm twice, the lock file. Claims share a few."""
REQUESTS_MAX = 4
"""Of a start with something to ship: a listing, the last segment, the one that would follow, and what is shipped."""
WAKES_PER_ROUND_MAX = 6
"""One of each thread that waits for the round, and what the interpreter's own lock adds."""
WAKES_TRIES = 3
"""Others on the processor only add to what is counted, so that the least of some minutes is what is ours."""
ROUND_CALLS = ("stat", "lstat", "fstat", "open", "close", "read", "pread", "write", "pwrite", "scandir", "listdir")


class Crowd:
    """Databases with a replica in memory each, and an engine at rest on them."""

    def __init__(self, folder: Path, stores: dict[str, MemoryStorage], count: int) -> None:
        self.stores = stores
        self.paths = [folder / f"{number:03}" / "app.db" for number in range(count)]
        single = []
        for number, path in enumerate(self.paths):
            path.parent.mkdir(exist_ok=True)
            Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS t(a)") if not path.exists() else None
            single.append(config_of(path, Path(f"r{number}"), monitor_seconds=MONITOR_SECONDS).databases[0])
        self.config = Config(path=None, databases=tuple(single))

    @contextmanager
    def at_rest(self) -> Iterator[Engine]:
        """The engine, once all is shipped and every database was left in peace for some rounds."""
        with running(self.config) as engine:
            until(lambda: all(_shipped(database) for database in engine.status().databases))
            yield engine

    def requests(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for store in self.stores.values():
            total.update({str(verb): times for verb, times in store.calls.items()})
        return total


def _shipped(database: Any) -> bool:
    return database.state == "ok" and all(item.position == database.position for item in database.replicas)


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Crowd]:
    """Makes a crowd of so many databases."""
    stores: dict[str, MemoryStorage] = {}

    def open_memory(location: Location, permissions: object = None) -> MemoryStorage:
        assert isinstance(location, FileLocation)
        return stores.setdefault(location.path.name, MemoryStorage())

    monkeypatch.setattr(making, "open_storage", open_memory)
    return lambda count: Crowd(tmp_path, stores, count)


class Rounds:
    """Counts glances, and everything else that is done meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checks = 0
        self.found = 0
        self.syncs = 0
        self.calls: Counter[str] = Counter()
        monkeypatch.setattr(wal_stat_module, "SETTLE_SECONDS", 4 * MONITOR_SECONDS)
        wal_stat, sync = WALStat.finds_something, Database.sync
        testing = threading.get_ident()

        def last_idle_check(self_: WALStat, now: float, places: bool) -> bool:
            self.checks += 1
            found = wal_stat(self_, now, places)
            self.found += found
            return found

        def synced(self_: Database) -> float | None:
            self.syncs += 1
            return sync(self_)

        monkeypatch.setattr(WALStat, "finds_something", last_idle_check)
        monkeypatch.setattr(Database, "sync", synced)
        for name in ROUND_CALLS:
            call = getattr(os, name)

            def counted(*values: Any, _call: Any = call, _name: str = name, **named: Any) -> Any:
                if threading.get_ident() != testing:
                    self.calls[_name] += 1
                return _call(*values, **named)

            monkeypatch.setattr(os, name, counted)

    def settle(self, databases: int) -> None:
        """Until a whole second's rounds found nothing: what follows a change is over."""
        until(lambda: self.found >= databases)
        self.pass_by(databases, PATHS_CHECKS)

    def pass_by(self, databases: int, rounds: int) -> None:
        """Let so many rounds go by."""
        end = self.checks + databases * rounds
        until(lambda: self.checks >= end)


@pytest.mark.parametrize("databases", [1, 20])
def test_an_idle_minute_asks_for_nothing_and_looks_at_each_wal_once_a_round(
    crowd: Callable[[int], Crowd], monkeypatch: pytest.MonkeyPatch, databases: int
) -> None:
    rounds, made = Rounds(monkeypatch), crowd(databases)
    with made.at_rest():
        rounds.settle(databases)
        requests, syncs, checks = made.requests(), rounds.syncs, rounds.checks
        rounds.calls.clear()
        rounds.pass_by(databases, ROUNDS)
        checks = rounds.checks - checks
        assert made.requests() == requests
        assert rounds.syncs == syncs
        # One for each WAL, and now and then three more for the file, its -shm and its lock; nothing is opened.
        assert set(rounds.calls) == {"stat"}
        assert rounds.calls["stat"] <= checks * (1 + 3 / PATHS_CHECKS) + 3 * databases


def wakes(threads: list[int | None]) -> int:
    """How often these threads of ours gave up the processor by themselves."""
    lines = [line for thread in threads for line in Path(f"/proc/self/task/{thread}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


@pytest.mark.parametrize("databases", [1, 50])
def test_wake_ups_do_not_grow_with_the_databases(
    crowd: Callable[[int], Crowd], monkeypatch: pytest.MonkeyPatch, databases: int
) -> None:
    rounds, before = Rounds(monkeypatch), {thread.native_id for thread in threading.enumerate()}
    with crowd(databases).at_rest():
        rounds.settle(databases)
        threads = [thread.native_id for thread in threading.enumerate() if thread.native_id not in before]
        least = float("inf")
        for _ in range(WAKES_TRIES):
            woken, checks = wakes(threads), rounds.checks
            rounds.pass_by(databases, ROUNDS)
            passed = (rounds.checks - checks) / databases
            least = min(least, (wakes(threads) - woken) / (passed + 1))
            if least <= WAKES_PER_ROUND_MAX:
                break
        assert least <= WAKES_PER_ROUND_MAX


def test_a_start_asks_little_of_a_store(crowd: Callable[[int], Crowd]) -> None:
    made = crowd(5)
    with ExitStack() as stack:
        # Whoever closes the last connection removes the WAL, and with it what proves that nothing was missed.
        applications = [stack.enter_context(Shell(path).open()) for path in made.paths]
        for application in applications:
            application.execute("INSERT INTO t VALUES(1)")
        with made.at_rest():
            pass
        for application in applications:
            application.execute("INSERT INTO t VALUES(2)")
        before = made.requests()
        with made.at_rest():
            asked = made.requests() - before
    assert asked == {"list": 5, "get": 10, "put": 5}
    assert asked.total() <= REQUESTS_MAX * len(made.paths)


LOOKS = 100


def test_descriptors_of_a_database(crowd: Callable[[int], Crowd]) -> None:
    # A file that is being written at this very moment has a descriptor of its own: what is at rest is the least.
    with crowd(1).at_rest():
        one = min(descriptors() for _ in range(LOOKS))
    with crowd(11).at_rest():
        until(lambda: descriptors() <= one + 10 * DESCRIPTORS_MAX)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a name is enough)

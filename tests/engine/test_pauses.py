"""A thousand pauses and resumes in any order, while stores hang and answer again: no database is left behind."""

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replication.config import Config
from replication.engine import making
from replication.errors import PausedError
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import config_of, restored, running, until
from tests.foreign import ForeignConnection, Shell

DATABASES = 3
PAUSES_AND_RESUMES = 1000
COMMIT_EVERY = 5
HOLDERS = ("P", "a client", "a restore")


@dataclass
class One:
    """A database, its application and its store, and what was asked for."""

    path: Path
    app: ForeignConnection
    store: MemoryStorage
    gates: list[threading.Event] = field(default_factory=list)
    pauses: list[Future[str]] = field(default_factory=list)

    def let_all_go_on(self) -> None:
        self.store.clear_faults()
        for gate in self.gates:
            gate.set()
        self.gates.clear()


def test_promise_2_a_thousand_pauses_and_resumes_with_hanging_stores_leave_no_database_unreplicated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(20261126)
    stores = {f"replica{number}": MemoryStorage() for number in range(DATABASES)}

    def open_memory(location: Location, permissions: object = None) -> MemoryStorage:
        assert isinstance(location, FileLocation)
        return stores[location.path.name]

    monkeypatch.setattr(making, "open_storage", open_memory)
    with ExitStack() as stack:
        many, configs = [], []
        for number, (name, store) in enumerate(stores.items()):
            shell = Shell(tmp_path / f"{number}.db")
            shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
            many.append(One(shell.path, stack.enter_context(shell.open()), store))
            configs.append(config_of(shell.path, Path(name)))
        config = Config(path=None, databases=tuple(item.databases[0] for item in configs))
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=len(many) * len(HOLDERS)))
        engine = stack.enter_context(running(config))

        def pause(one: One, holder: str) -> str:
            try:
                engine.pause(str(one.path), holder)
            except PausedError:
                return "taken back"
            return "paused"

        def state(one: One) -> str:
            return next(item.state for item in engine.status().databases if item.path == str(one.path))

        asked = 0
        while asked < PAUSES_AND_RESUMES:
            one, holder = chance.choice(many), chance.choice(HOLDERS)
            match chance.choice(["pause", "pause", "resume", "resume", "hang", "go on"]):
                case "pause":
                    # Each of them is one thread at most: the last pause of a holder has ended when it is resumed.
                    one.pauses = [item for item in one.pauses if not item.done()]
                    if len(one.pauses) < len(HOLDERS):
                        one.pauses.append(pool.submit(pause, one, holder))
                        asked += 1
                case "resume":
                    engine.resume(str(one.path), holder)
                    asked += 1
                case "hang":
                    one.gates.append(threading.Event())
                    one.store.hang(chance.choice(["put", "get", "list"]), one.gates[-1])
                case "go on":
                    one.let_all_go_on()
            if asked % COMMIT_EVERY == 0:
                one.app.execute("INSERT INTO t VALUES(1)")
        for one in many:
            one.let_all_go_on()
        # Those that are under way come true, or are taken back; then nobody holds anything.
        for one in many:
            while any(not item.done() for item in one.pauses):
                for holder in HOLDERS:
                    engine.resume(str(one.path), holder)
            assert {item.result() for item in one.pauses} <= {"paused", "taken back"}
            for holder in HOLDERS:
                engine.resume(str(one.path), holder)
        for one in many:
            before = one.store.calls["put"]
            until(lambda one=one: state(one) == "ok")  # type: ignore[misc]
            one.app.execute("INSERT INTO t VALUES(2)")
            until(lambda one=one, before=before: one.store.calls["put"] > before)  # type: ignore[misc]
        until(
            lambda: all(
                item.position is not None and all(one.position == item.position for one in item.replicas)
                for item in engine.status().databases
            )
        )
        truths = [one.app.sha256() for one in many]
    # The engine was closed in good order, so all that was committed is there.
    for one, truth in zip(many, truths, strict=True):
        assert restored(ReplicaClient(one.store), tmp_path / "out.db") == truth

"""Two engines where there should be one: on one database they are refused, at one replica they are told of.

A refused engine has touched nothing. Two that write to one place, each its own database, do one another no harm.
"""

import os
import shutil
import time
from functools import partial
from pathlib import Path

import pytest

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.engine import Engine
from replication.storage.location import FileLocation, Location
from replication.storage.open import open_storage
from replication.storage.replica_client import ReplicaClient
from tests.cli.program import Replicating, contents, refuses, run
from tests.engine.running import begun, client_of, in_step, only, restored, running, until
from tests.torture.conftest import Torture
from tests.torture.steady import Application, prove

POINTS_MAX = 25


def same(path: Path) -> Path:
    return path


def link(path: Path) -> Path:
    other = path.parent / "elsewhere" / "link.db"
    other.parent.mkdir(exist_ok=True)
    other.symlink_to(path)
    return other


def hard_link(path: Path) -> Path:
    other = path.parent / "elsewhere" / "hard.db"
    other.parent.mkdir(exist_ok=True)
    os.link(path, other)
    return other


def linked_folder(path: Path) -> Path:
    other = path.parent.with_name("linked")
    other.symlink_to(path.parent)
    return other / path.name


def names_in(folder: Path) -> list[str]:
    """Everything there, but for what the first engine writes down about itself."""
    return [name for name in contents(folder) if not name.startswith("log/") and "status.json" not in name]


def test_a_second_engine_on_one_database_is_refused_and_has_touched_nothing(tmp_path: Path, torture: Torture) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        home = tmp_path / f"round{number}"
        path = home / "home" / "app.db"
        path.parent.mkdir(parents=True)
        application = Application(path, chance.randrange(1 << 30))
        application.go()
        try:
            with Replicating(home / "log", path, f"file://{home}/replica") as first:
                first.wait_for("snapshot written")
                ways = [same, link, hard_link, linked_folder]
                chance.shuffle(ways)
                for way in ways:
                    other = way(path)
                    refused_beside(first, home, application, path, other)
                    torture.counts["refused"] += 1
                # The first one has felt nothing of it.
                application.go()
                application.commits(3)
                application.pause()
                assert first.end() == 0
            torture.counts["points restored"] += prove(
                client_of(home / "replica"), application.hashes, chance, POINTS_MAX
            )[0]
            assert "level=ERROR" not in first.said
        finally:
            application.kill()
        shutil.rmtree(home)


def refused_beside(first: Replicating, home: Path, application: Application, path: Path, other: Path) -> None:
    """A second engine, on another path to the same file, while the first is in the middle of its work."""
    application.go()
    application.commits(2)
    application.pause()
    last = application.hashes[-1]
    until(lambda: restored(client_of(home / "replica"), home / "look.db") == last)
    # What the first is writing just now: no other may take it for something left behind.
    unfinished = default_meta_path(path) / "generation.tmp"
    unfinished.write_text("being written")
    before = names_in(home)
    result = run("replicate", other, f"file://{home}/second")
    refuses(result, 5, f"{other} is replicated already by litestream-tui, pid {first.pid}", "stop that one")
    assert names_in(home) == before
    assert unfinished.read_text() == "being written"
    unfinished.unlink()


WARNING = "others write to this replica"


def host(folder: Path, location: Location, retention_seconds: float = 86_400.0) -> Config:
    """One of two hosts with the same replica in its configuration: its own database, its own meta folder."""
    folder.mkdir()
    replica = ReplicaConfig(
        name="shared",
        location=location,
        sync_interval=0.01,
        retention=retention_seconds,
        retention_check_interval=0.2,
    )
    path = folder / "app.db"
    database = DatabaseConfig(
        path=path,
        meta_path=default_meta_path(path),
        replicas=(replica,),
        monitor_interval=0.05,
        min_checkpoint_page_count=50,
    )
    return Config(path=None, databases=(database,))


def told(engine: Engine) -> int:
    return sum(event.message == WARNING for event in engine.events_since(0))


@pytest.mark.parametrize("store", ["file", "s3"])
def test_two_hosts_at_one_replica_are_told_and_do_no_harm(
    tmp_path: Path, torture: Torture, request: pytest.FixtureRequest, store: str
) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        home = tmp_path / f"round{number}"
        home.mkdir()
        location: Location = FileLocation(home / "replica")
        if store == "s3":
            location = request.getfixturevalue("weed").location()
        retention = chance.choice([1.0, 86_400.0])
        configs = [host(home / "one", location, retention), host(home / "two", location, retention)]
        applications = [Application(config.databases[0].path, chance.randrange(1 << 30)) for config in configs]
        try:
            with running(configs[0]) as one, running(configs[1]) as two:
                engines = (one, two)
                for application in applications:
                    application.go()
                until(lambda engines=engines: all(told(engine) for engine in engines))  # type: ignore[misc]
                for application in applications:
                    application.commits(chance.randrange(10, 60))
                for engine in engines:
                    assert "path of its own" in only(engine).replicas[0].warning
                    assert told(engine) == 1, "a warning is told once"
                # One rests for longer than the other keeps what is old: its generation must outlive that.
                idle, busy = applications if chance.random() < 0.5 else applications[::-1]
                idle.pause()
                done = time.monotonic() + (2.5 if retention < 10 else 0.5)
                while time.monotonic() < done:
                    busy.commits(5)
                busy.pause()
                client = ReplicaClient(open_storage(location))
                for engine, application in zip(engines, applications, strict=True):
                    until(partial(holds, engine, client, application.hashes[-1], home / "look.db"))
                    assert len(begun(engine)) == 1, begun(engine)
            states = applications[0].hashes, applications[1].hashes
            for generation, hashes in zip((begun_generation(one), begun_generation(two)), states, strict=True):
                torture.counts["points restored"] += prove(client, hashes, chance, POINTS_MAX, generation)[0]
            client.storage.close()
            torture.counts["commits"] += sum(len(hashes) for hashes in states)
        finally:
            for application in applications:
                application.kill()
        shutil.rmtree(home)


def holds(engine: Engine, client: ReplicaClient, sha: str, output: Path) -> bool:
    """True when the newest commit of this engine is in the replica, and is that state."""
    position = only(engine).position
    return in_step(engine) and position is not None and restored(client, output, position) == sha


def begun_generation(engine: Engine) -> str:
    """The one generation of this engine."""
    position = only(engine).position
    assert position is not None
    return position.generation

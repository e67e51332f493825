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
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.open import open_storage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.cli.program import Replicating, contents, refuses, run
from tests.engine.running import begun, client_of, in_step, only, restored, running, until
from tests.replica.bench import copy_volume
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
    """One of two hosts with the same replica in its configuration: its own database, its own local folder."""
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


@pytest.mark.parametrize("store", ["file", "s3", "ignoring"])
def test_promise_8_a_clone_that_goes_on_beside_the_first(
    tmp_path: Path, torture: Torture, request: pytest.FixtureRequest, store: str
) -> None:
    """A volume is copied at any moment, and both go on at the same place: one of them keeps the history."""
    for number, chance in enumerate(torture.rounds(short=1)):
        home = tmp_path / f"round{number}"
        home.mkdir()
        location: Location = FileLocation(home / "replica")
        if store != "file":
            location = request.getfixturevalue("weed" if store == "s3" else "juicefs").location()
        configs = [host(home / "one", location), host(home / "two", location)]
        paths = [config.databases[0].path for config in configs]
        applications = [Application(paths[0], chance.randrange(1 << 30))]
        try:
            with running(configs[0]) as one:
                applications[0].go()
                applications[0].commits(chance.randrange(1, 80))
                applications[0].pause()
                until(lambda one=one: only(one).replicas[0].position is not None)  # type: ignore[misc]
                if chance.random() < 0.5:
                    until(lambda one=one: in_step(one))  # type: ignore[misc]
                shared = begun_generation(one)
                until(partial(copied, *paths))
                # With another seed they differ from the first commit on. The state that it finds it tells itself.
                applications.append(Application(paths[1], chance.randrange(1 << 30), applications[0].hashes[:-1]))
                if chance.random() < 0.5:
                    applications[0].go()
                    applications[0].commits(chance.randrange(1, 40))
                with running(configs[1]) as two:
                    engines = (one, two)
                    if store == "ignoring":
                        # Between a look and the write that follows it the other may come: they take turns.
                        part_by_turns(engines, applications)
                    for application in applications:
                        application.go()
                    until(lambda engines=engines: any(parted(engine) for engine in engines))  # type: ignore[misc]
                    for application in applications:
                        application.commits(chance.randrange(10, 60))
                        application.pause()
                    client = ReplicaClient(open_storage(location))
                    for engine, application in zip(engines, applications, strict=True):
                        until(partial(holds, engine, client, application.hashes[-1], home / "look.db"))
                    generations = [begun_generation(engine) for engine in engines]
                    assert generations[0] != generations[1]
                    if shared in generations:
                        loser = engines[1 - generations.index(shared)]
                        assert f"pid {os.getpid()}, running since" in only(loser).replicas[0].warning
                    torture.counts["clones that kept the history"] += generations[1] == shared
            for application, generation in zip(applications, generations, strict=True):
                torture.counts["points restored"] += prove(client, application.hashes, chance, POINTS_MAX, generation)[
                    0
                ]
            client.storage.close()
            torture.counts["clones"] += 1
        finally:
            for application in applications:
                application.kill()
        shutil.rmtree(home)


def part_by_turns(engines: tuple[Engine, Engine], applications: list[Application]) -> None:
    """One commits and uploads, then the other, until they have found each other out."""
    applications[0].pause()
    while not any(parted(engine) for engine in engines):
        for engine, application in zip(engines, applications, strict=True):
            application.go()
            application.commits(2)
            application.pause()
            until(partial(in_step, engine))


def copied(path: Path, to: Path) -> bool:
    """Copy a volume; False if the engine removed a file meanwhile, as a copy at one moment would not have noticed."""
    try:
        copy_volume(path, default_meta_path(path), to, default_meta_path(to))
    except shutil.Error:
        shutil.rmtree(default_meta_path(to))
        return False
    return True


def parted(engine: Engine) -> bool:
    """True once an engine has found another one in its history."""
    return any("history" in event.message for event in engine.events_since(0))


def holds(engine: Engine, client: ReplicaClient, sha: str, output: Path) -> bool:
    """True when the newest commit of this engine is in the replica, and is that state."""
    position = only(engine).position
    return in_step(engine) and position is not None and restored(client, output, position) == sha


def begun_generation(engine: Engine) -> str:
    """The one generation of this engine."""
    position = only(engine).position
    assert position is not None
    return position.generation

"""Disks that fill up, folders that are forbidden, removed, replaced: the application goes on, and nothing is lost.

One engine lives through all of it, in an order that chance decides, while the application commits all the time. When
a fault is over everything is uploaded without a restart, and every commit that a replica holds is one that was.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replication.errors import ReplicationError
from tests.cli.program import Replicating
from tests.engine.running import client_of, restored, sha256, until
from tests.torture.conftest import Torture
from tests.torture.ground import Ground
from tests.torture.steady import COMMIT_SECONDS_MAX, Application, prove

POINTS_MAX = 30
RECOVERED_SECONDS_MAX = 60.0
"""From the end of a fault until everything is uploaded: the longest wait between two tries, and time to work."""


@dataclass
class Stage:
    """An application, the program that replicates it, and where everything lies."""

    folder: Path
    chance: random.Random
    ground: Ground
    program: Replicating
    application: Application
    read: int = 0
    """Characters of the program's words that were looked at."""

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    @property
    def meta(self) -> Path:
        return self.folder / "disk1" / "meta"

    @property
    def replica(self) -> Path:
        return self.folder / "disk2" / "replica"

    @property
    def other(self) -> Path:
        return self.folder / "other"

    def says(self, *words: str) -> None:
        """Wait until the program says a line with all of these words, later than the last one waited for."""

        def said() -> bool:
            assert self.program.running, self.program.said
            found = [line for line in self.program.out[self.read :].splitlines() if all(word in line for word in words)]
            return bool(found)

        try:
            until(said)
        except AssertionError:
            raise AssertionError(f"no line with {words} in:\n{self.program.said[self.read :][-6000:]}") from None
        self.read = len(self.program.out)

    def settle(self) -> None:
        """The application rests, and both replicas get all that it committed."""
        self.application.pause()
        try:
            until(lambda: all(self.is_whole(place) for place in (self.replica, self.other)), RECOVERED_SECONDS_MAX)
        except AssertionError:
            raise AssertionError(f"a replica does not recover:\n{self.program.said[-6000:]}") from None
        self.read = len(self.program.out)
        self.application.go()

    def is_whole(self, replica: Path) -> bool:
        try:
            found = restored(client_of(self.ground.seen(replica)), self.folder / "look.db")
        except (ReplicationError, OSError):
            return False
        return found == self.application.hashes[-1]

    @property
    def generations(self) -> int:
        return self.program.out.count('msg="generation begins"')


Fault = Callable[[Stage], Iterator[None]]


def full_shadow(stage: Stage) -> Iterator[None]:
    with stage.ground.full(stage.folder / "disk1"):
        stage.says("sync failed", "no space left" if stage.ground.mounts else "File too large")
        yield


def full_replica(stage: Stage) -> Iterator[None]:
    with stage.ground.full(stage.folder / "disk2"):
        stage.says("sync failed", "the disk is full" if stage.ground.mounts else "File too large")
        yield


def read_only_shadow(stage: Stage) -> Iterator[None]:
    with stage.ground.forbidden(stage.meta, 0o555, 0o444):
        stage.says("sync failed", "Permission denied")
        yield


def read_only_replica(stage: Stage) -> Iterator[None]:
    with stage.ground.forbidden(stage.replica, 0o555, 0o444):
        stage.says("sync failed", "permission denied", "write access")
        yield


def forbidden_shadow(stage: Stage) -> Iterator[None]:
    with stage.ground.forbidden(stage.meta, 0, 0):
        stage.says("sync failed", "Permission denied")
        yield


def forbidden_replica(stage: Stage) -> Iterator[None]:
    with stage.ground.forbidden(stage.replica, 0, 0):
        stage.says("sync failed", "permission denied")
        yield


def forbidden_database(stage: Stage) -> Iterator[None]:
    """What is open stays open: replication may go on, or say that it cannot."""
    modes = [(path, path.stat().st_mode) for path in stage.folder.glob("app.db*")]
    for path, _ in modes:
        path.chmod(0)
    try:
        stage.says("sync failed", "cannot")
        yield
    finally:
        for path, mode in modes:
            path.chmod(mode)


def removed_shadow(stage: Stage) -> Iterator[None]:
    meta = stage.ground.seen(stage.meta)
    if stage.chance.random() < 0.5:
        # All at once; otherwise while the program goes on writing to it, which may keep some of it.
        meta = meta.rename(meta.with_name("removed"))
    shutil.rmtree(meta, ignore_errors=True)
    stage.says('msg="generation begins"')
    yield


def replica_not_mounted(stage: Stage) -> Iterator[None]:
    """Its folder is there and empty, as a mount point is whose disk is away."""
    replica = stage.ground.seen(stage.replica)
    away = replica.with_name("away")
    replica.rename(away)
    replica.mkdir()
    try:
        stage.says("sync failed", "mount")
        yield
    finally:
        found = list(replica.iterdir())
        replica.rmdir() if not found else shutil.rmtree(replica)
        away.rename(replica)
    assert found == [], "a history was begun in a place that only looked empty"


def replica_away(stage: Stage) -> Iterator[None]:
    """Its folder is gone, as where disks are mounted when they are plugged in."""
    replica = stage.ground.seen(stage.replica)
    away = replica.with_name("away")
    replica.rename(away)
    try:
        stage.says("sync failed", "mount")
        yield
    finally:
        there = replica.exists()
        if there:
            shutil.rmtree(replica)
        away.rename(replica)
    assert not there, "a history was begun in a place that only looked empty"


def database_replaced(stage: Stage) -> Iterator[None]:
    """The application ends, another file takes the place of its database, and it starts again."""
    stage.application.close()
    copy = stage.folder / "copy.db"
    source, target = sqlite3.connect(stage.database), sqlite3.connect(copy)
    source.backup(target)
    target.execute("REPLACE INTO t VALUES(1, 'from the copy')")
    target.commit()
    source.close()
    target.close()
    before = stage.application
    before.hashes.append(sha256(copy))
    for suffix in ("-wal", "-shm"):
        stage.database.with_name(stage.database.name + suffix).unlink(missing_ok=True)
    copy.replace(stage.database)
    stage.application = Application(stage.database, stage.chance.randrange(1 << 30), before.hashes)
    stage.application.slowest_seconds = before.slowest_seconds
    stage.application.go()
    stage.says('msg="generation begins"', "replaced")
    yield


FAULTS: list[tuple[Fault, int]] = [
    (full_shadow, 0),
    (full_replica, 0),
    (read_only_shadow, 0),
    (read_only_replica, 0),
    (forbidden_shadow, 0),
    (forbidden_replica, 0),
    (replica_not_mounted, 0),
    (replica_away, 0),
    (removed_shadow, 2),
    (database_replaced, 1),
]
"""Each with the number of generations that may begin by it: where nothing proves that no commit was missed.

A folder is removed piece by piece, and a generation may begin in the middle of that.
"""


def configuration(folder: Path) -> str:
    return f"""
dbs:
- path: {folder}/app.db
  meta-path: {folder}/disk1/meta
  monitor-interval: 20ms
  min-checkpoint-page-count: 60
  replicas:
  - {{name: a, path: {folder}/disk2/replica, sync-interval: 20ms, retention-check-interval: 300ms}}
  - {{name: b, path: {folder}/other, sync-interval: 20ms, snapshot-interval: 1s}}
"""


@contextmanager
def stage(folder: Path, chance: random.Random) -> Iterator[Stage]:
    """Everything under way, and ended at the end of the block whatever happens."""
    folder.mkdir()
    ground = Ground(folder / "disk1", folder / "disk2")
    config = folder / "litestream.yml"
    config.write_text(configuration(folder))
    application = Application(folder / "app.db", chance.randrange(1 << 30))
    try:
        with Replicating(folder / "log", "-config", config, before=ground.before) as program:
            program.wait_for("initialized db")
            ground.started(program.pid)
            made = Stage(folder, chance, ground, program, application)
            made.application.go()
            try:
                yield made
            finally:
                application = made.application
    finally:
        application.kill()


def test_whatever_happens_to_folders_and_disks(tmp_path: Path, torture: Torture) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        faults = FAULTS.copy()
        chance.shuffle(faults)
        folder = tmp_path / f"round{number}"
        with stage(folder, chance) as here:
            here.settle()
            for fault, generations in faults:
                print(fault.__name__, flush=True)
                here.application.commits(chance.randrange(1, 10))
                before = here.generations
                with contextmanager(fault)(here):
                    here.application.commits(chance.randrange(1, 10))
                here.application.commits(1)
                here.settle()
                begun = here.generations - before
                assert begun <= generations, here.program.said[-6000:]
                torture.counts["faults"] += 1
                torture.counts["generations begun"] += begun
            here.settle()
            here.application.pause()
            until(lambda here=here: here.is_whole(here.replica) and here.is_whole(here.other))  # type: ignore[misc]
            for place in (here.replica, here.other):
                client = client_of(here.ground.seen(place))
                restored_points, generations = prove(client, here.application.hashes, chance, POINTS_MAX)
                torture.counts["points restored"] += restored_points
                assert generations <= here.generations
            assert here.program.end() == 0
            here.application.close()
            torture.counts["commits"] += len(here.application.hashes)
            slowest = round(here.application.slowest_seconds * 1000)
            assert here.application.slowest_seconds < COMMIT_SECONDS_MAX
            torture.counts["slowest commit ms"] = max(torture.counts["slowest commit ms"], slowest)
        shutil.rmtree(folder)

"""The application is killed inside a commit, and nobody else: promise 1, and promise 2 for the commit that comes next.

The real program replicates. A writer dies at a chosen write or sync of its WAL, most of all where all frames are in the
file and nothing counts them yet; another one commits. After each death, and after the commit that follows, the replica
restores what the application has, within two seconds, and never a row that nobody committed.
"""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from replication.errors import ReplicationError
from tests.engine.running import client_of, restored, until
from tests.foreign import ForeignConnection, Shell
from tests.torture.conftest import Torture
from tests.torture.mortal import FRAMES, NEVER, TORN, Ending, Mortal
from tests.torture.nursery import Nursery
from tests.torture.steady import prove

KILLS_A_ROUND_SHORT, KILLS_A_ROUND_LONG = 4, 25
ROUNDS_LONG = 20
"""Of 25 kills each: 500, however short the time is."""
ARRIVAL_SECONDS_MAX = 2.0
BIG_BYTES = 24 << 20
"""A commit larger than what is read of the WAL at a time."""
POINTS_MAX = 12
DISK_BYTES = 400 << 20

WAYS = {
    "each commit is first in a life": "checkpoint-interval: 10ms\n    min-checkpoint-page-count: 1",
    "some are": "checkpoint-interval: 1s\n    min-checkpoint-page-count: 30",
    "none is": "checkpoint-interval: 1h\n    min-checkpoint-page-count: 20000",
}
SMALL = ["BEGIN IMMEDIATE", "INSERT INTO t(b) VALUES(randomblob(300))", "COMMIT"]
KINDS = {
    "small": SMALL,
    "several pages": ["BEGIN IMMEDIATE", *["INSERT INTO t(b) VALUES(randomblob(5000))"] * 4, "COMMIT"],
    "all rows": [
        "BEGIN IMMEDIATE",
        "UPDATE t SET b = randomblob(200)",
        "DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 20",
        "COMMIT",
    ],
    # More than the cache holds: frames reach the WAL before the commit.
    "spilled": ["BEGIN IMMEDIATE", *["INSERT INTO t(b) VALUES(randomblob(9000))"] * 12, "COMMIT"],
    # It waits for readers, of which the program's never ends.
    "checkpoint": ["PRAGMA busy_timeout = 20", "PRAGMA wal_checkpoint(TRUNCATE)"],
    "big": ["BEGIN IMMEDIATE", f"INSERT INTO t(b) VALUES(randomblob({BIG_BYTES}))", "COMMIT"],
}


class Killed:
    """One database under the real program, and every state that its application ever had."""

    def __init__(self, folder: Path, nursery: Nursery, mortal: Mortal, chance: random.Random, way: str) -> None:
        folder.mkdir(exist_ok=True)
        self.path, self.log = folder / "app.db", folder / "log"
        self.client = client_of(folder / "replica")
        self.output = folder / "restored.db"
        self.states: list[str] = []
        self.slowest_seconds = 0.0
        self.kills = 0
        self.reader: ForeignConnection | None = None
        self._mortal, self._chance = mortal, chance
        self._pragmas = ("PRAGMA cache_size = 5", f"PRAGMA wal_autocheckpoint = {chance.choice([0, 4, 1000])}")
        config = folder / "litestream.yml"
        config.write_text(
            f"dbs:\n  - path: {self.path}\n    {WAYS[way]}\n    replicas:\n"
            f"      - path: {folder / 'replica'}\n        sync-interval: 10ms\n"
        )
        page_size = chance.choice([512, 1024, 4096])
        made = [
            f"PRAGMA page_size = {page_size}",
            "PRAGMA journal_mode = wal",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        ]
        self._tell(self._write(made))
        self.program = nursery.program("replicate", "-config", config, log=self.log, acks=folder / "acks")
        self.await_arrival(30)

    def _write(self, statements: list[str], moment: int = NEVER) -> Ending:
        synchronous = self._chance.choice(["OFF", "NORMAL", "FULL"])
        return self._mortal.write(
            self.path, statements, moment, (f"PRAGMA synchronous = {synchronous}", *self._pragmas)
        )

    def _tell(self, ending: Ending) -> None:
        assert ending.sha256 is not None
        if self.states[-1:] != [ending.sha256]:
            self.states.append(ending.sha256)

    def die(self, kind: str, moment: int) -> bool:
        """A writer works on its commit up to that moment; False if it had less to do, and lives."""
        ending = self._write(KINDS[kind], moment)
        if not ending.killed:
            self._tell(ending)
            return False
        self.kills += 1
        # One that died in the checkpoint after its commit had committed. And a header of the index that its writer did
        # not finish says nothing: who opens the database next reads the WAL instead, and what is whole there counts.
        before = self.states[-1]
        self._tell(self._write(["SELECT 1"]))
        assert moment != FRAMES or self.states[-1] == before, "SQLite counts what it was not told of"
        return True

    def commit(self) -> None:
        """The next one finds what was committed, and nothing else, and commits."""
        assert self._write(["SELECT 1"]).sha256 == self.states[-1], "SQLite has another state than the oracle"
        self._tell(self._write(SMALL))

    def check(self) -> None:
        """What the replica restores now is a state that was."""
        with suppress(ReplicationError):
            found = restored(self.client, self.output)
            assert found in self.states, f"a state that never was is restored: {self._tail()}"

    def await_arrival(self, seconds: float = ARRIVAL_SECONDS_MAX) -> None:
        """The newest state is in the replica within so many seconds."""
        began = now = time.monotonic()
        found = ""
        while found != self.states[-1]:
            assert now - began <= seconds, f"state {len(self.states) - 1} is not restored in time: {self._tail()}"
            now = time.monotonic()
            # Before the first snapshot there is nothing to restore.
            with suppress(ReplicationError):
                found = restored(self.client, self.output)
                assert found in self.states, f"a state that never was is restored: {self._tail()}"
        self.slowest_seconds = max(self.slowest_seconds, now - began)

    def read(self) -> None:
        """Somebody reads, and so keeps the WAL from being begun anew."""
        if self.reader is None:
            self.reader = Shell(self.path).open()
            self.reader.execute("BEGIN")
            self.reader.execute("SELECT count(*) FROM t")

    def end_reading(self) -> None:
        if self.reader is not None:
            self.reader.kill()
            self.reader.close()
            self.reader = None

    def end(self) -> None:
        self.program.send_signal(signal.SIGTERM)
        until(lambda: self.program.poll() is not None)
        assert self.program.wait() == 0, self._tail()

    def abandon(self) -> None:
        """Whatever happened, nothing is left running."""
        self.end_reading()
        if self.program.poll() is None:
            self.program.kill()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    made = Mortal()
    yield made
    made.end()


def moment_of(chance: random.Random) -> int:
    """Most often the one that leaves a commit which nobody counts."""
    return chance.choice([FRAMES, FRAMES, FRAMES, TORN, 0, chance.randrange(1, 9), chance.randrange(9, 60)])


def play(world: Killed, kills: int, chance: random.Random, torture: Torture) -> None:
    """Deaths, commits, and the replica after each; one history, for no death costs a generation."""
    try:
        big = chance.randrange(kills)
        while world.kills < kills:
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                kind = "big" if world.kills == big else chance.choice([*KINDS][:-1])
                if chance.random() < 0.3:
                    world.read()
                world.die(kind, FRAMES if kind == "big" else moment_of(chance))
                world.check()
                if chance.random() < 0.5:
                    world.end_reading()
                if chance.random() < 0.2:
                    # A checkpoint of ours may come between; each commit is one anew.
                    time.sleep(chance.random() * 0.1)
            world.commit()
            world.await_arrival()
            world.end_reading()
        world.end()
        points, generations = prove(world.client, world.states, chance, POINTS_MAX)
        assert generations == 1, f"a death cost a generation: {world.log.read_text()}"
        torture.counts["kills inside a commit"] += world.kills
        torture.counts["commits"] += len(world.states)
        torture.counts["restore points"] += points
        slowest = round(world.slowest_seconds * 1000)
        torture.counts["slowest arrival ms"] = max(torture.counts["slowest arrival ms"], slowest)
    finally:
        world.abandon()


def test_promise_1_killed_inside_commits_and_only_what_counts_is_restored(
    torture: Torture, tmp_path: Path, nursery: Nursery, mortal: Mortal
) -> None:
    kills = KILLS_A_ROUND_LONG if torture.long else KILLS_A_ROUND_SHORT
    for number, chance in enumerate(torture.rounds(short=len(WAYS), at_least=ROUNDS_LONG)):
        way = [*WAYS][number % len(WAYS)]
        folder = tmp_path / f"{number}"
        play(Killed(folder, nursery, mortal, chance, way), kills, chance, torture)
        shutil.rmtree(folder)


@pytest.mark.parametrize("way", WAYS)
def test_promise_1_killed_at_every_write_and_sync_of_the_wal(
    torture: Torture, tmp_path: Path, nursery: Nursery, mortal: Mortal, way: str
) -> None:
    chance = random.Random(f"{torture.seed}")
    world = Killed(tmp_path / "world", nursery, mortal, chance, way)
    try:
        for kind in [*KINDS][:3] if torture.long else ["several pages"]:
            moment = 0
            while world.die(kind, moment):
                world.check()
                world.commit()
                world.await_arrival()
                moment += 1
            world.await_arrival()
        torture.counts["kills at each write and sync"] += world.kills
        assert world.kills > 10
        world.end()
        assert prove(world.client, world.states, chance, POINTS_MAX)[1] == 1
    finally:
        world.abandon()


@pytest.fixture
def whole_seconds(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that keeps times in whole seconds: ext4 with inodes of 128 bytes."""
    image, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not here, which makes a file system with times in whole seconds")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "128", str(image)], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this user may not mount a file system here, so that times are finer: {done.stderr.strip()}")
    try:
        (folder / "probe").write_bytes(b"")
        assert (folder / "probe").stat().st_mtime_ns % 10**9 == 0
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_promise_2_killed_where_times_are_whole_seconds(
    torture: Torture, whole_seconds: Path, nursery: Nursery, mortal: Mortal
) -> None:
    kills = KILLS_A_ROUND_LONG if torture.long else KILLS_A_ROUND_SHORT
    for number, chance in enumerate(torture.rounds(short=1)):
        folder = whole_seconds / f"{number}"
        play(Killed(folder, nursery, mortal, chance, [*WAYS][-1 - number % len(WAYS)]), kills, chance, torture)
        shutil.rmtree(folder)

"""Restores from replicas that the real Litestream 0.3.13 and this program write by turns, killed at any moment.

Promise 3. Commit n writes its number into two rows, so that a mixture of two commits shows in the rows, and the newest
commit that any object is evidence of in its bytes.
"""

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from peers import clean_environment, die_with_parent, litestream03
from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import client_of
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import PROGRAM, wait_until
from tests.restore.reference import commits_of, unpack
from tests.torture.conftest import Torture

ROWS = 60
PAGE_SIZE = 4096
REQUESTS_MAX = 60
_COMMIT = re.compile(rb"commit (\d{8});")


class Written:
    """A database, what writes its replica, and how many commits there were."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.database, self.root = folder / "app.db", folder / "replica"
        self.config = folder / "litestream.yml"
        self.number = 0
        self.writer = ForeignConnection(self.database, autocheckpoint=False)
        self.writer.execute("PRAGMA journal_mode=WAL")
        self.writer.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n, filler)")
        for _ in range(ROWS):
            self.writer.execute("INSERT INTO t(n, filler) VALUES(0, zeroblob(2500))")
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def commit(self) -> None:
        self.number += 1
        self.writer.execute(
            f"UPDATE t SET n = {self.number}, filler = CASE id WHEN 1 THEN 'commit {self.number:08};' ELSE filler END "
            f"WHERE id IN (1, {2 + self.number % (ROWS - 1)})"
        )

    @contextmanager
    def program(self, ours: bool, snapshots: str) -> Iterator[subprocess.Popen[bytes]]:
        """One of the two replicates; whoever leaves ends it if it still runs."""
        self.config.write_text(
            f"dbs:\n- path: {self.database}\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 40\n"
            f"  replicas:\n  - type: file\n    path: {self.root}\n    sync-interval: 20ms\n"
            f"    snapshot-interval: {snapshots}\n"
        )
        process = subprocess.Popen(
            [PROGRAM if ours else litestream03(), "replicate", "-config", self.config],
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def stored(self) -> int:
        return max((number for path in self.objects() for number in numbers(path)), default=0)

    def objects(self) -> list[Path]:
        return sorted(self.root.rglob("*.lz4"))

    def phase(self, last: bool) -> None:
        """A program for a while: what it sees in time, and what it does not."""
        chance = self.chance
        ours = chance.random() < 0.3
        with self.program(ours, "1h" if last else chance.choice(("200ms", "1h"))) as process:
            for _ in range(6 if last else chance.randint(1, 8)):
                for _ in range(1 if last else chance.randint(1, 5)):
                    self.commit()
                if last or chance.random() < 0.7:
                    wait_until("a commit in the replica", lambda: self.stored() >= self.number)
            if not last and chance.random() < 0.6:
                for _ in range(chance.randint(0, 6)):
                    self.commit()
                process.kill()
                process.wait()
        for _ in range(chance.choice((0, 0, 3, 8)) if not last else 0):
            self.commit()
        if not last and chance.random() < 0.3:
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def never_arrived(self) -> bool:
        """The WAL that came after the newest snapshot goes, as when the program is killed while it is under way."""
        snapshots = sorted(self.root.rglob("*.snapshot.lz4"), key=lambda path: path.stat().st_mtime_ns)
        newest = snapshots[-1].stat().st_mtime_ns
        late = [path for path in self.objects() if path.stat().st_mtime_ns > newest]
        for path in late:
            path.unlink()
        return bool(late)


def numbers(path: Path) -> list[int]:
    """The commits of which the bytes of an object are evidence."""
    try:
        return [int(found) for found in _COMMIT.findall(unpack(path.read_bytes()))]
    except (FileNotFoundError, ValueError):
        return []


def state(path: Path) -> int:
    """Which commit a restored database is; fails the test for a mixture."""
    values = {int(row[0]): int(row[1]) for row in Shell(path).rows("SELECT id, n FROM t")}
    newest = values.pop(1)
    for row, value in values.items():
        mine = (n for n in range(max(1, newest - ROWS + 2), newest + 1) if 2 + n % (ROWS - 1) == row)
        assert value == max(mine, default=0), f"row {row} is {value} in commit {newest}: a state that never was"
    return newest


def positions(written: Written) -> dict[Position, int]:
    """The end of every commit in the segments, with its number."""
    found: dict[Position, int] = {}
    for path in sorted(written.root.rglob("*.wal.lz4")):
        index, offset = (int(part, 16) for part in path.name.removesuffix(".wal.lz4").split("_"))
        data = unpack(path.read_bytes())
        begin = offset
        for end in commits_of(data, offset, PAGE_SIZE):
            marks = _COMMIT.findall(data[begin - offset : end - offset])
            if marks:
                found[Position(path.parents[1].name, index, end)] = int(marks[-1])
            begin = end
    return found


def ask(
    client: ReplicaClient, target: Target, generation: str | None, output: Path
) -> tuple[int, tuple[str, ...], str]:
    """The commit that comes out, or -1, the warnings, and why nothing came."""
    try:
        options = RestoreOptions(target, generation, integrity_check="quick")
        result = restore([OpenReplica("file", client.storage)], output, options)
    except ReplicationError as error:
        return -1, (), str(error)
    found = state(output)
    output.unlink()
    return found, result.warnings, ""


def test_promise_3_whatever_litestream_and_we_wrote_by_turns(torture: Torture, tmp_path: Path) -> None:
    for number, chance in enumerate(torture.rounds(1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        written = Written(folder, chance)
        try:
            run(written, torture)
        finally:
            written.writer.close()
        shutil.rmtree(folder)


def run(written: Written, torture: Torture) -> None:
    chance, counts, output = written.chance, torture.counts, written.folder / "restored.db"
    for _ in range(chance.randint(2, 4)):
        written.phase(last=False)
        counts["phases"] += 1
    whole = chance.random() < 0.5
    if whole:
        written.phase(last=True)
    elif written.never_arrived():
        counts["replicas whose last WAL never arrived"] += 1
    if chance.random() < 0.5:
        for path in written.objects():
            seconds = path.stat().st_mtime_ns // 10**9
            os.utime(path, (seconds, seconds))
        counts["replicas with times in whole seconds"] += 1
    client = client_of(written.root)
    evident = written.stored()
    found, warnings, why = ask(client, Latest(), None, output)
    counts["requests"] += 1
    told = f"{found} of {evident} {warnings} {why}\n" + "\n".join(
        f"{path.stat().st_mtime_ns} {path.relative_to(written.root)} {numbers(path)[-1:]}" for path in written.objects()
    )
    if whole:
        assert found == evident, told
    assert found in (-1, evident), told
    counts["the newest state"] += found == evident
    known = positions(written)
    times = [path.stat().st_mtime_ns for path in written.objects()]
    for _ in range(REQUESTS_MAX if known else 0):
        kind = chance.choice(("position", "position", "time", "index"))
        counts["requests"] += 1
        at = chance.choice(sorted(known))
        if kind == "position":
            found, _, why = ask(client, AtPosition(at), None, output)
            assert found in (-1, known[at]), f"{found} at {at}, which is {known[at]}"
        elif kind == "time":
            moment = chance.choice(times) // 1000
            target = AtTime(_utc(moment))
            found, _, why = ask(client, target, None, output)
            latest = max(
                (n for path in written.objects() if path.stat().st_mtime_ns // 1000 <= moment for n in numbers(path)),
                default=0,
            )
            assert found <= latest, f"{found} at {target}, when there was {latest}"
        else:
            found, _, why = ask(client, AtIndex(at.index), at.generation, output)
            last = max(n for place, n in known.items() if (place.generation, place.index) == (at.generation, at.index))
            assert found in (-1, last), f"{found} at the end of index {at.index}, which is {last}"
        counts["refused" if found < 0 else "restored"] += 1


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)

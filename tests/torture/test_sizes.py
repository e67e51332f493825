"""What is large: a transaction, a database over the lock page, a life of the WAL. Memory stays small meanwhile.

The short form does the same with less, or with lowered bounds; the lock page is only reached in the long one.
"""

import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import peers
from replication.database import checkpoint, wal_copier
from replication.engine import Engine
from tests.engine.running import begun, client_of, config_of, in_step, only, restored, running, sha256, until
from tests.foreign import ForeignConnection
from tests.torture.conftest import Torture
from tests.torture.test_shapes import check, check_litestream

MIB = 1 << 20
MEMORY_MIB_MAX = {"commit": 64, "snapshot": 64, "restore": 128}
"""How much a process may grow, however large the transaction or the database. A restore fetches 8 objects at once."""
LOCK_PAGE_OFFSET = 1 << 30
"""SQLite keeps its locks at this byte, and nothing in the page that holds it."""
LARGE_SECONDS_MAX = 600.0

_ENGINE = r"""
import json, sys
from pathlib import Path
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from tests.engine.running import client_of, config_of, in_step, only, running, until

def memory():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM")]

def forget():
    Path("/proc/self/clear_refs").write_text("5")

def say(**what):
    print(json.dumps(what), flush=True)

path, replica, output = map(Path, sys.argv[1:4])
with running(config_of(path, replica, pages_min=10**6, monitor_seconds=0.05)) as engine:
    until(lambda: in_step(engine))
    forget()
    before = memory()[0]
    say(before=before)
    for act in map(str.strip, sys.stdin):
        if act == "sync":
            wanted = int(sys.stdin.readline())
            until(lambda: only(engine).wal_bytes >= wanted and only(engine).position.offset >= wanted, 600)
            until(lambda: in_step(engine), 600)
        elif act == "snapshot":
            engine.snapshot(str(path))
        say(act=act, grown=memory()[1] - before, position=str(only(engine).position))
forget()
before = memory()[0]
restore([OpenReplica("test", client_of(replica).storage)], output, RestoreOptions())
say(act="restore", grown=memory()[1] - before)
"""


class Measured:
    """An engine in a process of its own, and how far its memory grew."""

    def __init__(self, path: Path, replica: Path, output: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ENGINE, path, replica, output],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=peers.die_with_parent,
        )
        self.answer()

    def answer(self) -> dict[str, Any]:
        """The next thing it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the engine failed"
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, *lines: str) -> int:
        """Let it do something; the MiB by which it has grown."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        return int(self.answer()["grown"])

    def restore(self) -> int:
        """Close the engine and restore; the MiB by which the process grew for that."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        grown = int(self.answer()["grown"])
        assert self.process.wait(60) == 0
        return grown

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


def fill(connection: ForeignConnection, mib: int, piece: int = 1 << 16, content: str = "randomblob") -> None:
    """Insert so many MiB, in as many rows as it takes, as one statement."""
    rows = mib * MIB // piece
    connection.execute(
        f"INSERT INTO t(b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        f"SELECT {content}({piece - 100}) FROM n"
    )


def test_a_transaction_larger_than_what_memory_it_may_take(tmp_path: Path, torture: Torture) -> None:
    """One commit of 96 MiB, or 320 in the long form; then a snapshot of it, and a restore."""
    mib = 320 if torture.long else 96
    for _ in torture.rounds(short=1):
        folder = tmp_path / str(torture.counts["rounds"])
        folder.mkdir()
        path, replica, output = folder / "app.db", folder / "replica", folder / "restored.db"
        with ForeignConnection(path, autocheckpoint=False) as app:
            app.execute("PRAGMA journal_mode = WAL")
            app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
            measured = Measured(path, replica, output)
            try:
                began = time.monotonic()
                fill(app, mib)
                grown = {"commit": measured.ask("sync", str(mib * MIB))}
                took = time.monotonic() - began
                sha = app.sha256()
                app.execute("INSERT INTO t(b) VALUES(1)")
                grown["snapshot"] = measured.ask("snapshot")
                sha = app.sha256()
                grown["restore"] = measured.restore()
            finally:
                measured.kill()
        print(f"{mib} MiB in {took:.1f} s, grown by {grown} MiB")
        assert sha256(output) == sha
        assert all(grown[what] <= most for what, most in MEMORY_MIB_MAX.items()), grown
        output.unlink()
        check_litestream(f"file://{replica}", sha, folder, torture)
        for item in replica.rglob("*.lz4"):
            item.unlink()
        path.unlink()
        torture.counts["MiB in one commit"] += mib
        for what, size in grown.items():
            torture.counts[f"most MiB of memory: {what}"] = max(torture.counts[f"most MiB of memory: {what}"], size)


def copied(engine: Engine, path: Path) -> bool:
    """True when the whole WAL file, of which nothing was rolled back, is in the replica."""
    position = only(engine).position
    return in_step(engine) and position is not None and position.offset == Path(f"{path}-wal").stat().st_size


def outgrow(folder: Path, page_size: int, limit_mib: int) -> tuple[str, int]:
    """Let the WAL reach its limit, then end the reader that kept it; the last state's hash, and MiB of WAL."""
    path = folder / "app.db"
    with ExitStack() as stack:
        app = stack.enter_context(ForeignConnection(path, autocheckpoint=False))
        app.execute(f"PRAGMA page_size = {page_size}")
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        fill(app, limit_mib // 16, content="zeroblob")
        engine = stack.enter_context(running(config_of(path, folder / "replica", pages_min=10**7)))
        until(lambda: in_step(engine))
        reader = stack.enter_context(ForeignConnection(path, autocheckpoint=False))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        tries: set[int] = set()
        for number in range(40):
            # What is equal already is not written: all bytes change.
            app.execute(f"UPDATE t SET b = replace(hex(zeroblob(30000)), '0', char(65 + {number}))")
            until(lambda: only(engine).state == "error" or copied(engine, path), LARGE_SECONDS_MAX)
            tries.add(only(engine).checkpoint_blocked)
            if only(engine).state == "error":
                break
        assert len(tries) > 3, "no checkpoint was tried although the WAL grew large"
        until(lambda: "end that reader" in only(engine).error)
        assert begun(engine) == ["no generation exists"]
        wal_mib = Path(f"{path}-wal").stat().st_size // MIB
        last_state = app.sha256()
        # Nothing more is written: what the engine could not copy must reach the replica all the same.
        reader.execute("COMMIT")
        until(lambda: len(begun(engine)) > 1 and in_step(engine), LARGE_SECONDS_MAX)
        return last_state, wal_mib


@pytest.mark.parametrize("real", [False, True])
def test_a_life_of_the_wal_that_reaches_its_bounds(
    tmp_path: Path, torture: Torture, monkeypatch: pytest.MonkeyPatch, real: bool
) -> None:
    """A reader that never ends keeps the WAL from being restarted: a checkpoint is tried at each sync, then copying
    stops in words; once it is gone a generation begins. Bounds of 6 and 24 MiB, in the long form 1 and 4 GiB."""
    if real and not torture.long:
        pytest.skip("4 GiB: make torture")
    limit_mib = 4096 if real else 24
    if not real:
        monkeypatch.setattr(wal_copier, "OFFSET_LIMIT_BYTES", limit_mib * MIB)
        monkeypatch.setattr(checkpoint, "WAL_OFFSET_URGENT_BYTES", limit_mib // 4 * MIB)
    for chance in [random.Random(torture.seed)] if real else torture.rounds(short=2):
        folder = tmp_path / str(torture.counts["rounds"])
        folder.mkdir()
        page_size = 65536 if real else chance.choice([512, 4096, 65536])
        began = time.monotonic()
        last_state, wal_mib = outgrow(folder, page_size, limit_mib)
        replica = folder / "replica"
        assert restored(client_of(replica), folder / "restored.db") == last_state
        check_litestream(f"file://{replica}", last_state, folder, torture)
        print(f"{wal_mib} MiB of WAL in {time.monotonic() - began:.0f} s")
        torture.counts["most MiB of WAL in one life"] = max(torture.counts["most MiB of WAL in one life"], wal_mib)
        torture.counts["lives of the WAL at their bound"] += 1


def test_a_database_over_the_lock_page(tmp_path: Path, torture: Torture) -> None:
    """1.5 GiB: the page at 1 GiB is never used by SQLite, is never in the WAL, and is zeros in what is restored."""
    if not torture.long:
        pytest.skip("1.5 GiB: make torture")
    chance = random.Random(torture.seed)
    page_size = 4096
    path, replica = tmp_path / "app.db", tmp_path / "replica"
    with ForeignConnection(path, autocheckpoint=False) as app:
        for statement in ("PRAGMA journal_mode = WAL", "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)"):
            app.execute(statement)
        hashes = [app.sha256()]
        began = time.monotonic()
        with running(config_of(path, replica)) as engine:
            for _ in range(12):
                fill(app, 128, chance.choice([4000, 60_000]), "zeroblob" if chance.random() < 0.5 else "randomblob")
                hashes.append(app.sha256())
                until(lambda: in_step(engine), LARGE_SECONDS_MAX)
            pages = int(app.execute("PRAGMA page_count")[0][0])
            assert pages * page_size > LOCK_PAGE_OFFSET + 300 * MIB
            assert begun(engine) == ["no generation exists"]
            took = time.monotonic() - began
        with running(config_of(path, replica)) as engine:
            # In a snapshot as well as in the WAL.
            app.execute("INSERT INTO t(b) VALUES(1)")
            hashes.append(app.sha256())
            until(lambda: in_step(engine), LARGE_SECONDS_MAX)
            engine._workers[0].database.request_generation("for a snapshot")
            app.execute("INSERT INTO t(b) VALUES(2)")
            hashes.append(app.sha256())
            until(lambda: len(begun(engine)) > 0 and in_step(engine), LARGE_SECONDS_MAX)
    client = client_of(replica)
    assert len(client.generations()) == 2
    check(client, hashes, tmp_path, chance, torture)
    check_litestream(f"file://{replica}", hashes[-1], tmp_path, torture)
    print(f"{pages} pages, written and replicated in {took:.0f} s")
    torture.counts["MiB of database over the lock page"] = pages * page_size // MIB

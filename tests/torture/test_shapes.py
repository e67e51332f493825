"""Databases of every shape: each is replicated while it changes, and restored at its commits, to the page.

The oracle is the hash of the database after every commit, taken by the process that commits. Litestream 0.3.13
restores each of them as well. What is large is in test_sizes.py.
"""

import random
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pytest

import peers
from replication.config import Config, ReplicaConfig
from replication.engine import Engine
from replication.errors import DatabaseError
from replication.storage.open import open_storage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    only,
    restore_points,
    restored,
    restored_each,
    running,
    sha256,
    until,
)
from tests.foreign import ForeignConnection, ForeignError
from tests.interchange.program import restore03
from tests.torture.conftest import Torture
from tests.torture.shapes import PAGE_SIZES, SHAPES, TABLE, blob, made, rows

POINTS_MAX = 6
"""Commits restored of one generation, besides the first and the last."""
RESERVE = r"""
import apsw, ctypes, sys
connection = apsw.Connection(sys.argv[1])
reserved = ctypes.c_int(int(sys.argv[2]))
connection.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(reserved))
connection.execute("VACUUM")
connection.execute("CREATE TABLE first(a)")
connection.close()
"""


class Application:
    """A connection elsewhere that commits, and remembers the hash after every commit."""

    def __init__(self, path: Path, before: list[str]) -> None:
        self.path = path
        self.hashes: list[str] = []
        self.connection = ForeignConnection(path, autocheckpoint=False)
        for statement in before:
            self.connection.execute(statement)
        self.hashes.append(self.connection.sha256())

    def commit(self, statements: list[str]) -> None:
        """One commit, outside a transaction if it is one statement: VACUUM wants that."""
        for statement in statements if len(statements) == 1 else ["BEGIN", *statements, "COMMIT"]:
            self.connection.execute(statement)
        self.hashes.append(self.connection.sha256())

    def __enter__(self) -> "Application":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()


def begin(engine: Engine) -> None:
    """Start it and wait for its first look."""
    engine.start()
    engine.check()


def check(client: ReplicaClient, hashes: list[str], folder: Path, chance: random.Random, torture: Torture) -> None:
    """The newest state is the newest, and every commit of the newest generation that is looked at was one, in order."""
    assert restored(client, folder / "latest.db") == hashes[-1]
    # A statement that changed nothing was no commit.
    order = {sha: number for number, sha in enumerate(dict.fromkeys(hashes))}
    for generation in client.generations():
        points = restore_points(client, generation)
        some = sorted({points[0], points[-1], *chance.sample(points, min(len(points), POINTS_MAX))})
        states = [order.get(sha, -1) for sha in restored_each(client, some)]
        assert -1 not in states, f"{some[states.index(-1)]} restores to a state that never was"
        assert states == sorted(states)
        # The start of an index is the end of the one before it, under another name.
        commits = {point for point in points if point.offset} | {points[0]}
        assert len(commits) >= states[-1] - states[0] + 1, f"{generation}: commits are missing"
        torture.counts["commits restored and compared"] += len(some)


def check_litestream(url: str, sha: str, folder: Path, torture: Torture, *flags: str) -> None:
    """Litestream 0.3.13 restores the newest state too."""
    output = folder / "theirs.db"
    restore03(output, *flags, url)
    assert sha256(output) == sha
    output.unlink()
    torture.counts["restores by Litestream 0.3.13"] += 1


def replicate(name: str, folder: Path, chance: random.Random, torture: Torture) -> None:
    """One shape from beginning to end, through a folder."""
    shape = SHAPES[name](chance)
    path, replica = folder / f"{name}.db", folder / f"{name}-replica"
    config = config_of(path, replica, pages_min=chance.choice([3, 50, 1000]))
    with Application(path, shape.before) as app, running(config) as engine:
        for transaction in shape.transactions:
            app.commit(transaction)
            torture.counts["commits"] += 1
            if chance.random() < 0.2:
                until(lambda: in_step(engine))
        assert only(engine).error == ""
    client = client_of(replica)
    assert len(client.generations()) == 1
    check(client, app.hashes, folder, chance, torture)
    check_litestream(f"file://{replica}", app.hashes[-1], folder, torture)
    torture.counts["databases"] += 1


@pytest.mark.parametrize("part", range(4))
def test_shapes(tmp_path: Path, torture: Torture, part: int) -> None:
    """Every shape; in the long form again and again, with other sizes each time."""
    for chance in torture.rounds(short=1):
        for name in sorted(SHAPES)[part::4]:
            folder = tmp_path / f"{torture.counts['rounds']}-{name}"
            folder.mkdir()
            print(name, flush=True)
            replicate(name, folder, chance, torture)


def test_another_page_size_begins_a_generation(tmp_path: Path, torture: Torture) -> None:
    """Only outside WAL mode can VACUUM change it; while the database is held nobody can leave WAL mode."""
    for chance in torture.rounds(short=2):
        folder = tmp_path / str(torture.counts["rounds"])
        folder.mkdir()
        path, replica = folder / "app.db", folder / "replica"
        sizes = [chance.choice(PAGE_SIZES)]
        config = config_of(path, replica)
        with Application(path, made(sizes[0], TABLE)) as app:
            for transaction in rows(chance, sizes[0], 3):
                app.commit(transaction)
            for life in range(3):
                with running(config) as engine:
                    assert len(begun(engine)) == 1
                    app.commit([f"INSERT INTO t(b) VALUES({blob(chance, 700)})"])
                    with pytest.raises(ForeignError, match="locked"):
                        app.connection.execute("PRAGMA journal_mode = DELETE")
                if life < 2:
                    sizes.append(chance.choice([size for size in PAGE_SIZES if size != sizes[-1]]))
                    for statement in ("PRAGMA journal_mode = DELETE", f"PRAGMA page_size = {sizes[-1]}", "VACUUM"):
                        app.connection.execute(statement)
                    assert app.connection.execute("PRAGMA page_size") == [[sizes[-1]]]
                    app.connection.execute("PRAGMA journal_mode = WAL")
                    app.hashes.append(app.connection.sha256())
                    torture.counts["page sizes changed"] += 1
        client = client_of(replica)
        assert len(client.generations()) == 3
        check(client, app.hashes, folder, chance, torture)
        check_litestream(f"file://{replica}", app.hashes[-1], folder, torture)


def test_a_database_outside_wal_mode_is_switched_and_it_is_said(tmp_path: Path, torture: Torture) -> None:
    for chance in torture.rounds(short=1):
        for mode in ("DELETE", "TRUNCATE", "PERSIST"):
            folder = tmp_path / f"{torture.counts['rounds']}-{mode}"
            folder.mkdir()
            path, replica = folder / "app.db", folder / "replica"
            with Application(path, made(4096, TABLE, mode=mode)) as app, running(config_of(path, replica)) as engine:
                said = [event for event in engine.events_since(0) if event.message == "database switched to WAL mode"]
                assert len(said) == 1
                app.hashes.append(app.connection.sha256())
                for transaction in rows(chance, 4096, 3):
                    app.commit(transaction)
                assert app.connection.execute("PRAGMA journal_mode") == [["wal"]]
            check(client_of(replica), app.hashes, folder, chance, torture)
            check_litestream(f"file://{replica}", app.hashes[-1], folder, torture)
            torture.counts["journal modes switched"] += 1


def test_reserved_bytes(tmp_path: Path, torture: Torture) -> None:
    """Extensions keep bytes of their own at the end of each page; byte 20 of the header counts them."""
    for chance in torture.rounds(short=1):
        for reserved in (8, 32, 255):
            folder = tmp_path / f"{torture.counts['rounds']}-{reserved}"
            folder.mkdir()
            path, replica = folder / "app.db", folder / "replica"
            subprocess.run([sys.executable, "-c", RESERVE, str(path), str(reserved)], check=True)
            assert path.read_bytes()[20] == reserved
            size = chance.choice(PAGE_SIZES[1:])
            with Application(path, ["PRAGMA journal_mode = WAL", TABLE]) as app, running(config_of(path, replica)):
                for transaction in rows(chance, size, 4):
                    app.commit(transaction)
            client = client_of(replica)
            check(client, app.hashes, folder, chance, torture)
            check_litestream(f"file://{replica}", app.hashes[-1], folder, torture)
            torture.counts["databases with reserved bytes"] += 1


def test_what_is_no_plain_sqlite_database_is_refused_in_words(tmp_path: Path, torture: Torture) -> None:
    """Encrypted ones begin with random bytes; so may anything. None of it is changed, and nothing is made beside it."""
    for chance in torture.rounds(short=1):
        path = tmp_path / f"{torture.counts['rounds']}.db"
        content = chance.randbytes(chance.choice([100, 4096, 40_000]))
        path.write_bytes(content)
        engine = Engine(config_of(path, tmp_path / "replica"))
        with pytest.raises(DatabaseError, match="not a SQLite database, or it is encrypted"):
            begin(engine)
        assert engine.close() == []
        assert path.read_bytes() == content
        assert sorted(item.name for item in tmp_path.iterdir()) == [path.name]
        path.unlink()
        torture.counts["files refused"] += 1


def test_an_empty_file_is_waited_for(tmp_path: Path, torture: Torture) -> None:
    """SQLite makes a database of a file of zero bytes when it is first written to."""
    for chance in torture.rounds(short=1):
        folder = tmp_path / str(torture.counts["rounds"])
        folder.mkdir()
        path, replica = folder / "app.db", folder / "replica"
        path.touch()
        with running(config_of(path, replica)) as engine:
            assert only(engine).state == "waiting"
            assert "is empty yet" in only(engine).error
            assert path.stat().st_size == 0
            with Application(path, made(chance.choice(PAGE_SIZES), TABLE)) as app:
                until(lambda: in_step(engine))
                for transaction in rows(chance, 512, 3):
                    app.commit(transaction)
                until(lambda: in_step(engine))
        check(client_of(replica), app.hashes, folder, chance, torture)
        check_litestream(f"file://{replica}", app.hashes[-1], folder, torture)
        torture.counts["empty files"] += 1


def test_shapes_in_s3(tmp_path: Path, torture: Torture, weed: peers.S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them through a real S3 server, all databases in one engine."""
    for chance in torture.rounds(short=1):
        names = chance.sample(sorted(SHAPES), 4)
        folder = tmp_path / str(torture.counts["rounds"])
        folder.mkdir()
        databases, locations = [], []
        for name in names:
            [database] = config_of(folder / f"{name}.db").databases
            locations.append(weed.location())
            replica = ReplicaConfig(name="s3", location=locations[-1], sync_interval=0.001)
            databases.append(replace(database, replicas=(replica,)))
        with ExitStack() as stack:
            shapes = [SHAPES[name](chance) for name in names]
            apps = [
                stack.enter_context(Application(item.path, shape.before))
                for item, shape in zip(databases, shapes, strict=True)
            ]
            with running(Config(path=None, databases=tuple(databases))):
                for app, shape in zip(apps, shapes, strict=True):
                    for transaction in shape.transactions:
                        app.commit(transaction)
                        torture.counts["commits"] += 1
        for name, app, location in zip(names, apps, locations, strict=True):
            print(name, flush=True)
            with closing(open_storage(location)) as store:
                check(ReplicaClient(store), app.hashes, folder, chance, torture)
            theirs = folder / "litestream.yml"
            theirs.write_text(
                f"dbs:\n- path: {app.path}\n  replicas:\n  - type: s3\n    bucket: {location.bucket}\n"
                f"    path: {location.path}\n    endpoint: {location.endpoint}\n    force-path-style: true\n"
            )
            restore03(folder / "theirs.db", "-config", theirs, app.path, environment=weed.litestream_environment())
            assert sha256(folder / "theirs.db") == app.hashes[-1]
            (folder / "theirs.db").unlink()
            torture.counts["databases in S3"] += 1

"""dir: databases of a folder are found, replicated each to its own place, and ended when they go."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

import peers
from tests.cli.program import refuses, run, succeeds
from tests.cli.reloading import (
    Service,
    directory,
    entry,
    generations,
    has_snapshot,
    made,
    restored,
    wait_for_snapshots,
)
from tests.foreign import ForeignConnection, ForeignError, Shell
from tests.interchange.program import wait_until

BURST = 1000
DESCRIPTORS = 6 * BURST + 500
APPEARS_SECONDS_MAX = 5.0
"""On an idle machine it takes a tenth of a second; this one may be busy."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "litestream.yml"


@pytest.fixture
def tenants(tmp_path: Path) -> Path:
    folder = tmp_path / "tenants"
    folder.mkdir()
    return folder


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The place that the replicas of all lie below."""
    return tmp_path / "copies"


def test_databases_that_appear_are_replicated_and_those_that_go_are_ended(
    config: Path, tenants: Path, copies: Path, tmp_path: Path
) -> None:
    made(tenants / "first.db")
    with Service(tmp_path / "log", config, directory(tenants, copies)) as service:
        wait_for_snapshots(copies / "first.db")
        few = service.descriptors
        with ForeignConnection(tenants / "second.db") as application:
            application.execute("PRAGMA journal_mode=WAL")
            application.execute("CREATE TABLE t(a)")
            began = time.monotonic()
            application.execute("INSERT INTO t VALUES('of the second')")
            wait_for_snapshots(copies / "second.db")
            assert time.monotonic() - began < APPEARS_SECONDS_MAX
            service.wait_for("database added", f"db={tenants}/second.db")
        listed = json.loads(succeeds("databases", "-config", config, "-json").out)
        assert [item["path"] for item in listed] == [f"{tenants}/first.db", f"{tenants}/second.db"]
        wait_until("status", lambda: all(report["engine_running"] for report in status(config)))
        for name in ("second.db", "second.db-wal", "second.db-shm"):
            (tenants / name).unlink(missing_ok=True)
        service.wait_for("database removed", f"db={tenants}/second.db")
        wait_until("it is let go of", lambda: service.descriptors <= few + 2)
        assert [report["path"] for report in status(config)] == [f"{tenants}/first.db"]
        assert service.end() == 0
    # By its path, although it is gone: Litestream does not find it then.
    succeeds("restore", "-config", config, "-o", tmp_path / "back.db", tenants / "second.db")
    assert Shell(tmp_path / "back.db").rows("SELECT a FROM t") == [["of the second"]]
    refuses(run("restore", "-config", config, tenants / "other.txt"), 2, "not found in config", "*.db")


def status(config: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("status", "-config", config, "-json").out)
    return found


def test_what_is_no_database_or_not_there_is_left_alone(
    config: Path, tenants: Path, copies: Path, tmp_path: Path
) -> None:
    good = [made(tenants / "app.db"), made(tenants / "deep" / "er" / "app.db")]
    made(tmp_path / "outside" / "secret.db")
    (tenants / "link.db").symlink_to(tmp_path / "outside" / "secret.db")
    (tenants / "inner.db").symlink_to("app.db")
    (tenants / "folder").symlink_to(tmp_path / "outside")
    (tenants / "text.db").write_text("no database at all")
    (tenants / "empty.db").touch()
    (tenants / "a.db").mkdir()
    os.mkfifo(tenants / "pipe.db")
    made(tenants / ".hidden.db")
    made(tenants / ".folder" / "app.db")
    for name in ("x.db-wal", "x.db-shm", "x.db-journal", "x.db.before-restore-20261126T000000Z", "x.db.failed-check"):
        (tenants / name).write_bytes((tenants / "app.db").read_bytes())
    with Service(tmp_path / "log", config, directory(tenants, copies, "recursive: true, watch: true", "*")) as service:
        wait_for_snapshots(copies / "app.db", copies / "deep" / "er" / "app.db")
        made(tenants / "new" / "folder" / "app.db")
        wait_for_snapshots(copies / "new" / "folder" / "app.db")
        Shell(tenants / "empty.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
        wait_for_snapshots(copies / "empty.db")
        found = {str(report["path"]) for report in status(config)}
        assert found == {*map(str, good), f"{tenants}/new/folder/app.db", f"{tenants}/empty.db"}
        assert service.end() == 0
    assert "level=ERROR" not in service.said


def test_a_second_name_of_a_database_costs_no_lock(config: Path, tenants: Path, copies: Path, tmp_path: Path) -> None:
    """To look into it by that name would end the locks by which the first is held."""
    outside = made(tmp_path / "outside" / "app.db")
    os.link(outside, tenants / "again.db")
    with (
        Service(tmp_path / "log", config, entry(outside, tmp_path / "replica"), directory(tenants, copies)) as service,
        ForeignConnection(outside, timeout=0.0) as application,
    ):
        wait_for_snapshots(tmp_path / "replica")
        for number in range(20):
            (tenants / f"{number}.db").touch()
            application.execute(f"INSERT INTO t VALUES('{number}')")
            application.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with pytest.raises(ForeignError, match="locked"):
                application.execute("PRAGMA journal_mode=DELETE")
        service.wait_for("is replicated already", f"{tenants}/again.db")
        assert service.end() == 0
    assert len(generations(tmp_path / "replica")) == 1
    assert len(restored(tmp_path / "replica", tmp_path / "out.db")) == 21


def test_a_folder_that_is_not_there_is_waited_for(config: Path, tmp_path: Path, copies: Path) -> None:
    folder = tmp_path / "later" / "tenants"
    with Service(tmp_path / "log", config, directory(folder, copies, "watch: false")) as service:
        service.wait_for("level=WARN", f"{folder} cannot be looked at", "does not exist")
        made(tmp_path / "made.db")
        for path in tmp_path.glob("made.db*"):
            path.rename(path.with_name(f"ready-{path.name}"))
        (tmp_path / "building").mkdir()
        (tmp_path / "ready-made.db").rename(tmp_path / "building" / "app.db")
        folder.parent.mkdir()
        (tmp_path / "building").rename(folder)
        wait_for_snapshots(copies / "app.db")
        # It is looked at once.
        made(folder / "too late.db")
        Shell(folder / "app.db").run("INSERT INTO t VALUES('second')")
        assert service.end() == 0
    assert restored(copies / "app.db", tmp_path / "out.db") == ["first", "second"]
    assert not has_snapshot(copies / "too late.db")


def test_two_that_map_to_one_place_are_refused_in_words(
    config: Path, tenants: Path, copies: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    made(tenants / "sub" / "app.db")
    made(other / "app.db")
    entries = (directory(tenants, copies, "recursive: true"), directory(other, copies / "sub"))
    with Service(tmp_path / "log", config, *entries) as service:
        service.wait_for("level=ERROR", f"db={other}/app.db", "would have the same place as", f"{tenants}/sub/app.db")
        wait_for_snapshots(copies / "sub" / "app.db")
        assert [report["path"] for report in status(config)] == [f"{tenants}/sub/app.db"]
        # The same place at the top is found before anything begins.
        config.write_text("dbs:\n" + directory(tenants, copies) + directory(other, copies))
        refuses(run("status", "-config", config), 3, "is the same place as", "dbs[0]")
        assert service.end() == 0
    assert len(generations(copies / "sub" / "app.db")) == 1


def test_a_folder_comes_and_goes_with_the_configuration(
    config: Path, tenants: Path, copies: Path, tmp_path: Path
) -> None:
    a = made(tmp_path / "a.db")
    for name in ("x", "y", "z"):
        made(tenants / f"{name}.db")
    with Service(tmp_path / "log", config, entry(a, tmp_path / "a")) as service:
        assert "3 added" in service.reload(entry(a, tmp_path / "a"), directory(tenants, copies))
        wait_for_snapshots(*(copies / f"{name}.db" for name in "xyz"))
        fewer = directory(tenants, copies, pattern="[x-y].db")
        assert "1 removed" in service.reload(entry(a, tmp_path / "a"), fewer)
        # One that is named is as it is named.
        own = entry(tenants / "x.db", tmp_path / "x")
        assert "1 changed" in service.reload(entry(a, tmp_path / "a"), fewer, own)
        wait_for_snapshots(tmp_path / "x")
        assert "2 removed" in service.reload(entry(a, tmp_path / "a"))
        made(tenants / "w.db")
        assert "nothing changed" in service.reload(entry(a, tmp_path / "a"))
        assert service.end() == 0
    assert not has_snapshot(copies / "w.db")
    assert all(len(generations(copies / f"{name}.db")) == 1 for name in "xyz")


_MANY = """
import sqlite3, sys
for number in range(int(sys.argv[2])):
    db = sqlite3.connect(f"{sys.argv[1]}/{number:04}.db")
    db.execute("PRAGMA journal_mode=wal")
    db.execute("PRAGMA synchronous=off")
    db.execute("CREATE TABLE t(a)")
    db.execute("INSERT INTO t VALUES(?)", (f"of {number}",))
    db.commit()
    db.close()
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < DESCRIPTORS, reason="the hard limit is too low")
@pytest.mark.parametrize("count", [250, pytest.param(BURST, marks=pytest.mark.explores)])
def test_hundreds_appear_at_once_and_go(config: Path, tenants: Path, copies: Path, tmp_path: Path, count: int) -> None:
    """Beside a database that goes on meanwhile."""
    a = made(tmp_path / "a.db")
    with Service(tmp_path / "log", config, entry(a, tmp_path / "a"), directory(tenants, copies)) as service:
        wait_for_snapshots(tmp_path / "a")
        few = service.descriptors
        with ForeignConnection(a) as application:
            many = subprocess.Popen(
                [sys.executable, "-c", _MANY, tenants, str(count)], preexec_fn=peers.die_with_parent
            )
            replicas = [copies / f"{number:04}.db" for number in range(count)]
            commits = 0
            while not all(has_snapshot(replica) for replica in replicas):
                application.execute(f"INSERT INTO t VALUES('{commits}')")
                commits += 1
                assert service.running
                time.sleep(0.05)
            assert many.wait() == 0
        for path in tenants.iterdir():
            if path.is_file():
                path.unlink()
        service.wait_for("database removed", times=count)
        wait_until("all are let go of", lambda: service.descriptors <= few + 4)
        assert service.end() == 0
    assert len(restored(tmp_path / "a", tmp_path / "out.db")) == commits + 1
    assert len(generations(tmp_path / "a")) == 1
    for number in (0, count // 2, count - 1):
        assert restored(copies / f"{number:04}.db", tmp_path / "out.db") == [f"of {number}"]

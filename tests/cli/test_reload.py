"""SIGHUP: databases and replicas come, go and change, and those that stay notice nothing of it."""

import fcntl
import os
import signal
import termios
import time
from pathlib import Path

import pytest

from tests.cli.program import Replicating, python
from tests.cli.reloading import Service, entry, generations, has_snapshot, made, restored, wait_for_snapshots
from tests.engine.running import client_of, restore_points, restored_each
from tests.engine.writer import Writer
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until

ROUNDS = 12
LATE_SECONDS_MAX = 2.0
"""A commit that waited for anything of the others would be later: they are ended within 6 seconds, and this machine may
be busy."""
RELOADS, RELOADS_BEFORE = 200, 40
GROWTH_BYTES_MAX = 6 << 20


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "litestream.yml"


def segments(replica: Path) -> int:
    return len(list(replica.glob("generations/*/wal/*.wal.lz4")))


def test_those_that_stay_are_not_touched(config: Path, tmp_path: Path) -> None:
    """Promises 1 to 3 for a database beside others that come, go and change."""
    a, b, c = (tmp_path / f"{name}.db" for name in "abc")
    replicas = [tmp_path / f"replica-{name}" for name in "abc"]
    writer = Writer(a, 4096)
    made(b), made(c)
    stays = entry(a, replicas[0], "min-checkpoint-page-count: 20, monitor-interval: 100ms, ")
    others = [
        (entry(b, replicas[1]), "1 added"),
        (entry(b, replicas[1]) + entry(c, replicas[2]), "1 added"),
        (entry(b, replicas[1], of_replica="sync-interval: 50ms") + entry(c, replicas[2]), "1 changed"),
        (entry(c, replicas[2]), "1 removed"),
        ("", "1 removed"),
    ]
    late = 0.0
    with Service(tmp_path / "log", config, stays) as service:
        wait_for_snapshots(replicas[0])
        for number in range(ROUNDS):
            entries, words = others[number % len(others)]
            service.write(stays, entries)
            service.send(signal.SIGHUP)
            for _ in range(8):
                writer.commit(2)
                before, began = segments(replicas[0]), time.monotonic()
                writer.commit(1)
                wait_until("the commit is stored", lambda before=before: segments(replicas[0]) > before)  # type: ignore[misc]
                late = max(late, time.monotonic() - began)
            assert words in service.wait_for("configuration read anew", times=number + 1)
        assert service.end() == 0
        assert service.said.count("initialized db") == 1
        assert len([line for line in service.said.splitlines() if f"db={a}" in line and "generation" in line]) == 1
    writer.close()
    assert late < LATE_SECONDS_MAX
    [generation] = generations(replicas[0])
    client = client_of(replicas[0])
    points = restore_points(client, generation)
    found = restored_each(client, points)
    states = [sha for at, sha in enumerate(found) if not (points[at].offset == 0 and at and found[at - 1] == sha)]
    assert states == writer.hashes


def test_a_file_with_an_error_changes_nothing(config: Path, tmp_path: Path) -> None:
    a = made(tmp_path / "a.db")
    with Service(tmp_path / "log", config, entry(a, tmp_path / "a")) as service:
        wait_for_snapshots(tmp_path / "a")
        service.write(entry(a, tmp_path / "a"), "- {pth: /x, retention: 3}\n", "- {path: /y, replicas: [{type: s4}]}\n")
        service.send(signal.SIGHUP)
        service.wait_for("level=ERROR", "nothing is changed", f"{config}:3:", "pth")
        service.wait_for("level=ERROR", "nothing is changed", f"{config}:4:", "s4")
        config.write_text("dbs: [")
        service.send(signal.SIGHUP)
        service.wait_for("level=ERROR", "nothing is changed", f"{config}:", "not YAML")
        config.unlink()
        service.send(signal.SIGHUP)
        service.wait_for("level=ERROR", "nothing is changed", "config file not found")
        service.write()
        service.send(signal.SIGHUP)
        service.wait_for("level=ERROR", "no databases, and nothing is changed")
        Shell(a).run("INSERT INTO t VALUES('later')")
        assert "nothing changed" in service.reload(entry(a, tmp_path / "a"))
        assert service.end() == 0
    assert restored(tmp_path / "a", tmp_path / "out.db") == ["first", "later"]
    assert len(generations(tmp_path / "a")) == 1


def test_one_that_is_removed_is_uploaded_and_goes_on_with_its_generation_later(config: Path, tmp_path: Path) -> None:
    a, b = made(tmp_path / "a.db"), made(tmp_path / "b.db")
    seldom = entry(b, tmp_path / "b", of_replica="sync-interval: 1h")
    with (
        Service(tmp_path / "log", config, entry(a, tmp_path / "a"), seldom) as service,
        ForeignConnection(b) as application,
    ):
        wait_for_snapshots(tmp_path / "a", tmp_path / "b")
        for word in ("second", "third", "last"):
            application.execute(f"INSERT INTO t VALUES('{word}')")
        assert "1 removed" in service.reload(entry(a, tmp_path / "a"))
        service.wait_for("database removed", f"db={b}")
        wait_until("it is let go of", lambda: not any(b.name in name for name in opened(service.pid)))
        assert restored(tmp_path / "b", tmp_path / "out.db") == ["first", "second", "third", "last"]
        application.execute("INSERT INTO t VALUES('meanwhile')")
        assert "1 added" in service.reload(entry(a, tmp_path / "a"), seldom)
        service.wait_for("generation continues", f"db={b}")
        application.execute("INSERT INTO t VALUES('again')")
        assert service.end() == 0
    assert restored(tmp_path / "b", tmp_path / "out.db")[-2:] == ["meanwhile", "again"]
    assert len(generations(tmp_path / "b")) == 1


def opened(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for item in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(item.readlink()))
        except FileNotFoundError:
            continue
    return found


def test_a_replica_that_is_removed_has_the_last_commit_and_the_others_go_on(config: Path, tmp_path: Path) -> None:
    a = made(tmp_path / "a.db")

    def with_replicas(*names: str) -> str:
        listed = ", ".join(f"{{name: {name}, path: {tmp_path}/{name}, sync-interval: 1h}}" for name in names)
        return f"- {{path: {a}, replicas: [{listed}]}}\n"

    with Service(tmp_path / "log", config, with_replicas("one", "two")) as service, ForeignConnection(a) as application:
        wait_for_snapshots(tmp_path / "one", tmp_path / "two")
        application.execute("INSERT INTO t VALUES('second')")
        assert "1 changed" in service.reload(with_replicas("two", "three"))
        service.wait_for("database changed", f"db={a}", "replica one removed, replica three added")
        wait_for_snapshots(tmp_path / "three")
        assert restored(tmp_path / "one", tmp_path / "out.db") == ["first", "second"]
        application.execute("INSERT INTO t VALUES('third')")
        assert service.end() == 0
    assert restored(tmp_path / "one", tmp_path / "out.db")[-1] == "second"
    for name in ("two", "three"):
        assert restored(tmp_path / name, tmp_path / "out.db")[-1] == "third"
        assert len(generations(tmp_path / name)) == 1
    assert generations(tmp_path / "two") == generations(tmp_path / "three") == generations(tmp_path / "one")


def test_two_that_exchange_their_places_do_not_meet_there(config: Path, tmp_path: Path) -> None:
    a, b = made(tmp_path / "a.db"), made(tmp_path / "b.db")
    Shell(b).run("INSERT INTO t VALUES('of b')")
    one, two = tmp_path / "one", tmp_path / "two"
    with Service(tmp_path / "log", config, entry(a, one), entry(b, two)) as service:
        wait_for_snapshots(one, two)
        assert "2 changed" in service.reload(entry(a, two), entry(b, one))
        wait_until("both have begun there", lambda: len(generations(one)) == len(generations(two)) == 2)
        Shell(a).run("INSERT INTO t VALUES('now there')")
        assert "1 removed" in service.reload(entry(a, two))
        assert "1 added" in service.reload(entry(a, two), entry(made(tmp_path / "c.db"), one))
        assert service.end() == 0
    assert restored(two, tmp_path / "out.db") == ["first", "now there"]
    assert restored(one, tmp_path / "out.db") == ["first"]


def test_another_local_folder_begins_anew(config: Path, tmp_path: Path) -> None:
    a = made(tmp_path / "a.db")
    with Service(tmp_path / "log", config, entry(a, tmp_path / "a")) as service:
        wait_for_snapshots(tmp_path / "a")
        assert "1 changed" in service.reload(entry(a, tmp_path / "a", f"meta-path: {tmp_path}/local, "))
        service.wait_for("database changed", "meta-path")
        wait_until("it is replicated from there", lambda: len(generations(tmp_path / "a")) == 2)
        Shell(a).run("INSERT INTO t VALUES('from there')")
        assert service.end() == 0
    assert restored(tmp_path / "a", tmp_path / "out.db") == ["first", "from there"]


def test_many_reloads_leave_nothing_behind(config: Path, tmp_path: Path) -> None:
    a, b, c = (made(tmp_path / f"{name}.db") for name in "abc")
    stays = entry(a, tmp_path / "a")
    with Service(tmp_path / "log", config, stays) as service:
        wait_for_snapshots(tmp_path / "a")
        before = (0, 0, 0)
        for number in range(RELOADS):
            interval = f"sync-interval: {1 + number % 7}ms"
            others = (entry(b, tmp_path / "b"),) if number % 2 else ()
            service.reload(stays, *others, entry(c, tmp_path / "c", f"monitor-interval: {1 + number % 5}s, ", interval))
            if number == RELOADS_BEFORE:
                before = (service.threads, service.descriptors, service.memory)
        last = (entry(c, tmp_path / "c"),)
        service.reload(stays, *last)
        wait_until("no more descriptors", lambda: service.descriptors <= before[1] + 4)
        assert service.threads <= before[0] + 2
        assert service.memory - before[2] < GROWTH_BYTES_MAX
        assert service.end() == 0
    for name in "abc":
        assert len(generations(tmp_path / name)) == 1


def test_a_terminal_that_hangs_up_ends_it_with_everything_uploaded(config: Path, tmp_path: Path) -> None:
    a = made(tmp_path / "a.db")
    config.write_text("dbs:\n" + entry(a, tmp_path / "a", of_replica="sync-interval: 1h"))
    controller, terminal = os.openpty()

    def in_the_terminal() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with Replicating(tmp_path / "log", "-config", config, before=in_the_terminal) as replicate:
        os.close(terminal)
        replicate.wait_for("snapshot written")
        Shell(a).run("INSERT INTO t VALUES('second')")
        os.close(controller)
        assert replicate.wait() == 0
    assert "configuration" not in replicate.said
    assert restored(tmp_path / "a", tmp_path / "out.db") == ["first", "second"]


def test_beside_a_command_it_is_read_and_the_command_hears_of_it(config: Path, tmp_path: Path) -> None:
    a, b = made(tmp_path / "a.db"), made(tmp_path / "b.db")
    config.write_text("dbs:\n" + entry(a, tmp_path / "a"))
    script = (
        "import signal, pathlib\n"
        f"signal.signal(signal.SIGHUP, lambda *_: pathlib.Path('{tmp_path}/heard').touch())\n"
        f"pathlib.Path('{tmp_path}/ready').touch()\n"
        "while True: signal.pause()"
    )
    with Replicating(tmp_path / "log", "-config", config, "-exec", python(script), session=True) as replicate:
        wait_until("the command", (tmp_path / "ready").exists)
        config.write_text("exec: other\ndbs:\n" + entry(a, tmp_path / "a") + entry(b, tmp_path / "b"))
        replicate.send(signal.SIGHUP)
        replicate.wait_for("configuration read anew", "1 added")
        replicate.wait_for("exec has changed", "next start")
        wait_until("it is passed on", (tmp_path / "heard").exists)
        wait_until("it is replicated", lambda: has_snapshot(tmp_path / "b"))
        replicate.send(signal.SIGTERM)
        replicate.wait()

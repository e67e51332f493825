"""What systemd is told by the real program, through a real socket: ready, how it is, that it lives, that it ends."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, python, run
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.service.listener import Listener, has, listening
from tui.verbs.notify import Notifier

HANGING = Path(__file__).parent / "hanging.py"
WATCHDOG_SECONDS = 2.0


def make(path: Path) -> Path:
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


def config_of(folder: Path, *databases: Path, more: str = "") -> Path:
    path = folder / "litestream.yml"
    entries = [
        f"- {{path: {database}, monitor-interval: 50ms, replicas: [{{path: {folder}/replica-{database.name}}}]}}\n"
        for database in databases
    ]
    path.write_text(f"dbs:\n{''.join(entries)}{more}")
    return path


def told_to(listener: Listener, watchdog_seconds: float = 0.0) -> dict[str, str]:
    """The environment of a program that systemd has started."""
    environment = peers.clean_environment(NOTIFY_SOCKET=listener.address)
    if watchdog_seconds:
        environment["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1e6))
    return environment


# -- the whole run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_in_words_and_stopping(tmp_path: Path, abstract: bool) -> None:
    database = make(tmp_path / "app.db")
    config = config_of(tmp_path, database)
    with (
        listening(tmp_path, abstract) as listener,
        Replicating(tmp_path / "log", "-config", config, environment=told_to(listener)) as replicate,
    ):
        ready = listener.wait(has("READY", "1"))
        assert ready["STATUS"] == "1 database, all replicated"
        assert not any("WATCHDOG" in told for told in listener.told), "nobody watches"
        assert replicate.end() == 0
        stopping = listener.wait(has("STOPPING", "1"))
        assert "pending" in stopping["STATUS"]
        assert [told for told in listener.told if "READY" in told] == [ready]


def test_a_database_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    database, other = make(tmp_path / "app.db"), tmp_path / "later.db"
    config = config_of(tmp_path, database, other)
    with (
        listening(tmp_path) as listener,
        Replicating(tmp_path / "log", "-config", config, environment=told_to(listener)) as replicate,
    ):
        ready = listener.wait(has("READY", "1"))
        assert ready["STATUS"].startswith(f"2 databases, 1 replicated, 1 not; {other} does not exist yet")
        make(other)
        listener.wait(has("STATUS", "2 databases, all replicated"))
        assert replicate.end() == 0


def test_one_that_another_engine_has_is_waited_for(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    config = config_of(tmp_path, database)
    with Replicating(tmp_path / "first", "-config", config) as first, listening(tmp_path) as listener:
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "log", "-wait", "-config", config, environment=told_to(listener)) as second:
            ready = listener.wait(has("READY", "1"))
            assert f"pid {first.pid}" in ready["STATUS"]
            assert first.end() == 0
            listener.wait(has("STATUS", "1 database, all replicated"))
            assert second.end() == 0


def test_what_fails_is_told_in_words_without_secrets(tmp_path: Path) -> None:
    database, bad = make(tmp_path / "app.db"), tmp_path / "bad.db"
    bad.write_text("not a database " * 100)
    secret = "a-secret-nobody-sees"
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"dbs:\n- {{path: {bad}, replicas: [{{path: {tmp_path}/bad}}]}}\n"
        f"- path: {database}\n  replicas:\n  - url: s3://bucket/x\n    endpoint: http://127.0.0.1:9\n"
        f"    access-key-id: {'k' * 20}\n    secret-access-key: {secret}\n"
    )
    with (
        listening(tmp_path) as listener,
        Replicating(tmp_path / "log", "-config", config, environment=told_to(listener)) as replicate,
    ):
        listener.wait(has("READY", "1"))
        listener.wait(has("STATUS", "2 databases, 0 replicated, 2 not"))
        replicate.end()
    assert secret not in str(listener.told)


def test_nothing_is_ready_when_it_cannot_be(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        bad = tmp_path / "bad.db"
        bad.write_text("not a database " * 100)
        result = run("replicate", bad, f"file://{tmp_path}/replica", environment=told_to(listener))
        assert result.code == 4
        while listener.next(0.001) is not None:
            pass
        assert not any("READY" in told for told in listener.told)


def test_who_listens_no_more_or_takes_nothing_holds_up_nothing(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    with listening(tmp_path) as deaf:
        # Its queue is full before we begin, and nothing is ever taken from it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, suppress(BlockingIOError):
            while True:
                full.sendto(b"X=1", socket.MSG_DONTWAIT, deaf.address)
        with Replicating(
            tmp_path / "log", database, f"file://{tmp_path}/replica", environment=told_to(deaf, WATCHDOG_SECONDS)
        ) as replicate:
            replicate.wait_for("snapshot written")
            assert replicate.end() == 0
    gone = peers.clean_environment(NOTIFY_SOCKET=str(tmp_path / "nobody"), WATCHDOG_USEC="1000000")
    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica", environment=gone) as replicate:
        replicate.wait_for("generation continues")
        assert replicate.end() == 0


def test_a_command_of_exec_cannot_speak_for_us(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    code = "import os; print([name for name in os.environ if name.startswith(('NOTIFY', 'WATCHDOG'))])"
    with listening(tmp_path) as listener:
        environment = told_to(listener, WATCHDOG_SECONDS)
        result = run("replicate", "-exec", python(code), database, f"file://{tmp_path}/r", environment=environment)
        assert (result.code, result.out) == (0, "[]\n")
        listener.wait(has("STOPPING"))


# -- the watchdog ---------------------------------------------------------------------------------------------------


@contextmanager
def hanging(
    folder: Path, listener: Listener, text: str, config: Path, watchdog: bool = True
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The program, and the file whose appearance lets the databases with `text` in their path hang."""
    when = folder / "hang"
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, HANGING, text, when, "replicate", "-config", config],
            env=told_to(listener, WATCHDOG_SECONDS if watchdog else 0.0),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=peers.die_with_parent,
        )
    try:
        yield process, when
    finally:
        process.kill()
        process.wait()


def pings(listener: Listener, count: int) -> None:
    for _ in range(count):
        listener.wait(has("WATCHDOG", "1"), WATCHDOG_SECONDS)


def test_the_watchdog_is_fed_and_each_wait_is_shorter_than_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, make(tmp_path / "app.db"))
    with (
        listening(tmp_path) as listener,
        Replicating(tmp_path / "log", "-config", config, environment=told_to(listener, WATCHDOG_SECONDS)) as replicate,
    ):
        listener.wait(has("READY"))
        pings(listener, 5)
        assert replicate.end() == 0


@pytest.mark.parametrize("names", [("a.db",), ("a.db", "b.db", "c.db")])
def test_a_hang_of_all_databases_is_not_hidden(tmp_path: Path, names: tuple[str, ...]) -> None:
    databases = [make(tmp_path / name) for name in names]
    config = config_of(tmp_path, *databases)
    with listening(tmp_path) as listener, hanging(tmp_path, listener, ".db", config) as (process, when):
        listener.wait(has("READY"))
        pings(listener, 1)
        when.touch()
        for database in databases:
            Shell(database).run("INSERT INTO t VALUES('second')")
        log = tmp_path / "out"
        wait_until("the hang in the log", lambda: "nothing is copied any more" in log.read_text(), log.read_text)
        assert f"sync {tmp_path}/" in log.read_text()
        while listener.next(0.001) is not None:
            pass
        with pytest.raises(AssertionError):
            listener.wait(has("WATCHDOG"), 2 * WATCHDOG_SECONDS)
        assert process.poll() is None, "to end it is systemd's"


def test_one_bad_database_ends_nothing(tmp_path: Path) -> None:
    good, bad = make(tmp_path / "good.db"), make(tmp_path / "bad.db")
    config = config_of(tmp_path, good, bad)
    with listening(tmp_path) as listener, hanging(tmp_path, listener, "bad.db", config) as (_, when):
        listener.wait(has("READY"))
        when.touch()
        Shell(bad).run("INSERT INTO t VALUES('second')")
        pings(listener, 8)
        before = len(list((tmp_path / "replica-good.db").rglob("*.wal.lz4")))
        Shell(good).run("INSERT INTO t VALUES('second')")
        replica = tmp_path / "replica-good.db"
        wait_until("a commit of the other", lambda: len(list(replica.rglob("*.wal.lz4"))) > before)
        pings(listener, 2)
    assert "nothing is copied any more" not in (tmp_path / "out").read_text()


def test_a_process_that_is_not_the_one_watched_feeds_no_watchdog(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "PATH": "/bin"}
    assert Notifier.from_environment(environment).watchdog_seconds == 0.0
    assert environment == {"PATH": "/bin"}
    ours = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.from_environment(ours).watchdog_seconds == 1.0


# -- the protocol ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "vsock:2:1", "relative/path"])
def test_addresses_that_are_none_of_ours_are_left_alone(address: str) -> None:
    notifier = Notifier(address)
    assert not notifier.is_heard
    notifier.send(READY=1)


def test_what_could_not_be_sent_goes_with_the_next(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.send(RELOADING=1, STATUS="reading")
    notifier.send(READY=1, STATUS="two\nlines, WATCHDOG=1\nSTOPPING=1")
    with listening(tmp_path) as listener:
        notifier.send(WATCHDOG=1)
        assert listener.next(1.0) == {
            "STATUS": "two lines, WATCHDOG=1 STOPPING=1",
            "READY": "1",
            "WATCHDOG": "1",
        }
        notifier.send(WATCHDOG=1)
        assert listener.next(1.0) == {"WATCHDOG": "1"}

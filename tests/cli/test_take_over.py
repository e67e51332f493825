"""Deploys without a gap: the next replicate -exec starts its application while the last one still runs.

It waits for the database and takes over at the last one's end, in the same generation, whatever its application does.
"""

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Replicating, python, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until

SLACK_SECONDS = 5.0
"""It takes milliseconds; a crowded machine may add to that."""
APPLICATION = """
import signal, sqlite3, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
database = sqlite3.connect({path!r}, isolation_level=None, timeout=30)
database.execute("PRAGMA wal_autocheckpoint=1")
print("{name} runs", flush=True)
number = 0
while not ended:
    number += 1
    database.execute("INSERT INTO t VALUES('{name}', ?)", (number,))
    if number == 20:
        print("{name} has written", flush=True)
    time.sleep(0.001)
"""
"""Checkpoints after each commit, so that every next one may restart the WAL as soon as nobody reads."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(who, number)")
    return path


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    return tmp_path / "replica"


def application(database: Path, name: str) -> str:
    return python(APPLICATION.format(path=str(database), name=name))


def rows(database: Path) -> list[list[Any]]:
    return Shell(database).rows("SELECT who, number FROM t ORDER BY rowid")


def restored(tmp_path: Path) -> list[list[Any]]:
    output = tmp_path / "restored" / "app.db"
    succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
    return rows(output)


def objects(replica: Path) -> set[Path]:
    return {path for path in replica.rglob("*.lz4") if path.is_file()}


def generations(replica: Path) -> int:
    return len(list((replica / "generations").iterdir()))


def test_promise_2_takeovers_continue_the_generation(database: Path, replica: Path, tmp_path: Path) -> None:
    """Each application checkpoints and restarts the WAL as it likes while one program ends and the next one begins."""
    url = f"file://{replica}"
    with ExitStack() as stack:

        def start(name: str) -> Replicating:
            command = application(database, name)
            return stack.enter_context(Replicating(tmp_path / name, "-exec", command, database, url))

        last = start("app0")
        last.wait_for("app0 has written")
        last.wait_for("snapshot written")
        for name in ("app1", "app2", "app3"):
            following = start(name)
            # It does not wait for the end of the last one.
            following.wait_for(f"{name} has written")
            following.wait_for("replicated by another litestream-tui", f"pid={last.pid}", f"db={database}")
            assert last.running
            assert last.end() == 0
            ended = time.time()
            following.wait_for("taking over")
            following.wait_for("generation continues")
            assert time.time() - ended < SLACK_SECONDS
            last = following
        assert last.end() == 0
    assert generations(replica) == 1
    found = restored(tmp_path)
    assert found == rows(database)
    assert {who for who, _ in found} == {"app0", "app1", "app2", "app3"}


def test_a_database_that_nobody_writes_keeps_its_generation_with_the_first_commit_of_the_next(
    database: Path, replica: Path, tmp_path: Path
) -> None:
    url = f"file://{replica}"
    with Replicating(tmp_path / "first", database, url) as first:
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "second", "-wait", database, url) as second:
            second.wait_for("replicated by another litestream-tui")
            assert first.end() == 0
            second.wait_for("generation continues")
            Shell(database).run("INSERT INTO t VALUES('anybody', 1)")
            assert second.end() == 0
    assert generations(replica) == 1
    assert restored(tmp_path) == [["anybody", 1]]


@pytest.mark.parametrize("others", [0, 20])
def test_the_first_commit_after_an_end_is_stored_within_a_second(
    database: Path, replica: Path, tmp_path: Path, others: int
) -> None:
    """Of five deploys in a row, with an application that commits meanwhile; beside other databases that are at rest."""
    config = tmp_path / "litestream.yml"
    lines = ["dbs:", f"- {{path: {database}, replicas: [{{path: {replica}, sync-interval: 10ms}}]}}"]
    for number in range(others):
        path = tmp_path / f"other{number:02}.db"
        Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
        lines.append(f"- {{path: {path}, replicas: [{{path: {tmp_path}/others/{number:02}}}]}}")
    config.write_text("\n".join(lines))
    waits = []
    with ExitStack() as stack:
        writer = stack.enter_context(Shell(database).open())
        last = stack.enter_context(Replicating(tmp_path / "program0", "-config", config))
        wait_until("all snapshots", lambda: last.said.count("snapshot written") == others + 1, lambda: last.said)
        for number in range(1, 6):
            log = tmp_path / f"program{number}"
            following = stack.enter_context(Replicating(log, "-wait", "-config", config))
            wait_until(
                "it waits for all of them",
                lambda following=following: (  # type: ignore[misc]
                    following.said.count("replicated by another litestream-tui") == others + 1
                ),
            )
            assert last.end() == 0
            ended = time.monotonic()
            before = objects(replica)
            writer.execute(f"INSERT INTO t VALUES('writer', {number})")
            wait_until("an object of the next one", lambda before=before: objects(replica) > before)  # type: ignore[misc]
            waits.append(time.monotonic() - ended)
            last = following
        assert last.end() == 0
        expected = rows(database)
    print("seconds from end to stored:", [round(wait, 3) for wait in waits])
    assert max(waits) < 1.0
    assert generations(replica) == 1
    assert restored(tmp_path) == expected


def test_after_a_kill_it_takes_over_as_after_any_crash(database: Path, replica: Path, tmp_path: Path) -> None:
    url = f"file://{replica}"
    with Shell(database).open() as writer, Replicating(tmp_path / "first", database, url) as first:
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "second", "-wait", database, url) as second:
            second.wait_for("replicated by another litestream-tui")
            first.send(signal.SIGKILL)
            first.wait()
            second.wait_for("taking over")
            writer.execute("INSERT INTO t VALUES('anybody', 1)")
            second.wait_for("generation")
            assert second.end() == 0
    assert restored(tmp_path) == [["anybody", 1]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_promise_2_a_gap_in_which_the_wal_was_restarted_begins_a_generation(
    database: Path, replica: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The next one is stopped meanwhile, so that it does not read when the last one lets go."""
    url = f"file://{replica}"
    with Shell(database).open() as writer, Replicating(tmp_path / "first", database, url) as first:
        writer.execute("INSERT INTO t VALUES('before', 0)")
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "second", "-wait", database, url) as second:
            second.wait_for("replicated by another litestream-tui")
            second.send(signal.SIGSTOP)
            first.end(number)
            for turn in range(4):
                writer.execute(f"INSERT INTO t VALUES('between', {turn})")
                writer.execute("PRAGMA wal_checkpoint(RESTART)")
            second.send(signal.SIGCONT)
            second.wait_for("generation begins")
            writer.execute("INSERT INTO t VALUES('after', 0)")
            assert second.end() == 0
    assert generations(replica) == 2
    assert restored(tmp_path) == rows(database)


def test_only_one_of_two_that_wait_takes_over(database: Path, replica: Path, tmp_path: Path) -> None:
    url = f"file://{replica}"
    with Replicating(tmp_path / "first", database, url) as first:
        first.wait_for("snapshot written")
        with (
            Replicating(tmp_path / "a", "-wait", database, url) as one,
            Replicating(tmp_path / "b", "-wait", database, url) as other,
        ):
            for waiting in (one, other):
                waiting.wait_for("replicated by another litestream-tui")
            assert first.end() == 0
            wait_until("one to take over", lambda: "taking over" in one.said + other.said)
            taken, left = (one, other) if "taking over" in one.said else (other, one)
            taken.wait_for("generation continues")
            assert "taking over" not in left.said
            assert taken.end() == 0
            left.wait_for("generation continues")
            assert left.end() == 0
    assert generations(replica) == 1


def test_one_that_waits_ends_when_asked(database: Path, replica: Path, tmp_path: Path) -> None:
    url = f"file://{replica}"
    with Replicating(tmp_path / "first", database, url) as first:
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "second", "-wait", database, url) as second:
            second.wait_for("replicated by another litestream-tui")
            assert second.end() == 0
            assert "level=ERROR" not in second.said
        with Replicating(tmp_path / "third", "-exec", python("raise SystemExit(3)"), database, url) as third:
            assert third.wait() == 3
        assert first.end() == 0


def test_without_a_word_of_it_nobody_waits(database: Path, replica: Path, tmp_path: Path) -> None:
    with Replicating(tmp_path / "first", database, f"file://{replica}") as first:
        first.wait_for("snapshot written")
        refuses(run("replicate", database, f"file://{replica}"), 5, f"pid {first.pid}", "-wait")
        assert first.end() == 0


def test_the_other_databases_of_one_that_waits_are_replicated(database: Path, replica: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    Shell(other).run("PRAGMA journal_mode=WAL; CREATE TABLE t(who, number)")
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"dbs:\n- {{path: {database}, replicas: [{{path: {replica}}}]}}\n"
        f"- {{path: {other}, replicas: [{{path: {tmp_path}/other}}]}}\n"
    )
    with Replicating(tmp_path / "first", database, f"file://{replica}") as first:
        first.wait_for("snapshot written")
        with Replicating(tmp_path / "second", "-wait", "-config", config) as second:
            second.wait_for("snapshot written", f"db={other}")
            assert first.end() == 0
            second.wait_for("generation continues", f"db={database}")
            assert second.end() == 0

"""Promise 2 during a checkpoint of ours: others copy back the rest of a life, and restart the WAL, before we look.

For an instant of every checkpoint nobody keeps them from it: the pin moves. All of that life had been copied, so it
costs no generation; and a file that somebody else wrote to in that instant is noticed all the same.
"""

import subprocess
import sys
from collections.abc import Callable

import apsw
import pytest

from replication import steps
from replication.database.source_files import WRITTEN
from replication.sqlite import pin as pin_module
from replication.sqlite.connection import begin_reading
from tests.database.shared_memory import tear_index
from tests.database.test_source_files import put_in_place, rows, seen
from tests.replica.bench import Bench

INSERT = "INSERT INTO t(b) VALUES(randomblob(400))"
UPDATE = "UPDATE t SET b = randomblob(300)"
"""No page more."""


SHRINK = "DELETE FROM t WHERE a > 9"
PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"
TRUNCATE = "PRAGMA wal_checkpoint(TRUNCATE)"
RECOVERY = "recovery"
"""SQLite makes its index anew, and forgets how much was copied back."""
RESTART = "restart"
"""Of our program: its pin is newer then."""

RESTARTS: dict[str, tuple[str, ...]] = {
    "a commit": (INSERT,),
    "TRUNCATE": (TRUNCATE,),
    "TRUNCATE twice and a commit": (TRUNCATE, TRUNCATE, INSERT),
    "a commit and a recovery": (INSERT, RECOVERY),
}
BEFORE: dict[str, tuple[str, ...]] = {
    "nothing of it was copied back": (),
    "some of it was copied back": (PASSIVE, UPDATE),
    "how much is forgotten": (PASSIVE, RECOVERY),
    "it became smaller": (SHRINK, "VACUUM"),
    "it became smaller and was copied back, and larger again": (
        *(SHRINK, "VACUUM", RESTART, PASSIVE),
        "INSERT INTO t(b) VALUES(randomblob(20000))",
    ),
}


def do(bench: Bench, steps: tuple[str, ...]) -> None:
    for step in steps:
        if step == RECOVERY:
            tear_index(bench.path)
            assert bench.app.sha256() == bench.states[-1]
        elif step == RESTART:
            bench.restart()
        elif step.startswith("PRAGMA"):
            assert bench.app.execute(step)[0][0] == 0
        else:
            bench.write(step)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """One whose pin was taken while frames were waiting, so that others may copy back what came before it."""
    bench.replica()
    bench.app.execute("PRAGMA busy_timeout=0")
    rows(bench, 20)
    bench.database.checkpoint()
    rows(bench, 20)
    bench.restart()
    return bench


class Instant:
    """What others do while the pin moves in the next checkpoint of ours, and right after that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bench: Bench, restart: Callable[[], object]) -> None:
        self.done: list[str] = []
        beginning: list[apsw.Connection] = []

        def begun(connection: apsw.Connection) -> None:
            beginning.append(connection)
            if len(beginning) == 2:
                # The second reader is there, and the pin is not.
                [[busy, frames, backfilled]] = bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")
                assert (busy, backfilled) == (0, frames)
                self.done.append("copied back")
            begin_reading(connection)

        def reached(step: str) -> None:
            if step == "checkpoint: pin moved" and len(self.done) == 1:
                restart()
                self.done.append("ended")

        monkeypatch.setattr(pin_module, "begin_reading", begun)
        monkeypatch.setattr(steps, "hook", reached)


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("restart", RESTARTS)
def test_promise_2_a_life_that_others_copy_back_and_end_while_the_pin_moves_costs_no_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, before: str, restart: str
) -> None:
    do(bench, BEFORE[before])
    bench.database.sync()
    instant = Instant(monkeypatch, bench, lambda: do(bench, RESTARTS[restart]))
    bench.database.checkpoint()
    assert instant.done == ["copied back", "ended"]
    monkeypatch.undo()
    assert bench.reasons() == ["no generation exists"]
    for _ in range(2):
        bench.commit()
        bench.database.checkpoint()
    bench.settle()
    assert bench.restored() == seen(bench)
    bench.check()
    assert bench.reasons() == ["no generation exists"]


def put_an_older_copy_there(bench: Bench) -> None:
    put_in_place(bench.folder / "older.db", bench.path)


def change_a_byte(bench: Bench) -> None:
    """The last one of a page is content of a row."""
    code = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(3 * 1024 - 1); b = f.read(1)[0]; f.seek(-1, 1)"
    subprocess.run([sys.executable, "-c", f"{code}; f.write(bytes([b ^ 1]))", bench.path], check=True)


@pytest.mark.parametrize("foreign", [put_an_older_copy_there, change_a_byte])
@pytest.mark.parametrize("restart", RESTARTS)
def test_promise_2_another_file_that_is_put_there_in_that_instant_begins_a_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, foreign: Callable[[Bench], object], restart: str
) -> None:
    bench.database.checkpoint()
    # By another process: to close the file here would drop the locks of ours.
    subprocess.run(["cp", bench.path, bench.folder / "older.db"], check=True)
    bench.write(UPDATE)
    bench.database.sync()
    bench.restart()

    def written() -> None:
        foreign(bench)
        do(bench, RESTARTS[restart])

    instant = Instant(monkeypatch, bench, written)
    bench.database.checkpoint()
    assert instant.done == ["copied back", "ended"]
    monkeypatch.undo()
    bench.settle()
    assert bench.reasons()[1:] == [WRITTEN]
    bench.commit()
    bench.settle()
    assert bench.restored() == seen(bench)

"""While the application writes, and when the process is killed: one commit among others, or none."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import peers
from replication.errors import DatabaseError, RestoreCancelledError
from replication.sqlite import bring_back
from replication.steps import STEPS
from tests.recall.trying import NEVER, Loss, only

_ROOT = Path(__file__).parents[2]
THEN = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE app(n); "
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
    "INSERT INTO t SELECT i, hex(randomblob(50)) FROM n"
)
WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for number in range(1 << 30):
    db.execute("BEGIN IMMEDIATE")
    assert db.execute("SELECT count(*) FROM t").fetchone()[0] in (0, 5000)
    db.execute("INSERT INTO app VALUES(?)", (number,))
    db.execute("COMMIT")
    print(number, flush=True)
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from replication import steps
from tests.recall.trying import NEVER, Loss
steps.hook = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == sys.argv[2] and ready else None
ready = False
loss = Loss.__new__(Loss)
loss.take(Path(sys.argv[1]))
with loss.recall("t") as recall:
    recall.preview(NEVER)
    ready = True
    recall.apply(NEVER)
"""


def test_promise_4_the_application_goes_on_and_sees_all_of_it_or_nothing(tmp_path: Path) -> None:
    loss = Loss(tmp_path, THEN, "DELETE FROM t")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(loss.live.path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "0\n"
        with loss.recall("t") as recall:
            recall.preview(NEVER)
            brought = recall.apply(NEVER)
        assert (brought.report.inserted, brought.is_as_previewed) == (5000, True)
        # It goes on after that.
        last = int(writer.stdout.readline())
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    rows = [n for [n] in loss.rows("SELECT n FROM app")]
    assert rows == list(range(len(rows)))
    assert len(rows) > last
    assert loss.rows("SELECT * FROM t") == loss.was.rows("SELECT * FROM t")


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("bring back:")])
def test_promise_4_killed_at_any_step_it_is_all_or_nothing(tmp_path: Path, step: str) -> None:
    loss = Loss(tmp_path, THEN, "DELETE FROM t")
    before = loss.sha()
    command = [sys.executable, "-c", KILLED, str(tmp_path), step]
    done = subprocess.run(command, cwd=_ROOT, env={**peers.clean_environment(), "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    if step == "bring back: committed":
        assert loss.rows("SELECT * FROM t") == loss.was.rows("SELECT * FROM t")
    else:
        assert loss.sha() == before
    assert loss.rows("PRAGMA integrity_check") == [["ok"]]
    # What it leaves in the temporary folder is removed by the next one, and none of it beside the database.
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} <= {"was.db", "live.db", "litestream"}
    assert only(loss.bring_back("t")).same == (5000 if step == "bring back: committed" else 0)


def test_who_writes_for_long_is_waited_for_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring_back, "BUSY_SECONDS_MAX", 0.01)
    loss = Loss(tmp_path, THEN, "DELETE FROM t")
    with loss.recall("t") as recall, loss.live.open() as other:
        other.execute("BEGIN IMMEDIATE")
        # Nobody waits for a preview, and it for nobody.
        assert recall.preview(NEVER).report.inserted == 5000
        with pytest.raises(DatabaseError, match="Another program has been writing"):
            recall.apply(NEVER)
        other.execute("COMMIT")
        assert recall.apply(NEVER).report.inserted == 5000


@pytest.mark.parametrize("what", ["preview", "apply"])
def test_cancelled_in_the_middle_nothing_was_changed(tmp_path: Path, what: str) -> None:
    loss = Loss(tmp_path, THEN, "DELETE FROM t")
    before, stop = loss.sha(), threading.Event()
    with loss.recall("t") as recall:

        def tell(words: str) -> None:
            if "rows" in words:
                stop.set()

        if what == "apply":
            recall.preview(NEVER)
        with pytest.raises(RestoreCancelledError):
            getattr(recall, what)(stop, tell)
    assert loss.sha() == before
    assert not list(Path(recall.stage.path).parent.parent.glob(f"{recall.stage.path.parent.name}*"))


def test_what_is_committed_is_never_called_cancelled(tmp_path: Path) -> None:
    loss, stop = Loss(tmp_path, THEN, "DELETE FROM t"), threading.Event()
    with loss.recall("t") as recall:
        recall.preview(NEVER)
        assert recall.apply(stop, committing=stop.set).report.inserted == 5000
    assert loss.rows("SELECT count(*) FROM t") == [[5000]]


def test_a_program_that_has_the_database_for_itself_is_told_of(tmp_path: Path) -> None:
    loss = Loss(tmp_path, THEN, "DELETE FROM t")
    with loss.live.open() as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("INSERT INTO app VALUES(1)")
        with loss.recall("t") as recall, pytest.raises(DatabaseError, match=r"locked by another program.* Nothing was"):
            recall.preview(NEVER)

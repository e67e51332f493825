"""The program on a terminal: a point is picked in one replica, that one goes, and another gives the very commit."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until
from tests.tui.terminal import Terminal


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one, so that no line is broken inside the words that are waited for."""
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        yield Path(folder)


def test_promise_3_the_program_restores_a_picked_point_from_the_replica_that_is_left(tmp_path: Path) -> None:
    config, database = tmp_path / "litestream.yml", tmp_path / "app.db"
    roots = [tmp_path / "near", tmp_path / "far"]
    config.write_text(
        f"dbs:\n- path: {database}\n  replicas:\n"
        + "".join(f"  - {{name: {root.name}, path: {root}, sync-interval: 1ms}}\n" for root in roots)
    )
    with ForeignConnection(database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(n)")
        with Terminal("-config", config, size=(140, 40), home=tmp_path) as terminal:
            terminal.wait_for("generation begins")
            for number in range(1, 4):
                writer.execute(f"INSERT INTO t VALUES({number})")
                wait_until("both have it", lambda: all(_segments(root) > number for root in roots))  # noqa: B023
            terminal.press("r")
            terminal.wait_for("which answers best")
            terminal.wait_for("fetch")
            terminal.press("\x1b[D")
            terminal.listen(2.0, until="fetch")
            roots[0].rename(tmp_path / "away")
            terminal.press("\r")
            terminal.wait_for("has that very commit")
            terminal.press("qn")
            assert terminal.end() == 0
    assert "Replica near, where this point was picked" in " ".join(terminal.text.split())
    [restored] = [
        item for item in tmp_path.glob("app.db.restore-*") if "-" not in item.suffix.removeprefix(".restore-")
    ]
    assert Shell(restored).rows("SELECT n FROM t ORDER BY n") == [[1], [2]]


def _segments(root: Path) -> int:
    return len(list(root.rglob("*.wal.lz4")))

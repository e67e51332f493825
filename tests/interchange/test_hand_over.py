"""One database, one local folder, one replica, and two programs that take turns: the generation goes on.

At the end of each turn of ours the newest object is a segment that begins an index and carries a note, so that
Litestream has to find its position by reading exactly that one.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location
from replication.storage.wal03.names import snapshot_name
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import Running, litestream_tui, restore03, restore05
from tests.interchange.replicated import OURS, THEIRS, Program, Replicated, sha

ROWS_IN_TURN_MIN = 5
ROWS_IN_TURN_MAX = 100
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"


@pytest.mark.parametrize("stays", [True, False], ids=["app-stays", "app-leaves"])
@pytest.mark.parametrize("first", [OURS, THEIRS], ids=str)
def test_hand_over(first: Program, stays: bool, tmp_path: Path) -> None:
    take_turns(Replicated(tmp_path, FileLocation(tmp_path / "replica")), first, stays, tmp_path)


def test_hand_over_on_s3(s3_location: S3Location, tmp_path: Path) -> None:
    take_turns(Replicated(tmp_path, s3_location), THEIRS, True, tmp_path)


def take_turns(made: Replicated, first: Program, stays: bool, folder: Path) -> None:
    """Four turns, then all three programs restore what both wrote.

    Between turns the application either stays connected and commits a row that nobody watches, or has left, so
    that nobody has the database open.
    """
    second = THEIRS if first is OURS else OURS
    made.shell.run("PRAGMA journal_mode = WAL; CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT, blob BLOB);")
    rows: list[str] = []
    generation = ""
    with ExitStack() as staying:
        app = staying.enter_context(made.shell.open()) if stays else None
        for turn, program in enumerate([first, second, first, second]):
            with made.replicate(program) as running:
                if app is not None:
                    rows += write_into_new_index(made, app, running, program)
                else:
                    with made.shell.open() as visiting:
                        rows += write_into_new_index(made, visiting, running, program)
            generation = generation or made.generation
            # The same generation goes on, with the one snapshot that it began with.
            assert made.generation == generation
            assert made.client.generations() == [generation]
            assert [item.index for item in made.client.snapshots(generation)] == [0]
            assert (made.client.snapshot_note(snapshot_name(generation, 0)) is not None) == (first is OURS)
            begins = "generation begins" if program is OURS else "sync: new generation"
            assert (begins in running.log) == (turn == 0)
            assert "clearing generation" not in running.log
            if app is not None and turn < 3:
                rows.append(made.insert(app))

    litestream_tui("restore", "-o", folder / "ours", "-integrity-check", "full", *made.source)
    restore03(folder / "0.3", *made.source)
    restore05(folder / "0.5", *made.source)
    assert sha(folder / "ours") == sha(folder / "0.3") == sha(folder / "0.5")
    if second is OURS:
        assert sha(folder / "ours") == made.sha()
    assert Shell(folder / "ours").rows("SELECT text FROM t ORDER BY number") == [[text] for text in rows]


def write_into_new_index(made: Replicated, app: ForeignConnection, running: Running, program: Program) -> list[str]:
    """Commit rows, each seen in the replica, until one of them has just begun an index; their texts."""
    rows: list[str] = []
    begins = False
    index = -1
    while len(rows) < ROWS_IN_TURN_MIN or not begins:
        rows.append(made.insert_and_see(app, running))
        before, index = index, made.last_segment.index
        begins = bool(rows[1:]) and index > before
        assert len(rows) < ROWS_IN_TURN_MAX, running.log[-4000:]
    if program is OURS:
        last = made.last_segment
        note = made.client.segment_note(last.name)
        assert last.offset == 0
        assert note is not None
        assert note.previous is not None
        assert (note.previous.generation, note.previous.index) == (last.generation, last.index - 1)
    return rows

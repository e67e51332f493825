"""What was lost comes back: from a search or a look, a table or marked rows; and SQL asked of the moment."""

import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.recall.recall import Recall
from tests.foreign import Shell
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import NORMAL, STILL, Drive, app_of, drive, instead
from tests.tui.restore.restorable import NEW, Store, store_of, write
from tui.view import Options

Steps = Callable[[Drive], Awaitable[None]]
FRUIT = "SELECT name, n FROM fruit ORDER BY name"
TODAY = [["apple", 1], ["fig", 5], ["kiwi", 7], ["pear", 20]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A live database that went on: plum and the table `lost` are gone, and fig is another one."""
    store = store_of(history, tmp_path / "app.db", monkeypatch)
    store.publish(NEW, ago=3600)
    Shell(store.path).run(
        "PRAGMA journal_mode=wal; CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER); CREATE TABLE log(x);"
        "CREATE TRIGGER noted AFTER INSERT ON fruit BEGIN INSERT INTO log VALUES(new.name); END;"
        "INSERT INTO fruit VALUES('apple', 1), ('kiwi', 7), ('pear', 20), ('fig', 5); DELETE FROM log;"
    )
    return store


def picked(store: Store, steps: Steps, size: tuple[int, int] = NORMAL, options: Options = STILL) -> None:
    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await steps(pilot)

    drive(opened, fake.FakeControl(fake.database(str(store.path))), size, options, store.config)


async def looked(pilot: Drive) -> None:
    """The tables at the commit before the table went."""
    await pilot.press("left")
    await picture.shows(pilot, "commit 1 of 2")
    await pilot.press("space")
    await picture.shows(pilot, "ROWS THEN", ">lost", "gone today")


@pytest.mark.parametrize("size", [NORMAL, (60, 15)])
def test_what_a_search_found_comes_back_with_seven_keys(store: Store, size: tuple[int, int]) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("b")
        await picture.shows(pilot, "Which rows? F finds what was lost")
        await pilot.press("F", "enter")
        await picture.shows(pilot, "lost went with the next commit")
        await pilot.press("b")
        await picture.shows(pilot, "bring back lost", "lost: made again, 1 to be inserted", "enter does it")
        assert Shell(store.path).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'lost'") == [[0]]
        await pilot.press("enter")
        await picture.shows(pilot, "✔ 1 row brought back", "What there was before is")
        await pilot.press("enter")
        await picture.shows(pilot, "Restore ", "commit 1 of 2")

    picked(store, steps, size)
    assert Shell(store.path).rows("SELECT * FROM lost") == [[1]]


def test_a_table_of_a_look_with_what_its_triggers_do(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("down", "b")
        await picture.shows(
            pilot,
            "fruit: 1 to be inserted, 2 there already, 1 skipped for a conflict",
            "skipped: row fig:",
            "trigger noted runs 1 time",
            "besides, in log: 1 inserted",
            "on conflict: skip",
        )
        # The path of the test has its own name each time.
        shown = re.sub(r"into \S+, as it was at .*", "into app.db", picture.picture(app_of(pilot)))
        assert "in about" in shown
        await pilot.press("c")
        await picture.shows(pilot, "on conflict: replace", "1 to be replaced")
        await pilot.press("c")
        await picture.shows(pilot, "on conflict: abort", "Nothing would be brought back")
        await pilot.press("enter")
        await picture.shows(pilot, "Nothing would be brought back", "c chooses otherwise")
        await pilot.press("c")
        await picture.shows(pilot, "on conflict: skip", "enter does it")
        await pilot.press("enter")
        await picture.shows(pilot, "✔ 1 row brought back", "trigger noted ran 1 time")
        # What was looked at is not so any more.
        await pilot.press("escape")
        await picture.shows(pilot, "Restore ", "commit 1 of 2")

    picked(store, steps)
    assert Shell(store.path).rows(FRUIT) == sorted([*TODAY, ["plum", 3]])
    assert Shell(store.path).rows("SELECT x FROM log") == [["plum"]]


def test_marked_rows_alone_come_back(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("down", "enter")
        await picture.shows(pilot, "plum", "kiwi", "compared by name")
        # Gone is plum, changed is fig (two lines), added is kiwi, which was not there then.
        await pilot.press("down", "space")
        await picture.shows(pilot, "1 marked")
        await pilot.press("space")
        await picture.shows(pilot, "This row was not there then")
        await pilot.press("b")
        await picture.shows(pilot, "bring back 1 row of fruit", "1 skipped for a conflict", "There is nothing")
        await pilot.press("c")
        await picture.shows(pilot, "1 to be replaced", "enter does it")
        await pilot.press("enter")
        await picture.shows(pilot, "✔ 1 row brought back")

    picked(store, steps)
    assert Shell(store.path).rows(FRUIT) == [["apple", 1], ["fig", 4], ["kiwi", 7], ["pear", 20]]


def test_rows_are_written_to_files(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("b")
        await picture.shows(pilot, "lost: made again")
        await pilot.press("w")
        await picture.shows(pilot, "app.db.lost.sql")
        await pilot.press("enter")
        await picture.shows(pilot, "written to", "lost.sql")
        await pilot.press("w")
        await instead(pilot, str(store.path.with_name("lost.csv")))
        await pilot.press("enter")
        await picture.shows(pilot, "lost.csv")
        # What is there is left alone.
        await pilot.press("w", "enter")
        await picture.shows(pilot, "is there already")

    picked(store, steps)
    assert 'INTO "lost"' in store.path.with_name("app.db.lost.sql").read_text()
    assert store.path.with_name("lost.csv").read_text() == "x\n1\n"
    assert Shell(store.path).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'lost'") == [[0]]


def test_enter_does_nothing_before_the_preview_stands_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trying, go_on = threading.Event(), threading.Event()
    preview = Recall.preview

    def slow(self: Recall, *arguments: object) -> object:
        trying.set()
        go_on.wait(fake.HANG_SECONDS_MAX)
        return preview(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Recall, "preview", slow)

    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("b", "enter", "c", "w")
        await picture.until(pilot, trying.is_set)
        await picture.shows(pilot, "Wait: reading the rows, and trying it out")
        go_on.set()
        await picture.shows(pilot, "on conflict: skip", "enter does it")
        await pilot.press("escape", "escape")
        await picture.shows(pilot, "commit 1 of 2")

    picked(store, steps)
    assert Shell(store.path).rows(FRUIT) == TODAY


def test_positions_and_commands_are_copied(store: Store) -> None:
    position, path = str(store.history.commits[6].at(NEW)), store.path

    async def steps(pilot: Drive) -> None:
        await pilot.press("left")
        await picture.shows(pilot, "commit 1 of 2")
        await pilot.press("y")
        assert pilot.app.clipboard == position
        await pilot.press("Y")
        expected = f"litestream-tui restore -position {position} -o {path}.restore-20261020T112431Z {path}"
        assert pilot.app.clipboard == expected
        await pilot.press("space")
        await picture.shows(pilot, "ROWS THEN", ">lost", "gone today")
        await pilot.press("b")
        await picture.shows(pilot, "enter does it")
        await pilot.press("Y")
        assert pilot.app.clipboard == (
            f"litestream-tui bring-back -apply -on-conflict skip -table lost {path} {position}"
        )
        await pilot.press("escape", "escape", "escape", "Y")
        assert pilot.app.clipboard == str(path)

    picked(store, steps)


def test_sql_is_asked_of_the_moment(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("s")
        await picture.shows(pilot, "SQL as of 2026-10-20 11:24:31Z")
        await instead(pilot, "SELECT name, n, NULL AS nil, '[/b]' AS odd FROM fruit ORDER BY n")
        await pilot.press("enter")
        await picture.shows(pilot, "name", "nil", "plum", "NULL", "[/b]", "4 rows")
        picture.same_as(app_of(pilot), "sql-80x24")
        await instead(pilot, "DELETE FROM fruit")
        await pilot.press("enter")
        await picture.shows(pilot, "would write, and this only reads")
        await instead(pilot, "SELECT * FROM nowhere")
        await pilot.press("enter")
        await picture.shows(pilot, "no such table: nowhere")
        await pilot.press("escape")
        await picture.shows(pilot, "ROWS THEN")
        # The rows of a table are asked for by name.
        await pilot.press("down", "enter")
        await picture.shows(pilot, "compared by name")
        await pilot.press("s", "enter")
        await picture.shows(pilot, 'SELECT * FROM "fruit"', "plum", "4 rows")

    picked(store, steps)


def test_a_question_that_takes_long_is_cancelled(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("s")
        await instead(pilot, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
        await pilot.press("enter")
        await picture.shows(pilot, "asking; esc cancels")
        await pilot.press("escape")
        await picture.shows(pilot, "cancelled")
        await instead(pilot, "SELECT 7 AS seven")
        await pilot.press("enter")
        await picture.shows(pilot, "seven", "1 row")

    picked(store, steps)


def test_read_only_brings_nothing_back(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await looked(pilot)
        await pilot.press("b")
        assert "bring back" not in picture.picture(pilot.app).lower()

    picked(store, steps, options=Options(clock=fake.clock, read_only=True))
    assert Shell(store.path).rows(FRUIT) == TODAY

"""Looking at a database of another moment beside today's, which an application in another process goes on using."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.errors import DatabaseError
from replication.sqlite import diff as module
from replication.sqlite.diff import DatabaseDiff, Differences, RowDifference, TableCount
from replication.sqlite.pin import Pin
from tests.foreign import ForeignConnection, Shell

GO_ON = threading.Event()
SCHEMA = """
PRAGMA journal_mode=wal;
CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER, note);
CREATE TABLE "odd ""[red]"" name"(x);
CREATE TABLE lost(x);
CREATE TABLE twice(a, b, c, PRIMARY KEY(a, b)) WITHOUT ROWID;
INSERT INTO fruit VALUES('apple', 1, NULL), ('pear', 2, x'0102'), ('plum', 3, 'x'), ('it''s', 4, 1.5);
INSERT INTO "odd ""[red]"" name" VALUES('[/x]');
INSERT INTO lost VALUES(1), (2);
INSERT INTO twice VALUES(1, 1, 'a'), (1, 2, 'b');
CREATE TABLE same(x INTEGER PRIMARY KEY);
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) INSERT INTO same SELECT n FROM s;
"""


def series(count: int) -> str:
    """SQL for the numbers from 1."""
    return f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[ForeignConnection]:
    """An application that goes on after the moment `then.db` was restored from."""
    shell = Shell(tmp_path / "app.db")
    shell.run(SCHEMA)
    Shell(tmp_path / "then.db").run(SCHEMA)
    with shell.open() as app:
        app.execute("DELETE FROM fruit WHERE name = 'pear'")
        app.execute("UPDATE fruit SET n = 30 WHERE name = 'plum'")
        app.execute("INSERT INTO fruit VALUES('kiwi', 9, 'new')")
        app.execute("UPDATE twice SET c = 'B' WHERE b = 2")
        app.execute("DROP TABLE lost")
        app.execute("CREATE TABLE later(x)")
        yield app


@pytest.fixture
def diff(live: ForeignConnection, tmp_path: Path) -> Iterator[DatabaseDiff]:
    found = DatabaseDiff(tmp_path / "then.db", tmp_path / "app.db")
    yield found
    found.close()


def test_tables_of_then_and_today_with_their_rows(diff: DatabaseDiff) -> None:
    assert diff.tables(GO_ON) == [
        TableCount("fruit", 4, 4),
        TableCount("later", None, 0),
        TableCount("lost", 2, None),
        TableCount('odd "[red]" name', 1, 1),
        TableCount("same", 5000, 5000),
        TableCount("twice", 2, 2),
    ]


def test_rows_that_differ(diff: DatabaseDiff) -> None:
    found = diff.differences("fruit", GO_ON)
    assert found.columns == ("name", "n", "note")
    assert found.rows == (
        RowDifference("gone", ("pear", "2", "blob of 2 bytes"), (), "\"name\" IS 'pear'"),
        RowDifference("changed", ("plum", "3", "x"), ("plum", "30", "x"), "\"name\" IS 'plum'"),
        RowDifference("added", (), ("kiwi", "9", "new")),
    )
    assert found.words == "Rows are compared by name."
    assert diff.differences("twice", GO_ON).rows == (
        RowDifference("changed", ("1", "2", "b"), ("1", "2", "B"), '"a" IS 1 AND "b" IS 2'),
    )
    assert diff.differences('odd "[red]" name', GO_ON).words == "Rows are compared by _rowid_."


def test_a_table_of_one_time_only_is_said(diff: DatabaseDiff) -> None:
    gone = diff.differences("lost", GO_ON)
    assert [row.then for row in gone.rows] == [("1",), ("2",)]
    assert gone.words == "The table is gone today: these are its rows."
    assert diff.differences("later", GO_ON).words == "The table is new since then."
    assert diff.differences("nowhere", GO_ON).words == "There is no table nowhere, then or today."


def test_each_row_of_then_has_a_condition_that_is_true_of_it_alone(diff: DatabaseDiff, tmp_path: Path) -> None:
    for table, count in (("fruit", 2), ("lost", 2), ("twice", 1)):
        rows = [row for row in diff.differences(table, GO_ON).rows if row.then]
        assert len(rows) == count
        for row in rows:
            [found] = Shell(tmp_path / "then.db").rows(f'SELECT * FROM "{table}" WHERE {row.where}')
            assert str(found[0]) == row.then[0]


def test_columns_that_are_not_in_both_are_left_out_and_named(diff: DatabaseDiff, live: ForeignConnection) -> None:
    live.execute("ALTER TABLE fruit ADD COLUMN colour")
    found = diff.differences("fruit", GO_ON)
    assert found.columns == ("name", "n", "note")
    assert "only one of the two are left out: colour" in found.words
    live.execute("ALTER TABLE fruit RENAME COLUMN name TO fruit")
    assert diff.differences("fruit", GO_ON).words == "The key of this table is another one today."


def test_rows_values_and_time_are_bounded(
    diff: DatabaseDiff, live: ForeignConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.execute(f"INSERT INTO fruit {series(3000)} SELECT 'f' || n, 1, printf('%.5000c', 'y') FROM s")
    found = diff.differences("fruit", GO_ON)
    added = [row for row in found.rows if row.kind == "added"]
    assert len(added) == module.ROWS_MAX
    assert max(len(text) for row in added for text in row.today) == module.TEXT_SIZE_MAX
    assert f"more than {module.ROWS_MAX} rows that are added" in found.words
    live.execute(f"INSERT INTO fruit {series(10_000)} SELECT 'g' || n, 1, '' FROM s")
    monkeypatch.setattr(module, "COUNT_SECONDS_MAX", -1.0)
    counted = {table.name: table for table in diff.tables(GO_ON)}["fruit"]
    assert (counted.then, counted.today, counted.words) == (4, None, "too many rows to count quickly")
    monkeypatch.setattr(module, "DIFFERENCE_SECONDS_MAX", 0.0)
    assert "There was no time to look at all rows that are gone" in diff.differences("same", GO_ON).words


def test_it_ends_when_told(diff: DatabaseDiff, live: ForeignConnection) -> None:
    stop = threading.Event()
    stop.set()
    assert isinstance(diff.differences("fruit", stop), Differences)
    assert all(table.then is None for table in diff.tables(stop))


def test_the_live_database_is_left_alone_and_nothing_of_it_is_held(
    diff: DatabaseDiff, live: ForeignConnection, tmp_path: Path
) -> None:
    before = live.sha256()
    wal = (tmp_path / "app.db-wal").read_bytes()
    diff.tables(GO_ON)
    diff.differences("fruit", GO_ON)
    assert live.sha256() == before
    assert (tmp_path / "app.db-wal").read_bytes() == wal
    # A reader that were still there would keep the WAL from being emptied.
    assert live.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0] == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.db", "app.db-shm", "app.db-wal", "then.db"]


def test_beside_an_engine_that_holds_the_database(diff: DatabaseDiff, live: ForeignConnection, tmp_path: Path) -> None:
    """The engine's locks are those of this process: reading beside it must not drop them."""
    pin = Pin.take(tmp_path / "app.db")
    live.execute("INSERT INTO fruit VALUES('fig', 1, 1)")
    assert [row for row in diff.differences("fruit", GO_ON).rows if row.today[:1] == ("fig",)]
    with Shell(tmp_path / "app.db").open(timeout=0.1) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 1
    pin.close()


def test_without_a_live_database_then_is_still_shown(live: ForeignConnection, tmp_path: Path) -> None:
    found = DatabaseDiff(tmp_path / "then.db", tmp_path / "missing.db")
    try:
        tables = {table.name: table for table in found.tables(GO_ON)}
        assert (tables["fruit"].then, tables["fruit"].today) == (4, None)
        assert "today's missing.db cannot be read" in tables["fruit"].words
        with pytest.raises(DatabaseError, match="cannot be read"):
            found.differences("fruit", GO_ON)
    finally:
        found.close()
    assert not (tmp_path / "missing.db").exists()

"""A row is found by its key as it is shown: in columns of any type, in keys of several columns, by rowids."""

from pathlib import Path

import pytest

from replication.errors import NoRestorePointError, QueryError
from replication.history import questions
from replication.history.moments import find
from replication.storage.memory import MemoryStorage
from tests.history.states import publish
from tests.history.test_find import search
from tests.restore.history import write_history

TYPES = ("", "INTEGER", "INT", "TEXT", "VARCHAR(9)", "NUMERIC", "REAL", "BLOB", "ANY", "DATETIME")
VALUES = {
    "7": "7",
    "-7": "-7",
    "7.5": "7.5",
    "abc": "'abc'",
    'it\'s, "so"': "'it''s, \"so\"'",
    "007": "'007'",
    "": "''",
}
BIG = "9007199254740993"


def became(folder: Path, key: str, *scripts: str, table: str = "t") -> str:
    """What the newest change of a row made of it."""
    history = write_history(folder, 4096, [scripts])
    storage = MemoryStorage()
    publish(history, storage, True)
    found = find(search(storage, questions.row(table, key)))
    (folder / "history-4096.db").unlink()
    assert found.is_sure
    return str(found.became)


@pytest.mark.parametrize("declared", TYPES)
@pytest.mark.parametrize("ending", ["", "WITHOUT ROWID"])
def test_a_key_of_any_type_is_found_as_it_is_typed(tmp_path: Path, declared: str, ending: str) -> None:
    if (declared, ending) == ("INTEGER", ""):
        values = {key: value for key, value in VALUES.items() if key in ("7", "-7")}
    elif declared in ("", "BLOB", "TEXT", "VARCHAR(9)"):
        # A text is not the number that looks like it.
        values = VALUES | {BIG: BIG}
    else:
        values = {key: value for key, value in VALUES.items() if key != "007"} | (
            {BIG: BIG} if declared != "REAL" else {}
        )
    scripts = [f"CREATE TABLE t(k {declared} PRIMARY KEY, x) {ending};"]
    scripts += [
        f"INSERT INTO t VALUES({value}, 'row of ' || {number});" for number, value in enumerate(values.values())
    ]
    history = write_history(tmp_path, 4096, [scripts])
    storage = MemoryStorage()
    publish(history, storage, True)
    for number, key in enumerate(values):
        found = find(search(storage, questions.row("T", key)))
        assert found.after == history.commits[number + 1].at(), key
        assert str(found.became).endswith(f"row of {number}"), key
        assert (str(found.was), found.is_sure) == ("no rows", True)


def test_a_number_and_the_text_of_it_are_both_meant_where_both_may_be(tmp_path: Path) -> None:
    made = "CREATE TABLE t(k PRIMARY KEY, x);"
    assert became(tmp_path, "7", made, "INSERT INTO t VALUES(7, 'n'), ('7', 't'), ('07', 'no');") == "7, n | 7, t"
    assert became(tmp_path, "07", made, "INSERT INTO t VALUES(7, 'n'), ('7', 't'), ('07', 'z');") == "07, z"
    assert became(tmp_path, "x'37'", made, "INSERT INTO t VALUES(7, 'n'), (x'37', 'b');") == "x'37', b"
    assert became(tmp_path, "x'610062'", made, "INSERT INTO t VALUES('a' || char(0) || 'b', 'nul');").endswith("nul")
    strict = "CREATE TABLE t(k ANY PRIMARY KEY, x TEXT) STRICT;"
    assert became(tmp_path, "7", strict, "INSERT INTO t VALUES(7, 'n'), ('7', 't');") == "7, n | 7, t"


def test_a_collation_is_that_of_the_key(tmp_path: Path) -> None:
    made = "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, x) WITHOUT ROWID;"
    assert became(tmp_path, "ABC", made, "INSERT INTO t VALUES('abc', 1), ('abd', 2);") == "abc, 1"


def test_a_key_of_several_columns_has_commas_as_csv_has(tmp_path: Path) -> None:
    for ending in ("", "WITHOUT ROWID"):
        made = f"CREATE TABLE t(x, a, b TEXT, PRIMARY KEY(b, a)) {ending};"
        rows = "INSERT INTO t VALUES(1, 7, '07'), (2, 7, 'c, d'), (3, '7', 'e'), (4, 8, '07');"
        assert became(tmp_path, "07,7", made, rows) == "1, 7, 07"
        assert became(tmp_path, '"c, d",7', made, rows) == "2, 7, c, d"
        for wrong in ("07", "07,7,1", '"07,7', "a\nb"):
            with pytest.raises(QueryError, match="The key of t is b, a: give a value for each"):
                became(tmp_path, wrong, made, rows)
            (tmp_path / "history-4096.db").unlink()


def test_a_table_without_a_key_is_asked_by_its_rowid(tmp_path: Path) -> None:
    assert became(tmp_path, "2", "CREATE TABLE t(x);", "INSERT INTO t VALUES('a'), ('b');") == "b"
    assert (
        became(tmp_path, "2", "CREATE TABLE t(rowid, _ROWID_);", "INSERT INTO t VALUES('2', 'a'), (1, 'b');") == "1, b"
    )
    assert became(tmp_path, "1", "CREATE VIRTUAL TABLE t USING fts5(x);", "INSERT INTO t VALUES('words');") == "words"
    assert became(tmp_path, "2", 'CREATE TABLE "t ""x"(a);', 'INSERT INTO "t ""x" VALUES(1), (2);', table='t "x') == "2"
    for made in ("CREATE TABLE t(rowid, _rowid_, oid);", "CREATE TABLE u(a); CREATE VIEW t AS SELECT * FROM u;"):
        with pytest.raises(QueryError, match="neither a primary key nor a rowid that can be asked for"):
            became(tmp_path, "1", made, "CREATE TABLE other(a);")
        (tmp_path / "history-4096.db").unlink()


def test_a_key_that_changed_its_columns_is_asked_where_it_fits(tmp_path: Path) -> None:
    scripts = ["CREATE TABLE t(a, b, x, PRIMARY KEY(a, b));", "INSERT INTO t VALUES(1, 2, 'old');"]
    scripts += ["DROP TABLE t;", "CREATE TABLE t(a PRIMARY KEY, x);", "INSERT INTO t VALUES(1, 'new');"]
    assert became(tmp_path, "1", *scripts) == "1, new"
    assert became(tmp_path, "1,2", *scripts, "DROP TABLE t;") == "no rows"


def test_a_row_that_never_was_is_none_at_any_commit(tmp_path: Path) -> None:
    with pytest.raises(NoRestorePointError, match="There is no commit at which row 9 of t changed"):
        became(tmp_path, "9", "CREATE TABLE t(k PRIMARY KEY);", "INSERT INTO t VALUES(1);", "DROP TABLE t;")

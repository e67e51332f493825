"""What a commit is said to have done, compared with the rows of all tables before and after it."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest

from replication.history.log import Entry, Log
from replication.history.moments import timelines
from replication.history.pages import Text, first_cell, literal
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.storage.memory import MemoryStorage
from tests.history.looking import QUICK, Cached
from tests.history.states import asked, publish, written
from tests.restore.history import Commit, History, write_history

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"


@pytest.fixture(scope="module", params=[(512, 1), (8192, 2)], ids=["512", "8192"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    page_size, seed = request.param
    return written(tmp_path_factory.mktemp("states"), page_size, seed, each=20)


def entries(storage: MemoryStorage, table: str | None = None) -> list[Entry]:
    """All commits that are told, oldest first."""
    stop, log = threading.Event(), Log(threading.Event())
    sources, options = [OpenReplica("test", storage)], RestoreOptions(backoff=QUICK)
    found = [
        entry
        for timeline in timelines(sources, options, Cached(), stop)
        for entry in log.entries(timeline, table=table)
    ]
    return found[::-1]


def rows(commit: Commit) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    names = asked(commit, TABLES)
    assert isinstance(names, list)
    for (name,) in names:
        answer = asked(commit, f'SELECT * FROM "{name}"')
        assert isinstance(answer, list)
        found[name] = answer
    return found


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_every_commit_is_told_with_the_tables_and_rows_that_it_changed(history: History, noted: bool) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted)
    found = {entry.position: entry for entry in entries(storage)}
    # What changes nothing is no commit; at the start of an index it leaves the WAL of the one before where it is.
    commits_: list[Commit] = []
    for commit in reversed(history.commits):
        if not commits_ or commit.at() < commits_[-1].at():
            commits_.append(commit)
    commits_.reverse()
    states = [rows(commit) for commit in commits_]
    counted = named = 0
    for commits, (was, became) in zip(pairwise(commits_), pairwise(states), strict=True):
        entry = found.pop(commits[1].at())
        told = {item.name: item.rows for item in entry.tables}
        differ = {name for name in {*was, *became} if was.get(name) != became.get(name)}
        assert differ <= told.keys(), (entry, differ)
        assert entry.is_whole
        # A page may be written as it was, and a table made anew with the same rows.
        named += len(told) - len(differ)
        for name, more in told.items():
            difference = len(became.get(name, [])) - len(was.get(name, []))
            assert more in (difference, None), (entry, name)
            counted += more is not None
    assert counted > 60
    assert named < 10
    # The commits of the first index before its first one that is known.
    assert len(found) <= 1


def test_a_table_that_is_too_large_to_count_is_counted_where_nothing_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.history.log.COUNT_PAGES_MAX", 3)
    numbers = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 500)"
    scripts = [
        "BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE u(a); COMMIT;",
        f"{numbers} INSERT INTO t(b) SELECT 'x' FROM n;",
        "DELETE FROM t WHERE a = 77;",
        "UPDATE t SET b = 'y' WHERE a IN (1, 400);",
        "INSERT INTO u VALUES(1);",
        "DELETE FROM t WHERE a < 300;",
        "DROP TABLE t;",
    ]
    history = write_history(tmp_path, 512, [scripts])
    storage = MemoryStorage()
    publish(history, storage, True)
    told = [[(item.name, item.rows) for item in entry.tables] for entry in entries(storage)]
    expected = [[("t", 0), ("u", 0)], [("t", None)], [("t", -1)], [("t", 0)], [("u", 1)], [("t", None)], [("t", None)]]
    assert told == expected
    assert [len(entry.tables) for entry in entries(storage, "U")] == [2, 1]


NUMBERS = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 120) "
KEYED: dict[str, tuple[str, str, str]] = {
    # What the table is, the key and the rest of its row number v, and the key of the one that comes then.
    "texts": ("a TEXT PRIMARY KEY, b", "printf('kéy%05d', v)", "'kéy00060b'"),
    "texts in any column": ("a PRIMARY KEY, b", "printf('kéy%05d', v)", "'kéy00060b'"),
    "texts and numbers": ("a PRIMARY KEY, b", "iif(v % 2, v, v || '')", "'60b'"),
    "longer than a page": ("a TEXT PRIMARY KEY, b", "printf('k%05d%.2000c', v, 'y')", "printf('k00060b%.2000c', 'y')"),
    "overflowing rows": ("a TEXT PRIMARY KEY, b, c DEFAULT(zeroblob(3000))", "printf('k%05d', v)", "'k00060b'"),
    "a zero inside": ("a TEXT PRIMARY KEY, b", "'k' || char(0) || printf('%05d', v)", "'k' || char(0) || '00060b'"),
    "what is no text": (
        "a TEXT PRIMARY KEY, b",
        "printf('%03d', v) || CAST(x'ffd8ffd8' AS TEXT)",
        "'060b' || CAST(x'ffd8ffd8' AS TEXT)",
    ),
    "blobs": ("a BLOB PRIMARY KEY, b", "CAST('k' || v AS BLOB)", "x'6b36306200ff'"),
    "numbers": ("a REAL PRIMARY KEY, b", "iif(v = 7, 9e999, v * 3)", "300.5"),
    "a large number": ("a INTEGER PRIMARY KEY, b", "-9223372036854775808 + v * 3", "-9223372036854775807"),
    "descending": ("a, b, PRIMARY KEY(a DESC)", "v", "60.5"),
    "a collation": ("a TEXT, b, PRIMARY KEY(a COLLATE NOCASE)", "'KEY' || v", "'key60b'"),
    "of the column": ("a TEXT COLLATE RTRIM PRIMARY KEY, b", "'KEY' || v", "'KEY60 b'"),
    "another index on the key": ("a, b, PRIMARY KEY(a, b), UNIQUE(b, a)", "v", "60.5"),
    "in another order": ('b, "a""b", a, PRIMARY KEY(a, "a""b")', "v", "60.5"),
}


@pytest.mark.parametrize(
    "first", ["", "PRAGMA encoding='UTF-16le'; PRAGMA auto_vacuum=2", "PRAGMA encoding='UTF-16be'"]
)
def test_a_table_is_told_whatever_its_keys_are(tmp_path: Path, first: str) -> None:
    """In one commit with others, and on pages that are no root."""
    made, filled, tables = [], [], list(enumerate(KEYED.values()))
    for number, (columns, key, _) in tables:
        more = ', "a""b"' * ('"a""b"' in columns)
        made.append(f"CREATE TABLE w{number}({columns}) WITHOUT ROWID; CREATE INDEX i{number} ON w{number}(b);")
        filled.append(f"INSERT INTO w{number}(a, b{more}) {NUMBERS} SELECT {key}, 'x'{', v' * bool(more)} FROM n;")
    rowids = {"r1": "rowid", "r2": "rowid, _rowid_", "r3": "rowid, _rowid_, oid INTEGER PRIMARY KEY"}
    for name, columns in rowids.items():
        made.append(f"CREATE TABLE {name}({columns}, x);")
        filled.append(f"INSERT INTO {name}(x) {NUMBERS} SELECT printf('%.50c', 'x') FROM n;")
    script = ["BEGIN;" + "".join(made) + "".join(filled) + "COMMIT;"]
    for number, (columns, _, new) in tables:
        more = ', "a""b"' * ('"a""b"' in columns)
        row = f"INSERT INTO w{number}(a, b{more}) VALUES({new}, 'y'{', 1' * bool(more)});"
        script.append(f"BEGIN; {row} INSERT INTO r1(x) VALUES('one'); COMMIT;")
    script += [f"BEGIN; INSERT INTO {name}(x) VALUES('z'); COMMIT;" for name in rowids]
    history = write_history(tmp_path, 512, [script], first)
    storage = MemoryStorage()
    publish(history, storage, True)
    found = entries(storage)[1:]
    assert all(entry.is_whole for entry in found), [entry for entry in found if not entry.is_whole]
    expected = [{f"w{number}", "r1"} for number in range(len(KEYED))] + [{name} for name in rowids]
    assert [{item.name for item in entry.tables} for entry in found] == expected
    assert all(item.rows in (1, None) for entry in found for item in entry.tables)


def test_what_cannot_be_told_is_said_and_passes_every_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.history.pages.KEY_BYTES_MAX", 1000)
    long = "printf('%.3000c%05d', 'y', v)"
    script = [
        "BEGIN; CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID; CREATE TABLE r(x); "
        "CREATE TABLE o(rowid, _rowid_, oid, x); "
        f"INSERT INTO w {NUMBERS} SELECT {long} FROM n; INSERT INTO r {NUMBERS} SELECT v FROM n; "
        f"INSERT INTO o(x) {NUMBERS} SELECT v FROM n; COMMIT;",
        f"DELETE FROM w WHERE a = (SELECT {long} FROM (SELECT 60 AS v));",
        "UPDATE o SET x = 'y' WHERE x = 60;",
        "UPDATE r SET x = 'y' WHERE x = 60;",
    ]
    history = write_history(tmp_path, 512, [script])
    storage = MemoryStorage()
    publish(history, storage, True)
    _, keyed, rowids, whole = entries(storage)
    assert [entry.is_whole for entry in (keyed, rowids, whole)] == [False, False, True]
    assert [item.name for item in whole.tables] == ["r"]
    for table in ("w", "o", "no such table"):
        assert [entry.position for entry in entries(storage, table)][-2:] == [keyed.position, rowids.position]


def test_what_is_no_page_of_a_b_tree_has_no_first_cell() -> None:
    ends = (
        b"\x0d\0\0\0\0",
        b"\x0d\0\0\0\1\0\0\0\xff\xff",
        b"\x0a\0\0\0\1\0\0\0\1\xfe",
        b"\xff",
        b"\5\0\0\0\1\0\0\0\0\0\0\0\2",
        b"\x0a\0\0\0\1\0\0\0\0\x10",
        b"\2\0\0\0\1\0\0\0\0\x10\0\x10",
    )
    for begin in ends:
        for rest in (b"\0", b"\xff", b"\x0b"):
            cell = first_cell(begin + rest * (512 - len(begin)), 2, 512)
            if cell is not None and not cell.is_table:
                assert cell.key(3, lambda number: None, 512) is None
    assert first_cell(bytes(512), 2, 512) is None
    values = (None, 1, 0.5, float("inf"), float("-inf"), "it's", b"\0\xff", Text(b"\0\xff"))
    words = ["NULL", "1", "0.5", "9e999", "-9e999", "'it''s'", "x'00ff'", "+CAST(x'00ff' AS TEXT)"]
    assert [literal(value) for value in values] == words

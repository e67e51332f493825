"""A database whose pages come from anywhere, as SQLite sees it: only read, within bounds, and never on a disk."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replication.errors import ObjectNotFoundError, QueryError, RestoreCancelledError
from replication.sqlite import moment
from replication.sqlite.moment import opened

_ROWS = 3000
_WRITE = r"""
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.executescript(f"PRAGMA page_size={sys.argv[2]}; PRAGMA journal_mode=WAL;")
connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
connection.executemany("INSERT INTO t(b) VALUES(?)", [(f"{number:050}",) for number in range(int(sys.argv[3]))])
connection.execute("CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID")
connection.execute("INSERT INTO w VALUES('key', x'00ff')")
connection.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
connection.execute("INSERT INTO f VALUES('three in the morning')")
connection.execute("INSERT INTO w VALUES('bad', CAST(x'ff' AS TEXT))")
connection.commit()
connection.close()
"""


@dataclass
class Held:
    """Pages in memory; `before` is told each number that is asked for."""

    data: bytes
    page_size: int
    before: Callable[[int], None] = lambda number: None
    asked: list[int] = field(default_factory=list)

    @property
    def pages(self) -> int:
        return len(self.data) // self.page_size

    def page(self, number: int) -> bytes:
        self.asked.append(number)
        self.before(number)
        return self.data[(number - 1) * self.page_size : number * self.page_size]


@pytest.fixture(scope="module", params=[512, 65536])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    path = tmp_path_factory.mktemp("moment") / "a.db"
    subprocess.run([sys.executable, "-c", _WRITE, path, str(request.param), str(_ROWS)], check=True)
    return path.read_bytes(), request.param


@pytest.fixture
def held(data: tuple[bytes, int]) -> Held:
    return Held(*data)


def refused(held: Held, sql: str, seconds: float | None = None) -> str:
    with opened(held, threading.Event()) as query, pytest.raises(QueryError) as caught:
        list(query.rows(sql, seconds))
    return str(caught.value)


def test_what_is_asked_is_answered(held: Held) -> None:
    assert held.data[18:20] == b"\2\2", "as in every restored file, the header says WAL"
    with opened(held, threading.Event()) as query:
        assert list(query.rows("SELECT count(*) AS n, max(b) FROM t")) == [(_ROWS, f"{_ROWS - 1:050}")]
        assert query.columns == ("n", "max(b)")
        assert list(query.rows("SELECT v FROM w WHERE k = 'key'")) == [(b"\0\xff",)]
        assert list(query.rows("SELECT x FROM f WHERE f MATCH 'morning'")) == [("three in the morning",)]
        assert list(query.rows("SELECT 1 WHERE 0")) == []
        assert ",".join(query.columns) == "1"
        assert list(query.rows("PRAGMA quick_check")) == [("ok",)]


def test_no_more_is_read_than_is_needed(held: Held) -> None:
    with opened(held, threading.Event()) as query:
        assert list(query.rows(f"SELECT a FROM t WHERE a = {_ROWS // 2}")) == [(_ROWS // 2,)]
    assert len(set(held.asked)) < 20


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t(b) VALUES(1)",
        "UPDATE w SET v = 1",
        "DROP TABLE t",
        "CREATE TEMP TABLE z(a)",
        "VACUUM",
        "PRAGMA user_version = 3",
        "BEGIN IMMEDIATE",
        "INSERT INTO f(f) VALUES('optimize')",
        "SELECT 1; DROP TABLE t",
        "VACUUM INTO '{}'",
        "ATTACH '{}' AS other",
    ],
)
def test_promise_4_nothing_is_written(held: Held, sql: str, tmp_path: Path) -> None:
    words = refused(held, sql.format(tmp_path / "made.db"))
    assert "would write" in words or "attached" in words or "One statement" in words
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_told_in_words(held: Held) -> None:
    assert "no such table: gone" in refused(held, "SELECT * FROM gone")
    assert "not authorized" in refused(held, "SELECT load_extension('x')")
    assert "not UTF-8" in refused(held, "SELECT v, k FROM w")


def test_promise_6_a_query_has_bounds(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    assert "its time is over" in refused(held, endless, 0.05)
    assert "too big" in refused(held, f"SELECT randomblob({moment.VALUE_BYTES_MAX + 1})")
    monkeypatch.setattr(moment, "CACHE_KIB", 10)
    monkeypatch.setattr(moment, "TEMPORARY_BYTES_MAX", 100_000)
    # It sorts 250 pages in memory at least.
    many = "SELECT t.b FROM t, (SELECT 1 FROM t LIMIT 120) ORDER BY t.b || t.a"
    assert "to sort with" in refused(held, many)
    monkeypatch.setattr(moment, "TEMPORARY_BYTES_MAX", 10_000_000)
    with opened(held, threading.Event()) as query:
        for _ in range(30):
            assert len(list(query.rows("SELECT b FROM t ORDER BY b || a"))) == _ROWS


def test_it_ends_when_it_is_to_stop(held: Held) -> None:
    stop = threading.Event()
    with opened(held, stop) as query:
        rows = query.rows("SELECT a FROM t")
        next(rows)
        stop.set()
        with pytest.raises(RestoreCancelledError):
            list(rows)


def test_what_the_pages_raise_is_raised(held: Held) -> None:
    def fail(number: int) -> None:
        if len(held.asked) > 10 or not held.data:
            raise ObjectNotFoundError("the segment", "the store")

    held.before = fail
    with opened(held, threading.Event()) as query, pytest.raises(ObjectNotFoundError, match="the segment"):
        list(query.rows("PRAGMA quick_check"))
    held.asked *= 10
    with pytest.raises(ObjectNotFoundError), opened(held, threading.Event()) as query:
        list(query.rows("SELECT 1"))

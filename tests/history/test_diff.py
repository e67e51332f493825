"""What is told to have changed between two moments is what an oracle finds that kept every state."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replication.errors import NoRestorePointError, QueryError, RestoreCancelledError
from replication.history.contract import Moment
from replication.history.diff import compare, where
from replication.history.diff.diff import Difference, row_changes
from replication.history.span import Span
from replication.position import Position
from replication.restore.target import AtPosition, AtTime, Latest
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import snapshot_name
from tests.history import turmoil
from tests.history.differing import checked, difference, span_of, told
from tests.history.looking import timeline
from tests.history.states import publish
from tests.restore.history import GENERATION, History, ReplicaBuilder, note_of, write_history

KINDS = {"512": (512, 3), "1024": (1024, 8), "4096": (4096, 5), "65536": (65536, 2)}
"""Pages of a size, and the seed of a history."""
PAIRS = 6
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    page_size, seed = request.param
    return turmoil.written(tmp_path_factory.mktemp("turmoil"), page_size, random.Random(seed), each=16)


@pytest.mark.parametrize("by_page", [True, False], ids=["by page", "as it comes"])
def test_promise_3_any_two_moments(history: History, by_page: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_page:
        monkeypatch.setattr(where, "FEW_PAGES", 1 << 40)
    storage = MemoryStorage()
    publish(history, storage, noted=by_page == (history.page_size > 1024))
    commits = turmoil.commits_of(history)
    chance = random.Random(by_page)
    counts: Counter[str] = Counter()
    for number in range(PAIRS):
        first = chance.randrange(1, len(commits))
        last = min(len(commits) - 1, max(1, first + (1, 2, -1, 7, -20, 40)[number % 6]))
        counts += checked(difference(storage, commits[first], commits[last]), commits[first], commits[last])
    assert counts.total()


@dataclass
class Counting:
    """A moment that counts which of its pages are read."""

    moment: Moment
    read: set[int] = field(default_factory=set)

    @property
    def page_size(self) -> int:
        return self.moment.page_size

    @property
    def pages(self) -> int:
        return self.moment.pages

    def page(self, number: int) -> bytes:
        self.read.add(number)
        return self.moment.page(number)


UNWRITTEN = "PRAGMA secure_delete = OFF;"
"""So SQLite gives back pages without writing them, unless it was built to be secure."""
LARGE = [
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE k(a TEXT PRIMARY KEY, b); CREATE TABLE h(a, b); "
    "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID; CREATE TABLE l(a INTEGER PRIMARY KEY, b)",
    f"BEGIN; {NUMBERS.format(9000)} INSERT INTO t SELECT i, hex(zeroblob(20)) FROM n; "
    f"{NUMBERS.format(9000)} INSERT INTO k SELECT 'key ' || i, hex(zeroblob(20)) FROM n; "
    f"{NUMBERS.format(9000)} INSERT INTO h SELECT i, hex(zeroblob(20)) FROM n; "
    f"{NUMBERS.format(9000)} INSERT INTO w SELECT 'key ' || i, hex(zeroblob(20)) FROM n; "
    f"{NUMBERS.format(900)} INSERT INTO l SELECT i, hex(randomblob(1500)) FROM n; COMMIT",
    "BEGIN; UPDATE t SET b = 'x' WHERE a = 4500; DELETE FROM k WHERE a = 'key 77'; "
    "INSERT INTO h VALUES('new', 1); COMMIT",
    "BEGIN; INSERT INTO w VALUES('key 4500.5', 1); DELETE FROM w WHERE a = 'key 78'; COMMIT",
    "DELETE FROM t WHERE a BETWEEN 1000 AND 3000",
    # Only a page inside of it is written.
    "UPDATE l SET b = substr(b, 1, 2900) || hex(randomblob(50)) WHERE a = 450",
    "VACUUM",
    "BEGIN; DELETE FROM h; DELETE FROM w; COMMIT",
]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("large"), 1024, [[f"{sql};" for sql in LARGE]], UNWRITTEN)


def between(storage: MemoryStorage, history: History, first: int, last: int) -> Span:
    return span_of(storage, AtPosition(history.commits[first].at()), AtPosition(history.commits[last].at()))


def counted(history: History, first: int, last: int) -> tuple[list[str], set[int], Difference]:
    """What is told between two commits, and the pages that were read of both."""
    storage = MemoryStorage()
    publish(history, storage, True)
    span = between(storage, history, first, last)
    before, after = Counting(span.before), Counting(span.after)
    both = Span(**{**{name: getattr(span, name) for name in Span.__slots__}, "before": before, "after": after})
    made = Difference(both, threading.Event())
    return [told(change) for change in row_changes(made)], before.read | after.read, made


def test_it_costs_what_changed_and_not_what_there_is(large: History) -> None:
    pages = large.commits[1].pages
    assert pages > 4000
    found, read, made = counted(large, 1, 2)
    assert found == ["h +('new', 1)", "k -('key 77', '0000000000000000000000000000000000000000')", "t ~4500"]
    assert (len(read) < 100, made.remarks) == (True, [])
    found, read, made = counted(large, 2, 3)
    assert found == ["w -('key 78', '0000000000000000000000000000000000000000')", "w +('key 4500.5', 1)"]
    assert (len(read) < 60, made.remarks) == (True, [])
    # Rows in pages that are not there any more, and no others.
    found, read, made = counted(large, 3, 4)
    assert len(found) == 2001
    assert len(read) < 600
    assert made.remarks == []
    # Rows whose own page was not written are found, without all of their table.
    found, read, made = counted(large, 4, 5)
    assert found == ["l ~450"]
    assert (len(read) < 100, made.remarks) == (True, [])
    # A database that was written anew has not changed.
    assert counted(large, 5, 6)[0] == []
    assert counted(large, 6, 5)[0] == []
    # Nor are pages written that are given back.
    found, read, made = counted(large, 6, 7)
    assert Counter(line[:3] for line in found) == {"h -": 9001, "w -": 9000}
    assert len(made.span.written) < 60
    assert len(read) < 1500


def test_a_long_row_is_found_where_its_pages_do_not_follow_each_other(tmp_path: Path) -> None:
    scripts = [
        "CREATE TABLE l(a INTEGER PRIMARY KEY, b); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;",
        # Each takes the pages that the others before it gave back, in another order.
        f"BEGIN; {NUMBERS.format(40)} INSERT INTO l SELECT i, hex(randomblob(3000)) FROM n; COMMIT;",
        "DELETE FROM l WHERE a % 2;",
        f"BEGIN; {NUMBERS.format(9)} INSERT INTO w SELECT i || hex(zeroblob(700 * i)), hex(randomblob(3000)) FROM n; "
        f"{NUMBERS.format(9)} INSERT INTO l SELECT 100 + i, hex(randomblob(3000)) FROM n; COMMIT;",
        "UPDATE l SET b = substr(b, 1, 4900) || hex(randomblob(50)) || substr(b, 5001) WHERE a IN (8, 104, 107);",
        "UPDATE w SET v = substr(v, 1, 4900) || hex(randomblob(50)) || substr(v, 5001) WHERE k LIKE '4%';",
    ]
    history = write_history(tmp_path, 512, [scripts])
    assert counted(history, 3, 4)[0] == ["l ~8", "l ~104", "l ~107"]
    assert [line[:4] for line in counted(history, 4, 5)[0]] == ["w ~4"]
    found, _, made = counted(history, 3, 5)
    assert len(found) == 4
    assert "pages inside long values were written" in made.remarks[0]


def test_rows_are_alike_only_if_they_are_stored_alike(tmp_path: Path) -> None:
    pairs = [
        ("1", "1.0"),
        ("0.0", "-0.0"),
        ("1", "'1'"),
        ("'1'", "x'31'"),
        ("NULL", "0"),
        ("'a'", "'A'"),
        ("'ä'", "'ä '"),
    ]
    pairs += [
        ("CAST(x'ff' AS TEXT)", "CAST(x'fe' AS TEXT)"),
        ("9e999", "-9e999"),
        ("1", "1"),
        ("9007199254740993", "9007199254740992.0"),
    ]
    before = ", ".join(f"({number}, {was})" for number, (was, _) in enumerate(pairs))
    scripts = [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE b(v);",
        f"INSERT INTO t VALUES {before};",
        "BEGIN; "
        + "".join(f"UPDATE t SET v = {became} WHERE id = {n};" for n, (_, became) in enumerate(pairs))
        + "COMMIT;",
    ]
    history = write_history(tmp_path, 4096, [scripts])
    found = counted(history, 1, 2)[0]
    assert found == [f"t ~{number}" for number, (was, became) in enumerate(pairs) if was != became]


def test_a_key_is_the_same_whatever_rowid_it_has_and_as_its_collation_says(tmp_path: Path) -> None:
    scripts = [
        "CREATE TABLE k(a TEXT COLLATE NOCASE PRIMARY KEY, b); CREATE TABLE h(a);",
        "INSERT INTO k VALUES('one', 1), (NULL, 2), (NULL, 3), ('two', 4); INSERT INTO h VALUES(1), (2), (2), (3);",
        # The first gets another rowid, and so do all in the heap.
        "BEGIN; REPLACE INTO k VALUES('ONE', 1); UPDATE k SET b = 30 WHERE b = 3; "
        "UPDATE k SET a = 'three' WHERE b = 4; DELETE FROM h WHERE a = 1; COMMIT;",
        "VACUUM;",
    ]
    history = write_history(tmp_path, 4096, [scripts])
    expected = ["h -(1,)", "k +('three', 4)", "k -('two', 4)", "k ~None", "k ~one"]
    for last in (2, 3):
        assert sorted(counted(history, 1, last)[0]) == expected
    assert counted(history, 2, 3)[0] == []


def test_of_too_many_rows_without_a_key_it_is_said_how_they_were_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "HEAP_ROWS_MAX", 3)
    scripts = ["CREATE TABLE h(a);", "INSERT INTO h VALUES(1), (2), (3);", "UPDATE h SET a = a + 10;"]
    history = write_history(tmp_path, 4096, [scripts])
    found, _, made = counted(history, 1, 2)
    assert found == ["h ~1", "h ~2", "h ~3"]
    assert "have no key, and more than 3 differ" in made.remarks[0]


def test_the_schema_and_what_is_not_compared(tmp_path: Path) -> None:
    scripts = [
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); CREATE TABLE p(a, b, PRIMARY KEY(a)) WITHOUT ROWID; "
        "CREATE VIRTUAL TABLE f USING fts5(x, y); CREATE VIRTUAL TABLE e USING fts5(x, content=''); "
        "CREATE VIRTUAL TABLE r USING rtree(id, a, b); CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT);",
        "INSERT INTO t VALUES(1, 2, 3); INSERT INTO p VALUES(1, 2); INSERT INTO f VALUES('a', 'b'); "
        "INSERT INTO s VALUES(7);",
        "BEGIN; ALTER TABLE t RENAME TO u; DROP TABLE p; "
        "CREATE TABLE p(a, b, PRIMARY KEY(b)) WITHOUT ROWID; "
        "INSERT INTO f VALUES('c', 'd'); INSERT INTO e VALUES('x'); INSERT INTO s VALUES(NULL); COMMIT;",
        "BEGIN; ALTER TABLE u ADD COLUMN d DEFAULT 5; ALTER TABLE u RENAME COLUMN b TO bb; "
        "CREATE INDEX i ON u(c); COMMIT;",
        "BEGIN; UPDATE u SET bb = 20; UPDATE u SET d = 6; COMMIT;",
    ]
    history = write_history(tmp_path, 4096, [scripts])
    found, _, made = counted(history, 1, 2)
    assert found == ["f +('c', 'd')", "s +(8,)"]
    assert [(item.type, item.name, item.renamed_from) for item in made.schema] == [
        ("table", "p", ""),
        ("table", "u", "t"),
    ]
    assert [item.name for item in made.skipped] == ["p", "e", "r"]
    assert "its key was another (a, then b)" in made.skipped[0].why
    [sequence] = made.pairs("SQLITE_sequence")
    assert [told(change) for change in made.rows(sequence)] == ["sqlite_sequence ~1"]
    with pytest.raises(QueryError, match="The rows of e are not compared: it is virtual"):
        made.pairs("e")
    with pytest.raises(QueryError, match="There is no table gone at"):
        made.pairs("gone")
    assert [pair.name for pair in made.pairs("T")] == ["u"]
    found, _, made = counted(history, 2, 3)
    assert (found, [(item.type, item.name) for item in made.schema]) == ([], [("table", "u"), ("index", "i")])
    # A column that got another name is the same, one that came is none of before.
    [change] = row_changes(counted(history, 2, 4)[2], "u")
    assert change.changed_columns == (("bb", 2, 20),)


def test_times_lead_to_what_a_restore_would_give(history: History) -> None:
    for noted in (True, False):
        storage = MemoryStorage()
        publish(history, storage, noted)
        whole = timeline(storage)
        times = sorted({whole.written_at(end) for end in whole.ends()})
        chance = random.Random(1)
        for _ in range(6):
            first, last = chance.choice(times), chance.choice(times)
            found = span_of(storage, AtTime(first), AtTime(last))
            ends = [timeline(storage, AtTime(time)).end for time in (first, last)]
            assert [found.begin, found.end] == ends
            found = span_of(storage, AtTime(first), Latest())
            assert [found.begin, found.end] == [ends[0], whole.end]


def test_without_the_wal_between_them_all_pages_are_compared(tmp_path: Path) -> None:
    sql = ["CREATE TABLE t(a INTEGER PRIMARY KEY, b);", *(f"INSERT INTO t VALUES({n}, 'x');" for n in range(9))]
    history = write_history(tmp_path, 512, [sql[:5], sql[5:]])
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.snapshot(0, history.bases[0], note_of(Position(GENERATION, 0, 0), len(history.bases[0]) // 512, 512))
    builder.wal(0, history.wals[0], [history.commits[1].offset, history.commits[3].offset])
    builder.noted_snapshot(history.commits[6], 512)
    builder.wal(1, history.wals[1], [], {"v": 1, "previous": str(history.commits[4].at())})
    early, late = (AtPosition(history.commits[number].at()) for number in (1, 8))
    assert span_of(storage, early, late).remarks == ()
    names = [item.name for item in storage.list("") if "/wal/00000000_" in item.name]
    storage.delete(names[2:3])
    span = span_of(storage, early, late)
    assert "the WAL between them is not whole" in span.remarks[0]
    made = Difference(span, threading.Event())
    assert [told(change) for change in row_changes(made)] == [f"t +({number}, 'x')" for number in range(1, 8)]
    storage.delete([snapshot_name(GENERATION, 0)])
    with pytest.raises(NoRestorePointError):
        span_of(storage, early, late)


def test_two_generations_are_compared_page_by_page(tmp_path: Path) -> None:
    sql = ["CREATE TABLE t(a INTEGER PRIMARY KEY, b);", *(f"INSERT INTO t VALUES({n}, 'x');" for n in range(9))]
    histories = []
    for name, more in (("a", []), ("b", ["DELETE FROM t WHERE a = 3;", "UPDATE t SET b = 'y' WHERE a = 5;"])):
        (tmp_path / name).mkdir()
        histories.append(write_history(tmp_path / name, 512, [[*sql, *more]]))
    storage = MemoryStorage()
    other = "ffeeddccbbaa0011"
    from tests.restore.history import publish as publish_all

    publish_all(histories[0], storage, True)
    publish_all(histories[1], storage, True, generation=other)
    first, last = histories[0].commits[-1].at(), histories[1].commits[-1].at(other)
    span = span_of(storage, AtPosition(first), AtPosition(last))
    assert "they are of two generations" in span.remarks[0]
    found = [told(change) for change in row_changes(Difference(span, threading.Event()))]
    assert found == ["t -(3, 'x')", "t ~5"]


def test_it_stops(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, True)
    stop = threading.Event()
    span = between(storage, history, 1, -1)
    made = Difference(span, stop)
    stop.set()
    with pytest.raises(RestoreCancelledError):
        list(row_changes(made))

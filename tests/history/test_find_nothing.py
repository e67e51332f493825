"""That there is no such commit is said only where each was looked at; else what is not known, or was mistyped."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from replication.errors import InconclusiveError, NoRestorePointError, QueryError
from replication.history import changes, questions
from replication.history.moments import find
from replication.storage.memory import MemoryStorage
from tests.history.states import asked, publish
from tests.history.test_find import places, search
from tests.restore.history import BEGAN, Commit, History, write_history

ROWS = "WITH RECURSIVE n(v) AS (SELECT {} UNION ALL SELECT v + 1 FROM n WHERE v < {}) "


def published(folder: Path, *indexes: Sequence[str], page_size: int = 4096) -> tuple[History, MemoryStorage]:
    """Transactions, one an item, and a replica of them: a snapshot before all, and one inside each later index."""
    history = write_history(folder, page_size, indexes)
    storage = MemoryStorage()
    publish(history, storage, True)
    return history, storage


def changed(history: History, statement: str) -> list[tuple[Commit, Commit]]:
    """The commits that changed an answer, each with the one before, oldest first."""
    return [
        (before, after)
        for before, after in pairwise(history.commits)
        if asked(before, statement) != asked(after, statement)
    ]


def a_fall_before_many(commits: int) -> list[str]:
    """Twenty rows go at once, and so many single ones come later."""
    first = ["CREATE TABLE t(i INTEGER PRIMARY KEY, x);", f"INSERT INTO t {ROWS.format(0, 49)} SELECT v, 1 FROM n;"]
    return [*first, "DELETE FROM t WHERE i < 20;", *(f"INSERT INTO t VALUES({100 + n}, 1);" for n in range(commits))]


def test_rows_that_went_at_once_before_many_came_are_found(tmp_path: Path) -> None:
    history, storage = published(tmp_path, a_fall_before_many(60))
    found = find(search(storage, questions.fell("t", 20)))
    assert (found.before, found.after) == (history.commits[1].at(), history.commits[2].at())
    assert (str(found.was), str(found.became), found.is_sure) == ("50", "30", True)
    for answers in ("SELECT count(*) BETWEEN 30 AND 31 FROM t", "SELECT max(i) BETWEEN 1 AND 104 FROM t"):
        # Alike at both ends, another between them, and the table is written by every commit.
        expected = changed(history, answers)[-1]
        assert find(search(storage, questions.sql(answers))).after == expected[1].at()


def test_a_fall_is_found_by_halving_although_more_rows_came(tmp_path: Path) -> None:
    busy = [f"INSERT INTO t VALUES({1000 + n}, 1);" for n in range(150)]
    busy[70:70] = ["DELETE FROM t WHERE i < 20;"]
    history, storage = published(tmp_path, a_fall_before_many(0)[:2], busy)
    [_, expected] = changed(history, "SELECT count(*) FROM t WHERE i < 20")
    made = search(storage, questions.fell("t", 20))
    made._each_left = 0
    found = find(made)
    assert (found.before, found.after, found.is_sure) == (expected[0].at(), expected[1].at(), False)
    assert made.looks <= changes.LOOKS_MAX + 8


def test_a_row_that_came_and_went_between_many_commits_is_found(tmp_path: Path) -> None:
    script = a_fall_before_many(40)
    script[6:6] = ["INSERT INTO t VALUES(1000, 'here');", "DELETE FROM t WHERE i = 1000;"]
    script.insert(3, "CREATE TABLE short(a);")
    script.insert(5, "DROP TABLE short;")
    history, storage = published(tmp_path, [*script, *(f"CREATE TABLE more{n}(a);" for n in range(20))])
    row = changed(history, "SELECT * FROM t WHERE i = 1000")
    for wanted, (before, after), is_all in [
        (questions.row("t", "1000"), row[-1], False),
        (questions.gone("short"), changed(history, "SELECT * FROM short")[-1], False),
        (questions.appeared("short"), changed(history, "SELECT * FROM short")[0], False),
        (questions.row("t", "1000"), row[-1], True),
    ]:
        found = next(search(storage, wanted, is_all).changes())
        assert (found.before, found.after, found.is_sure) == (before.at(), after.at(), True), wanted.words


def test_what_came_and_went_between_two_snapshots_is_found(tmp_path: Path) -> None:
    away = ["CREATE TABLE short(a);", "DROP TABLE short;", "INSERT INTO t VALUES(7, 1);", "DELETE FROM t WHERE i = 7;"]
    quiet = [f"INSERT INTO t VALUES({100 + n}, 1);" for n in range(6)]
    calm = [f"INSERT INTO t VALUES({200 + n}, 1);" for n in range(6)]
    script = ["CREATE TABLE t(i INTEGER PRIMARY KEY, x);", *away, "INSERT INTO t VALUES(1, 1);"]
    history, storage = published(tmp_path, script, quiet, calm)
    for wanted, statement in [
        (questions.gone("short"), "SELECT * FROM short"),
        (questions.row("t", "7"), "SELECT * FROM t WHERE i = 7"),
    ]:
        said: list[str] = []
        made = search(storage, wanted, tell=said.append)
        found = find(made)
        assert (found.after, found.is_sure) == (changed(history, statement)[-1][1].at(), True)
        assert said == ["It is alike at all these snapshots, so what lies between them is looked at too."]
    with pytest.raises(NoRestorePointError, match=r"There is no commit at which t went, from .*/00000000:0 on"):
        find(search(storage, questions.gone("t")))


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_many_snapshots_cost_as_many_reads_and_a_damaged_one_is_gone_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    calm = [[f"INSERT INTO t VALUES({10 * n + m}, 1);" for m in range(3)] for n in range(14)]
    history, storage = published(
        tmp_path, ["CREATE TABLE t(i INTEGER, x);", "CREATE TABLE g(a);", "DROP TABLE g;"], *calm
    )
    if damaged:
        name = sorted(item.name for item in storage.list("") if item.name.endswith(".snapshot.lz4"))[4]
        stored = b"".join(storage.get(name))
        half = len(stored) // 2
        storage.replace(name, stored[:half] + bytes([stored[half] ^ 1]) + stored[half + 1 :], BEGAN)
    reads: list[str] = []
    get = storage.get

    def counted(name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        reads.append(name)
        return get(name, offset, length)

    monkeypatch.setattr(storage, "get", counted)
    made = search(storage, questions.gone("g"))
    found = find(made)
    assert (found.after, found.is_sure) == (history.commits[2].at(), True)
    assert made.looks > 2 * 14
    assert len(reads) < made.looks * 8 + 80 * damaged


def test_it_is_not_sure_where_newer_commits_were_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["INSERT INTO t VALUES(7777, 'here');", "DELETE FROM t WHERE i = 7777;"]
    old = ["CREATE TABLE t(i INTEGER PRIMARY KEY, x);", *here, "INSERT INTO t VALUES(500, 1);"]
    new = [f"INSERT INTO t VALUES({1000 + n}, 1);" for n in range(60)]
    new[22:22] = here
    history, storage = published(tmp_path, old, new, ["INSERT INTO t VALUES(2000, 1);"])
    row = changed(history, "SELECT * FROM t WHERE i = 7777")
    found = find(search(storage, questions.row("t", "7777")))
    assert (found.after, found.is_sure) == (row[-1][1].at(), True)
    monkeypatch.setattr(changes, "LOOKS_MAX", 25)
    made = search(storage, questions.row("t", "7777"))
    made._each_left = 0
    found = find(made)
    assert (found.after, found.is_sure) == (history.commits[2].at(), False)


def test_where_looks_are_too_many_it_is_said_that_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, storage = published(tmp_path, a_fall_before_many(60))
    never = questions.row("t", "9999")
    made = search(storage, never)
    made._each_left = 5
    with pytest.raises(InconclusiveError, match=r"not every one was looked at \(2\d looks\)\. From .* -all looks at"):
        find(made)
    monkeypatch.setattr(changes, "LOOKS_MAX", 3)
    with pytest.raises(NoRestorePointError, match="There is no commit at which row 9999 of t changed, from"):
        find(search(storage, never))
    assert list(search(storage, never, is_all=True).changes()) == []


@pytest.mark.parametrize(
    "statement", ["pragma freelist_count", "SELECT * FROM pragma_freelist_count", "PRAGMA page_count"]
)
def test_what_the_header_counts_is_found_where_it_changed(tmp_path: Path, statement: str) -> None:
    history, storage = published(
        tmp_path,
        [
            "CREATE TABLE t(i INTEGER PRIMARY KEY, x);",
            "INSERT INTO t VALUES(1, zeroblob(50000));",
            "UPDATE t SET i = 5;",
            "DELETE FROM t;",
            "INSERT INTO t VALUES(2, 'x');",
            "INSERT INTO t VALUES(3, zeroblob(9000));",
            "INSERT INTO t VALUES(4, 'x');",
            "VACUUM;",
            "INSERT INTO t VALUES(6, 'x');",
        ],
    )
    expected = [after for _, after in changed(history, statement)][::-1]
    assert len(expected) > 1
    found = list(search(storage, questions.sql(statement), is_all=True).changes())
    # What the first commit made of an empty file is before all that are known.
    found = [item for item in found if item.after != history.commits[0].at()]
    assert places(found) == [(commit.index, commit.offset) for commit in expected]
    assert find(search(storage, questions.sql(statement))).after == expected[0].at()


def test_what_is_mistyped_is_said(tmp_path: Path) -> None:
    _, storage = published(
        tmp_path,
        ["CREATE TABLE t(i INTEGER PRIMARY KEY, x);", "CREATE TABLE part(a);", "DROP TABLE part;"],
        ["INSERT INTO t VALUES(1, 1);", "INSERT INTO t VALUES(2, 1);"],
    )
    for statement, said in [
        ("SELEC x", "syntax error"),
        ("SELECT", "incomplete input"),
        ("SELECT 'x", "unrecognized token"),
        ("SELECT y FROM t", "no such column: y. So it is at every commit that was looked at."),
        ("SELECT * FROM nosuch", "no such table: nosuch. So it is"),
        ("SELECT random()", "does not answer the same"),
        ("SELECT 1; SELECT 2", "One statement"),
    ]:
        for is_all in (False, True):
            with pytest.raises(QueryError, match=said):
                find(search(storage, questions.sql(statement), is_all))
    for wanted in (
        questions.gone("typo"),
        questions.appeared("typo"),
        questions.fell("typo", 1),
        questions.row("typo", "7"),
    ):
        with pytest.raises(NoRestorePointError, match=r"has a table or view typo\. The last one has t\.$"):
            find(search(storage, wanted))
    # Of a part of the history it is no error.
    assert find(search(storage, questions.sql("SELECT * FROM part"))).is_sure
    assert find(search(storage, questions.gone("PART"))).is_sure
    with pytest.raises(NoRestorePointError, match="There is no commit at which row 7 of part changed"):
        find(search(storage, questions.row("part", "7")))


def test_empty_sql_is_told_from_a_statement() -> None:
    assert all(map(questions.is_empty, ("", " ", ";;", "-- nothing", "/* */ ; -- x\n", "/* open")))
    assert not any(map(questions.is_empty, ("SELECT 1 -- x", "-- x\nSELECT 1")))

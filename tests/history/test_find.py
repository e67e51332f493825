"""What is found is what an oracle says that kept every state; few commits are looked at for it."""

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from replication.errors import NoRestorePointError, QueryError
from replication.history import changes, questions
from replication.history.contract import Found
from replication.history.moments import find
from replication.history.questions import Wanted
from replication.history.wal03.find import Search
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtTime
from replication.storage.memory import MemoryStorage
from tests.history.looking import QUICK, Cached
from tests.history.states import asked, publish, written
from tests.restore.history import BEGAN, Commit, History

Oracle = Callable[[Commit], Any]


def is_there(table: str) -> Oracle:
    return lambda commit: bool(asked(commit, f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'"))


def count(table: str) -> Oracle:
    def ask(commit: Commit) -> int:
        found = asked(commit, f"SELECT count(*) FROM {table}")
        return 0 if isinstance(found, str) else int(found[0][0])

    return ask


def row(statement: str) -> Oracle:
    """A table that is not there has no such row."""

    def ask(commit: Commit) -> list[Any]:
        found = asked(commit, statement)
        return [] if isinstance(found, str) else found

    return ask


ROW = "SELECT * FROM w WHERE k = 'key2'"
SQL = "SELECT count(*), max(a) FROM t2 WHERE b = 'y'"
KINDS: dict[str, tuple[Wanted, Oracle, Callable[[Any, Any], bool]]] = {
    "gone": (questions.gone("T1"), is_there("t1"), lambda was, became: was and not became),
    "appeared": (questions.appeared("t3"), is_there("t3"), lambda was, became: became and not was),
    "fell": (questions.fell("t2", 5), count("t2"), lambda was, became: was - became >= 5),
    "row": (questions.row("w", "key2"), row(ROW), lambda was, became: was != became),
    "sql": (questions.sql(SQL), lambda commit: asked(commit, SQL), lambda was, became: was != became),
    "busy": (questions.fell("busy", 1), count("busy"), lambda was, became: was > became),
}


@pytest.fixture(scope="module", params=[(512, 1), (4096, 2)], ids=["512", "4096"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    page_size, seed = request.param
    return written(tmp_path_factory.mktemp("states"), page_size, seed)


@pytest.fixture(params=[True, False], ids=["ours", "litestream"])
def storage(request: pytest.FixtureRequest, history: History) -> MemoryStorage:
    made = MemoryStorage()
    publish(history, made, request.param)
    return made


def search(storage: MemoryStorage, wanted: Wanted, is_all: bool = False, **more: Any) -> Search:
    asked_for = {name: more.pop(name) for name in ("target", "generation") if name in more}
    options = RestoreOptions(backoff=QUICK, **asked_for)
    sources = [OpenReplica("test", storage)]
    return Search(sources, options, wanted, Cached(), threading.Event(), is_all, **more)


def places(found: list[Found]) -> list[tuple[int, int]]:
    return [(item.after.index, item.after.offset) for item in found]


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_found_and_none_is_invented(history: History, storage: MemoryStorage, kind: str) -> None:
    wanted, oracle, matches = KINDS[kind]
    answers = [oracle(commit) for commit in history.commits]
    pairs = list(zip(pairwise(history.commits), pairwise(answers), strict=True))
    expected = [commits for commits, (was, became) in pairs if matches(was, became)][::-1]
    made = search(storage, wanted, is_all=True)
    found = list(made.changes())
    # The commit with which the first snapshot of the history was taken is before all that are known.
    found = [item for item in found if item.after != history.commits[0].at()]
    assert places(found) == [(after.index, after.offset) for _, after in expected]
    assert [item.before for item in found] == [before.at() for before, _ in expected]
    assert all(item.is_sure for item in found)
    assert made.looks <= len(history.commits) + 2 * 3


@pytest.mark.parametrize("kind", ["gone", "appeared", "row", "sql"])
def test_the_newest_is_found_with_few_looks(history: History, storage: MemoryStorage, kind: str) -> None:
    wanted, oracle, matches = KINDS[kind]
    answers = [oracle(commit) for commit in history.commits]
    changes_ = [pair for pair, said in zip(pairwise(history.commits), pairwise(answers), strict=True) if matches(*said)]
    made = search(storage, wanted)
    found = find(made)
    assert found.after in [after.at() for _, after in changes_]
    if found.is_sure:
        assert found.after == changes_[-1][1].at()
    assert made.looks <= 60


def test_where_looks_are_too_many_the_rest_is_halved(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LOOKS_MAX", 2)
    storage = MemoryStorage()
    publish(history, storage, True)
    statement = "SELECT count(*) > 5 FROM busy"
    answers = [asked(commit, statement) for commit in history.commits]
    [after] = [
        after
        for (_, after), (was, became) in zip(pairwise(history.commits), pairwise(answers), strict=True)
        if was == [(0,)] and became == [(1,)]
    ]
    made = search(storage, questions.sql(statement))
    found = find(made)
    assert (found.after, found.is_sure) == (after.at(), False)
    # In the stretches since then, where the answer is the same at both ends, each was looked at.
    assert made.looks < len(history.commits) // 2


def test_it_is_bounded_in_time(history: History, storage: MemoryStorage) -> None:
    wanted = KINDS["appeared"][0]
    found = list(search(storage, wanted, is_all=True).changes())
    middle = sorted(item.after_time for item in found)[len(found) // 2]
    late = list(search(storage, wanted, is_all=True, since=middle).changes())
    assert late == [item for item in found if item.after_time >= middle]
    early = list(search(storage, wanted, is_all=True, target=AtTime(middle)).changes())
    assert early == [item for item in found if item.after_time <= middle]
    with pytest.raises(NoRestorePointError):
        find(search(storage, wanted, target=AtTime(BEGAN)))


def test_what_was_not_found_is_said_in_words(history: History, storage: MemoryStorage) -> None:
    with pytest.raises(NoRestorePointError, match=r"no commit at which busy went, from .* on"):
        find(search(storage, questions.gone("busy")))
    with pytest.raises(NoRestorePointError, match=r"has a table or view never\. The last one has busy, "):
        find(search(storage, questions.gone("never")))
    with pytest.raises(QueryError, match="would write"):
        find(search(storage, questions.sql("DELETE FROM busy")))

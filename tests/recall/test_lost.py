"""All that was lost between two commits comes back into the database of the later one, whatever was done to it."""

import random
from collections import Counter
from pathlib import Path

import pytest

from replication.recall.opening import Asked, recall_from
from replication.recall.recall import Brought, Live
from replication.recall.wanted import Wanted
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.storage.memory import MemoryStorage
from tests.foreign import Shell
from tests.history import turmoil
from tests.history.differing import difference
from tests.history.looking import QUICK, Cached
from tests.history.states import publish
from tests.recall.trying import NEVER
from tests.restore.history import Commit


def brought_back(storage: MemoryStorage, live: Path, before: Commit, after: Commit) -> Brought:
    options = RestoreOptions(backoff=QUICK)
    asked = Asked(Wanted((), True), AtPosition(before.at()), AtPosition(after.at()))
    recall, origin = recall_from([OpenReplica("test", storage)], options, asked, Live(live), Cached(), NEVER)
    assert (origin.moment, origin.until) == (before.at(), after.at())
    try:
        recall.preview(NEVER)
        return recall.apply(NEVER)
    finally:
        recall.close()


def check(storage: MemoryStorage, folder: Path, before: Commit, after: Commit) -> int:
    """How many rows came back."""
    live = Shell(folder / "live.db")
    live.path.write_bytes(after.content)
    made = difference(storage, before, after)
    lost: Counter[str] = Counter()
    for pair in made.pairs():
        gone = sum(change.kind == "deleted" for change in made.rows(pair))
        if pair.before is not None and (gone or pair.after is None):
            lost[pair.after.name if pair.after is not None else pair.before.name] = gone
    counts = {table: _count(live, table) for table in lost}
    brought = brought_back(storage, live.path, before, after)
    assert brought.is_as_previewed
    assert {table.table: table.rows for table in brought.report.tables} == dict(lost)
    for table in brought.report.tables:
        if not table.refusal:
            # The preview has taken out what is there under another row number.
            assert table.inserted + table.same + table.skipped + table.refused == table.rows
            assert _count(live, table.table) == counts[table.table] + table.inserted
    assert live.rows("PRAGMA integrity_check") == [["ok"]]
    again = brought_back(storage, live.path, before, after)
    assert not again.report.inserted, again.report
    return brought.report.inserted


def _count(live: Shell, table: str) -> int:
    name = table.replace('"', '""')
    if not live.rows(f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'"):
        return 0
    return int(live.rows(f'SELECT count(*) FROM "{name}"')[0][0])


def run(folder: Path, seed: int, each: int = 16, pairs: int = 5) -> int:
    chance = random.Random(seed)
    page_size = chance.choice([512, 1024, 4096, 65536])
    history = turmoil.written(folder, page_size, chance, each=each)
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    commits = turmoil.commits_of(history)
    found = 0
    for number in range(pairs):
        first = chance.randrange(1, len(commits) - 1)
        last = min(len(commits) - 1, first + chance.choice([1, 3, 9, 40]))
        part = folder / str(number)
        part.mkdir()
        found += check(storage, part, commits[first], commits[last])
    return found


def test_promise_4_all_that_was_lost_comes_back(tmp_path: Path) -> None:
    assert run(tmp_path, 3, each=10, pairs=3)


@pytest.mark.explores
@pytest.mark.parametrize("seed", range(2, 30))
def test_promise_4_all_that_was_lost_in_other_histories(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed)

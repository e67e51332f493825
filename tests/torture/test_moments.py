"""Every page of every commit without a restore: histories by chance, in four page sizes, as ours and as Litestream's.

What is looked at is what SQLite saw, with VACUUM, growth, shrinking, tables WITHOUT ROWID and full-text indexes. Where
an answer changed is found, and told by the log, and what changed between two moments, as an oracle says that kept every
state.
"""

import hashlib
import random
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from replication.errors import UnprovenSnapshotError
from replication.history import questions
from replication.history.diff import where
from replication.history.log import Log
from replication.history.wal03.find import Search
from replication.history.wal03.stretches import stretches
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.storage.memory import MemoryStorage
from tests.history import looking, turmoil
from tests.history.differing import checked, difference
from tests.history.looking import QUICK, Cached, content
from tests.history.states import asked, publish, scripts
from tests.restore.history import Commit, History, write_history
from tests.torture.conftest import Torture

PAGE_SIZES = (512, 1024, 4096, 65536)
ROUNDS_SHORT = 2
PAIRS, PAIRS_SHORT = 30, 5
STATEMENT = "SELECT count(*), sum(length(b)) FROM t1"


def history_of(folder: Path, chance: random.Random) -> History:
    """Transactions by chance, some of which shrink the file or write it anew."""
    indexes, each = chance.randint(2, 4), chance.randint(10, 25)
    made = scripts(chance.randrange(1 << 30), indexes, each)
    for group in made[1:]:
        for sql in chance.sample(("VACUUM;", "DELETE FROM busy;", "REINDEX;", "PRAGMA incremental_vacuum;"), 2):
            group.insert(chance.randrange(len(group)), sql)
    return write_history(folder, chance.choice(PAGE_SIZES), made)


def commits_of(history: History) -> list[Commit]:
    """Without what changed nothing: at the start of an index that leaves the WAL of the one before where it is."""
    found: list[Commit] = []
    for commit in reversed(history.commits):
        if not found or commit.at() < found[-1].at():
            found.append(commit)
    return found[::-1]


def test_promise_3_every_moment_of_any_history(torture: Torture, tmp_path: Path) -> None:
    for number, chance in enumerate(torture.rounds(ROUNDS_SHORT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        history = history_of(folder, chance)
        commits = commits_of(history)
        storage = MemoryStorage()
        noted = chance.random() < 0.5
        publish(history, storage, noted)
        looked_at(storage, commits, torture)
        found_in(storage, commits, torture)
        for path in folder.iterdir():
            path.unlink()


def looked_at(storage: MemoryStorage, commits: list[Commit], torture: Torture) -> None:
    """All commits are covered by the timelines, and have the pages that SQLite saw."""
    by_place = {commit.at(): commit for commit in commits}
    sources, options, stop = [OpenReplica("test", storage)], RestoreOptions(backoff=QUICK), threading.Event()
    seen = set()
    for timeline in stretches(sources, options, Cached(), stop, lambda words: None):
        log = Log(stop)
        touched = {entry.position: {item.name for item in entry.tables} for entry in log.entries(timeline)}
        for end in timeline.ends():
            position = timeline.position(end)
            commit = by_place.get(position)
            if commit is not None:
                assert hashlib.sha256(content(timeline.moment(position))).hexdigest() == commit.sha, position
                seen.add(position)
                torture.counts["moments"] += 1
        for before, after in pairwise(commits):
            if after.at() in touched and asked(before, STATEMENT) != asked(after, STATEMENT):
                assert "t1" in touched[after.at()], after.at()
                torture.counts["changes that the log has"] += 1
    assert seen >= set(by_place) - {commits[0].at()}


def found_in(storage: MemoryStorage, commits: list[Commit], torture: Torture) -> None:
    """Every change of an answer is found, and none is invented."""
    sources, options = [OpenReplica("test", storage)], RestoreOptions(backoff=QUICK)
    search = Search(sources, options, questions.sql(STATEMENT), Cached(), threading.Event(), is_all=True)
    found = [item.after for item in search.changes()]
    expected = [
        after.at() for before, after in pairwise(commits) if asked(before, STATEMENT) != asked(after, STATEMENT)
    ]
    assert [position for position in found if position != commits[0].at()] == expected[::-1]
    torture.counts["changes found"] += len(found)
    torture.counts["looks"] += search.looks


def test_promise_3_what_changed_between_any_moments(
    torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and schema, in tables of all kinds, of which an oracle knows all rows of each state."""
    by_size = where.FEW_PAGES
    for number, chance in enumerate(torture.rounds(ROUNDS_SHORT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        history = turmoil.written(folder, chance.choice(PAGE_SIZES), chance)
        commits = turmoil.commits_of(history)
        storage = MemoryStorage()
        publish(history, storage, noted=chance.random() < 0.5)
        # Even where so much was written that all would be read, it is found by page.
        monkeypatch.setattr(where, "FEW_PAGES", chance.choice((by_size, 1 << 40)))
        for _ in range(PAIRS if torture.long else PAIRS_SHORT):
            first = chance.randrange(1, len(commits))
            last = min(len(commits) - 1, max(1, first + chance.choice((-1, 1, 1, 2, 3, 10, -20))))
            before, after = commits[first], commits[last]
            try:
                made = difference(storage, before, after)
            except UnprovenSnapshotError:
                # What a snapshot of Litestream's holds is not known: then a restore of one of both is refused, too.
                with pytest.raises(UnprovenSnapshotError):
                    assert [looking.timeline(storage, AtPosition(commit.at())) for commit in (before, after)]
                torture.counts["refused"] += 1
                continue
            torture.counts.update(checked(made, before, after))
        for path in folder.iterdir():
            path.unlink()

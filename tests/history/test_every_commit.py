"""Every page of every commit: a timeline has what SQLite saw, and what a restore gives."""

import hashlib

import pytest

from replication.history.wal03 import indexed, parts
from replication.restore.target import AtPosition, AtTime, Latest
from replication.storage.memory import MemoryStorage
from tests.history.looking import content, timeline
from tests.restore.history import History, publish, scripts, write_history


@pytest.fixture(scope="module", params=[512, 4096, 65536])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), request.param, list(scripts()))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "read again"])
def test_promise_3_every_commit(history: History, noted: bool, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = not kept  # Either order of bytes, once.
    if not kept:
        monkeypatch.setattr(indexed, "KEPT_BYTES_MAX", 0)
        monkeypatch.setattr(parts, "KEPT_BYTES_MAX", 0)
    storage = MemoryStorage()
    publish(history, storage, noted, swap)
    whole = timeline(storage)
    covered = 0
    for commit in history.commits:
        alone = timeline(storage, AtPosition(commit.at()))
        assert (alone.end, sha(content(alone.moment()))) == (commit.at(), commit.sha)
        assert alone.page_size == history.page_size
        if whole.covers(commit.at()):
            covered += 1
            moment = whole.moment(commit.at())
            assert (moment.pages, sha(content(moment))) == (commit.pages, commit.sha)
    # Of a snapshot of Litestream's own index nothing but the end is certain.
    assert covered == (len(history.commits) if noted else sum(commit.index > 0 for commit in history.commits))
    ends = [whole.position(place) for place in whole.ends()]
    covers = [commit.at() for commit in history.commits if noted or commit.index]
    assert ends[-len(covers) :] == covers
    assert len(ends) == len(covers) + noted
    assert whole.end == history.commits[-1].at()


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_the_latest_and_at_a_time(history: History, noted: bool) -> None:
    storage = MemoryStorage()
    times = publish(history, storage, noted)
    assert sha(content(timeline(storage, Latest()).moment())) == history.commits[-1].sha
    for moment in sorted(set(times.values())):
        newest = [commit for commit in history.commits if times[commit.at()] <= moment][-1]
        found = timeline(storage, AtTime(moment))
        assert (found.end, sha(content(found.moment()))) == (newest.at(), newest.sha)

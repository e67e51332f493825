"""A verification for which there is no room says so, takes nothing of the disk, and says nothing of the replica."""

import threading
from pathlib import Path

import pytest

from replication import space, validation
from replication.space import Disk
from tests.replica.bench import Bench

LARGE, SMALL = Disk(10**9, 9 * 10**8), Disk(10**6, 10**5)


def test_promise_6_a_verification_without_room_is_inconclusive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    bench.replica()
    bench.commit(50_000)
    bench.settle()
    monkeypatch.setattr(Disk, "of", lambda folder: SMALL)
    monkeypatch.setattr(validation, "restore", lambda *_, **__: pytest.fail("it was begun"))
    found = bench.replica().verify(threading.Event())
    assert found.outcome == "inconclusive"
    assert "A verification needs" in found.words
    assert "of which 0.1 MB are left to the application" in found.words
    assert "TMPDIR" in found.words
    assert bench.reasons() == ["no generation exists"]


def test_a_folder_in_tmpdir_is_taken_where_it_has_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench.replica()
    bench.commit(50_000)
    bench.settle()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    monkeypatch.setattr(Disk, "of", lambda folder: LARGE if folder.is_relative_to(elsewhere) else SMALL)
    assert bench.replica().verify(threading.Event()).outcome == "ok"
    assert list(elsewhere.iterdir()) == []
    assert space.Disk.of(tmp_path) is SMALL

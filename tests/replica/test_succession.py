"""Holes that an earlier run left: numbers tell them in a few small reads, and what has none is measured."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from replication.position import Position
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import parse_segment, segment_name
from replication.storage.wal03.numbers import Number
from replication.storage.wal03.succession import READS_MAX, Succession
from tests.replica.bench import Bench

COMMITS_EACH = 6


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Three indexes of as many segments each, and a snapshot of the first."""
    bench.replica()
    for index in range(3):
        for _ in range(COMMITS_EACH):
            bench.commit()
            bench.settle()
        if index < 2:
            bench.database.checkpoint()
    return bench


def segments(bench: Bench) -> list[str]:
    """All of them that have content, in order."""
    client = bench.replica().client
    return [name for name in bench.storages["a"].names() if "/wal/" in name and any(client.read(name))]


def check(bench: Bench) -> None:
    bench.replica().enforce_retention(0.0, bench.clock.now)


def told(bench: Bench, message: str) -> list[str]:
    return [str(values) for _, said, values in bench.told if said == message]


def without_numbers(storage: MemoryStorage, names: list[str]) -> None:
    """As an earlier version or Litestream wrote them."""
    for name in names:
        data = b"".join(storage.get(name))
        opened = DEFAULT_CODEC.open(name, [data])
        note = {key: value for key, value in (opened.note or {}).items() if not key.startswith("nth")}
        storage.put(name, list(DEFAULT_CODEC.seal(opened, note)))


def gets_of(bench: Bench, what: Callable[[], object]) -> int:
    calls = bench.storages["a"].calls
    calls.clear()
    what()
    return calls["get"]


def test_promise_9_a_whole_history_costs_two_small_reads_once_after_a_start(bench: Bench) -> None:
    bench.restart()
    bench.settle()
    first = gets_of(bench, lambda: check(bench))
    # One of them is the note of the snapshot.
    assert first <= 3
    assert gets_of(bench, lambda: check(bench)) == 0
    assert bench.replica().standing.proven > 0


@pytest.mark.parametrize("which", range(1, 3 * COMMITS_EACH - 1))
def test_promise_9_a_hole_that_an_earlier_run_left_is_found_named_and_mended(bench: Bench, which: int) -> None:
    """Wherever it is; but for what is listed anyway, the newest segment and the first of an index."""
    names = segments(bench)
    bench.restart(lambda: bench.storages["a"].delete([names[which]]))
    bench.settle()
    check(bench)
    [words] = told(bench, "not restorable")
    assert names[which] in words
    bench.settle()
    assert bench.restored() == bench.app.sha256()
    # A hole in an index that is over is passed by with a snapshot; in the one in use only a generation helps.
    in_use = "/00000002_" in names[which]
    assert len(bench.reasons()) == 1 + in_use
    check(bench)
    assert bench.replica().standing.broken == ""
    # Told once.
    bench.commit()
    bench.settle()
    check(bench)
    assert len(told(bench, "not restorable")) == 1


def test_promise_9_all_holes_are_found(bench: Bench) -> None:
    """Else a snapshot would be taken for a mending, with another hole in its own index."""
    names = segments(bench)
    lost = [names[2], names[3], names[8], names[-3]]
    bench.restart(lambda: bench.storages["a"].delete(lost))
    bench.settle()
    check(bench)
    bench.settle()
    assert len(bench.reasons()) == 2
    assert bench.restored() == bench.app.sha256()


def test_promise_9_a_hole_below_the_newest_snapshot_is_told_and_needs_nothing(bench: Bench) -> None:
    names = segments(bench)
    bench.replica().snapshot()
    bench.restart(lambda: bench.storages["a"].delete([names[2]]))
    bench.settle()
    check(bench)
    assert told(bench, "not restorable") == []
    [words] = told(bench, "objects were removed by somebody else")
    assert names[2] in words
    assert len(bench.reasons()) == 1
    assert bench.replica().standing.proven > 0


@pytest.mark.parametrize("numbered", ["none", "the later ones", "the earlier ones"])
@pytest.mark.parametrize("which", [1, 4, COMMITS_EACH - 1, COMMITS_EACH + 2, 2 * COMMITS_EACH + 1])
def test_promise_9_what_has_no_numbers_is_measured(bench: Bench, numbered: str, which: int) -> None:
    """Of Litestream, or of an earlier version of this program; so many requests a check, and the rest at the next."""
    names = segments(bench)
    half = len(names) // 2
    bare = {"none": names, "the later ones": names[:half], "the earlier ones": names[half:]}[numbered]
    storage = bench.storages["a"]

    def meanwhile() -> None:
        without_numbers(storage, bare)
        storage.delete([names[which]])

    bench.restart(meanwhile)
    bench.settle()
    checks = 0
    while not told(bench, "not restorable") and checks < 10:
        cost = gets_of(bench, lambda: check(bench))
        # With the mending another look comes, and what a snapshot asks.
        assert cost <= READS_MAX + 2 or told(bench, "not restorable")
        checks += 1
    [words] = told(bench, "not restorable")
    assert names[which] in words
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_counting_goes_on_after_a_start_and_begins_anew_after_what_has_no_number(bench: Bench) -> None:
    client = bench.replica().client

    def number(name: str) -> Number | None:
        note = client.segment_note(name)
        return replace(note.number, run="") if note is not None and note.number is not None else None

    wal = [name for name in bench.storages["a"].names() if "/wal/" in name]
    assert [number(name) for name in wal] == [Number(nth) for nth in range(len(wal))]
    bench.restart()
    bench.commit()
    bench.settle()
    newest = segments(bench)[-1]
    assert number(newest) == Number(len(wal))
    bench.restart(lambda: without_numbers(bench.storages["a"], [newest]))
    bench.commit()
    bench.settle()
    newest = segments(bench)[-1]
    assert number(newest) == Number(0, parse_segment(newest.rpartition("/")[2]))
    bench.commit()
    bench.settle()
    assert number(segments(bench)[-1]) == Number(1, parse_segment(newest.rpartition("/")[2]))
    bench.restart()
    bench.settle()
    check(bench)
    assert told(bench, "not restorable") == []


def test_promise_9_what_retention_removed_is_no_hole(bench: Bench) -> None:
    """Also where it was ended between two requests: snapshots go first, then WAL from its end."""
    bench.replica().snapshot()
    bench.commit()
    bench.settle()
    storage = bench.storages["a"]
    below = [name for name in storage.names() if not name.rpartition("/")[2].startswith("00000002")]
    snapshots = [name for name in below if "/snapshots/" in name]
    wal = [name for name in below if "/wal/" in name][::-1]
    for some in (snapshots, wal[:5], wal[5:]):
        bench.restart(lambda some=some: storage.delete(some))  # type: ignore[misc]
        bench.settle()
        check(bench)
        assert told(bench, "not restorable") == []
        assert told(bench, "objects were removed by somebody else") == []


def test_promise_9_an_end_mark_that_is_lost_loses_nothing(bench: Bench) -> None:
    client = bench.replica().client
    marks = [name for name in bench.storages["a"].names() if "/wal/" in name and not any(client.read(name))]
    bench.restart(lambda: bench.storages["a"].delete(marks))
    bench.settle()
    check(bench)
    assert told(bench, "not restorable") == []


def test_a_look_that_is_spent_goes_on_with_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little one of them may ask."""
    monkeypatch.setattr("replication.storage.wal03.succession.READS_MAX", 2)
    names = segments(bench)
    lost = [names[2], names[9], names[10], names[-3]]
    bench.storages["a"].delete(lost)
    keeping = bench.replica()._keeping
    succession = Succession(bench.replica().client)
    generation = names[0].split("/")[1]
    found: list[Position] = []
    for _ in range(60):
        [held] = keeping.look(generation)
        found += succession.look(generation, held.snapshots, held.segments)
    assert sorted(segment_name(position) for position in found) == [names[2], names[9], names[-3]]

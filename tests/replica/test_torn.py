"""Promise 9: what is listed and cannot be read is not there. A listing tells sizes, and objects are written once."""

from collections.abc import Callable

import pytest

from tests.replica.bench import Bench

TEARS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda stored: b"",
    "half": lambda stored: stored[: len(stored) // 2],
    "longer": lambda stored: stored + b"x",
}


@pytest.fixture
def settled(bench: Bench) -> Bench:
    """Two indexes, each with a few segments; one snapshot."""
    bench.replica()
    for number in range(4):
        bench.commit()
        bench.settle()
        if number == 1:
            bench.database.checkpoint()
    check(bench)
    return bench


def check(bench: Bench, retention_seconds: float = 0.0) -> None:
    bench.replica().enforce_retention(retention_seconds, bench.clock.now)


def contents(bench: Bench) -> list[str]:
    """The segments, without end marks."""
    client = bench.replica().client
    return [name for name in bench.storages["a"].names() if "/wal/" in name and b"".join(client.read(name))]


def tear(bench: Bench, name: str, how: str) -> None:
    storage = bench.storages["a"]
    modified = next(item.modified for item in storage.list("") if item.name == name)
    storage.replace(name, TEARS[how](storage.read(name)), modified)


def words(bench: Bench) -> list[str]:
    return [message for _, message, _ in bench.told]


@pytest.mark.parametrize("how", TEARS)
@pytest.mark.parametrize("which", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("looked", [True, False], ids=["listed before", "only stored"])
def test_promise_9_what_is_torn_is_found_by_its_size_and_mended(
    settled: Bench, how: str, which: int, looked: bool
) -> None:
    """A mount that went away in the middle leaves empty files, and shorter ones."""
    names = [*contents(settled), *(name for name in settled.storages["a"].names() if "/snapshots/" in name)]
    if looked:
        check(settled)
    tear(settled, names[which], how)
    check(settled)
    [reason] = [str(values["reason"]) for _, message, values in settled.told if message == "not restorable"]
    assert "lost its snapshots" in reason if which == -1 else names[which] in reason
    settled.commit()
    settled.settle()
    assert settled.restored() == settled.app.sha256()
    told = len(settled.told)
    check(settled)
    assert settled.replica().standing.broken == ""
    assert "not restorable" not in [message for _, message, _ in settled.told[told:]], "it is told once"


def test_promise_9_what_an_earlier_run_left_empty_is_found(settled: Bench) -> None:
    name = contents(settled)[1]
    settled.restart()
    tear(settled, name, "empty")
    settled.commit()
    settled.settle()
    check(settled)
    assert "not restorable" in words(settled)
    settled.settle()
    assert settled.restored() == settled.app.sha256()


@pytest.mark.parametrize("how", TEARS)
def test_promise_9_a_snapshot_that_was_torn_while_the_program_was_away_is_found(settled: Bench, how: str) -> None:
    [name] = [name for name in settled.storages["a"].names() if "/snapshots/" in name]
    settled.restart(lambda: tear(settled, name, how))
    settled.commit()
    settled.settle()
    check(settled)
    assert "not restorable" in words(settled) or len(settled.reasons()) == 2
    settled.settle()
    assert settled.restored() == settled.app.sha256()


def test_promise_9_retention_keeps_what_a_torn_snapshot_cannot_stand_for(settled: Bench) -> None:
    """The older snapshot with all WAL since is what the window has then."""
    storage = settled.storages["a"]
    settled.database.checkpoint()
    settled.commit()
    settled.settle()
    settled.replica().snapshot()
    check(settled)
    first, second = [name for name in storage.names() if "/snapshots/" in name]
    tear(settled, second, "half")
    settled.commit()
    settled.settle()
    settled.clock.now = settled.clock.now.replace(year=2025)
    settled.commit()
    settled.settle()
    check(settled, 3600.0)
    assert first in storage.names()
    settled.check()


def test_an_object_of_another_size_that_can_be_read_is_no_loss(settled: Bench) -> None:
    """Written by who compresses otherwise; it is read once."""
    client = settled.replica().client
    info = next(item for item in client.segments(settled.database.generations[-1]) if item.name == contents(settled)[0])
    client.write_segment(info.position, [b"".join(client.read(info.name))])
    check(settled)
    gets = settled.storages["a"].calls["get"]
    check(settled)
    assert settled.storages["a"].calls["get"] - gets <= 2
    assert "not restorable" not in words(settled)
    settled.check()

"""Promise 3 and 8: that somebody went on with an older generation is told by places, where neither an end mark is left
nor a clock tells it. A restore then chooses nothing by itself.
"""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from replication.errors import CorruptObjectError, NoRestorePointError
from replication.local.generation_info import GenerationInfo
from replication.position import OFFSET_LIMIT_BYTES, Position
from replication.replica.wal03.lineage import LEFT_MAX, lineage
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.restore import restore
from replication.restore.target import Latest
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.container import NOTE_SIZE_MAX, encode_note
from replication.storage.wal03.names import snapshot_name
from replication.storage.wal03.notes import PAGES_MAX, REACHED_MAX, SnapshotNote
from replication.storage.writer import Writer
from tests.replica.bench import Bench
from tests.replica.test_one_writer import go
from tests.restore.history import note_of

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.close()


def begun_with_a_copy(bench: Bench, benches: list[Bench]) -> Bench:
    """Two commits are in the replica, and the volume is copied."""
    bench.replica()
    go(bench, "cc")
    clone = bench.clone(False)
    benches.append(clone)
    return clone


def remove_all(bench: Bench, part: str = "") -> None:
    """Somebody removes what is in the place, or what has a part in its name."""
    bench.storages["a"].delete([item.name for item in bench.storages["a"].list("") if part in item.name])


def restored_from_both(bench: Bench) -> str:
    output = bench.folder / "both.db"
    output.unlink(missing_ok=True)
    sources = [OpenReplica(name, bench.storages[name]) for name in ("a", "b")]
    restore(sources, output, RestoreOptions(target=Latest(), integrity_check="none"))
    return hashlib.sha256(output.read_bytes()).hexdigest()


def refuses(bench: Bench) -> None:
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        bench.restored()


@pytest.mark.parametrize("after", [True, False], ids=["goes on after", "went on before"])
@pytest.mark.parametrize("later", ["", "again"], ids=["once", "begun again"])
def test_promise_3_a_generation_that_was_left_at_an_end_mark_and_goes_on_past_it_is_not_called_older(
    bench: Bench, benches: list[Bench], later: str, after: bool
) -> None:
    """The place was emptied between, so that who goes on never meets the mark; its newest commit is the newest."""
    clone = begun_with_a_copy(bench, benches)
    go(bench, "ckc")
    remove_all(bench)
    clone.settle()
    go(bench, "kc")
    clone.database.request_generation("asked for")
    clone.settle()
    if later:
        clone.database.request_generation("asked for")
        clone.settle()
    if after:
        go(bench, "kc")
        bench.replica().enforce_retention(0, NOW)
        bench.settle()
        assert "holds the end of an index that goes on here" in bench.reasons()[-1], "what took our names is compared"
        assert bench.restored() == bench.app.sha256(), "as long as nobody goes on with the other it is the newer"
        go(clone, "c")
    assert len(bench.reasons()) == 1 + after
    refuses(bench)
    assert clone.restored("a", clone.database.position) == clone.app.sha256()


@pytest.mark.parametrize("right", [True, False], ids=["clock is right", "clock was ahead"])
def test_promise_3_of_two_that_call_each_other_older_none_is_chosen_against_what_is_there(
    bench: Bench, benches: list[Bench], right: bool
) -> None:
    """The place was emptied, and who begins there does not find what it names; the other one then finds it."""
    clone = begun_with_a_copy(bench, benches)
    go(bench, "ckc")
    remove_all(bench)
    now = bench.clock.now
    bench.clock.now += timedelta(hours=0 if right else 1)
    clone.database.request_generation("asked for")
    clone.settle()
    bench.clock.now = bench.clock.now if right else now
    go(bench, "kc")
    bench.replica().enforce_retention(0, NOW)
    if right:
        assert bench.restored() == bench.app.sha256()
    else:
        refuses(bench)


def test_promise_3_what_another_adds_to_its_generation_later_is_seen_whatever_the_clock_of_the_store_says(
    bench: Bench, benches: list[Bench]
) -> None:
    """Each has begun a generation of its own, and the clock was ahead while the second one began."""
    clone = begun_with_a_copy(bench, benches)
    bench.database.request_generation("asked for")
    go(bench, "c")
    right = bench.clock.now
    bench.clock.now += timedelta(hours=1)
    clone.database.request_generation("asked for")
    go(clone, "c")
    assert bench.restored() == clone.app.sha256(), "as long as nobody goes on with the other it is the newer"
    bench.clock.now = right
    go(bench, "c")
    refuses(bench)
    for one in (bench, clone):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_promise_3_what_another_adds_behind_snapshots_that_were_removed_is_seen(
    bench: Bench, benches: list[Bench]
) -> None:
    """The program of the copy began anew for want of a snapshot, and had met nobody."""
    clone = begun_with_a_copy(bench, benches)
    go(bench, "c")
    right = bench.clock.now
    remove_all(bench, "/snapshots/")
    bench.clock.now += timedelta(hours=1)
    go(clone, "c")
    assert "has WAL but no snapshot" in clone.reasons()[-1]
    assert bench.restored() == clone.app.sha256(), "as long as nobody goes on with the other it is the newer"
    bench.clock.now = right
    go(bench, "c")
    refuses(bench)


def test_promise_3_what_one_replica_lacked_says_nothing_of_another(bench: Bench) -> None:
    """One program, two replicas: one was behind and lost its snapshot, the other had more of the old generation."""
    bench.replica("a")
    bench.replica("b")
    go(bench, "c")
    behind, bench.replicas = bench.replicas["a"], {"b": bench.replicas["b"]}
    go(bench, "ckc")
    remove_all(bench, "/snapshots/")
    bench.replicas = {"a": behind}
    behind.let_go()
    go(bench, "c")
    assert "has WAL but no snapshot" in bench.reasons()[-1]
    assert restored_from_both(bench) == bench.app.sha256()


def test_promise_3_a_database_that_was_set_back_is_the_newer_though_one_replica_had_more_of_it(
    bench: Bench, benches: list[Bench]
) -> None:
    """As by a loss of power. Where the other replica was left is behind what this one had, and nobody went on since."""
    bench.replica("a")
    bench.replica("b")
    go(bench, "c")
    set_back = bench.clone(False)
    benches.append(set_back)
    bench.replicas = {"b": bench.replicas["b"]}
    go(bench, "ckc")
    bench.database.close()
    go(set_back, "c")
    assert set_back.reasons()[-1].startswith("replica b ")
    assert restored_from_both(set_back) == set_back.app.sha256()


def test_promise_3_of_two_that_each_came_after_the_other_in_another_replica_none_is_chosen_by_a_clock(
    bench: Bench, benches: list[Bench]
) -> None:
    """Both lost their local folder. The second place's clock is set back between the two."""
    for name in ("a", "b"):
        bench.replica(name)
    go(bench, "c")
    other = bench.clone(False)
    benches.append(other)
    for one in (bench, other):
        one.restart(lambda one=one: shutil.rmtree(one.folder / "meta"))  # type: ignore[misc]
        one.commit()
        one.database.sync()
    for name, first, second in (("a", bench, other), ("b", other, bench)):
        first.replica(name).sync()
        bench.clock.now -= timedelta(hours=1 if name == "b" else 0)
        second.replica(name).sync()
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        restored_from_both(bench)


@pytest.mark.parametrize("further", [True, False], ids=["the copy is further", "the copy is behind"])
def test_promise_9_what_a_copy_put_in_the_place_of_ours_is_not_taken_for_ours(
    bench: Bench, benches: list[Bench], further: bool
) -> None:
    """The place was emptied, and the copy began the generation there again, under the very names that we expect."""
    bench.database.sync()
    copy = bench.clone(False)
    benches.append(copy)
    copy.storages, copy.replicas = bench.storages, {}
    bench.replica()
    for one in (bench, copy) if further else (bench, bench):
        one.commit()
    bench.settle()
    bench.replica().enforce_retention(0, NOW)
    assert bench.replica().standing.proven
    remove_all(bench)
    for _ in range(2 if further else 0):
        copy.commit()
    copy.replica()
    copy.settle()
    bench.replica().enforce_retention(0, NOW)
    bench.settle()
    assert len(bench.reasons()) == 1 + further, "what is missing is only sent again"
    for one in (bench, copy):
        assert one.restored("a", one.database.position) == one.app.sha256()


@pytest.mark.parametrize("shorter", [True, False], ids=["shorter than ours", "longer than ours"])
def test_promise_9_what_a_copy_put_below_what_we_sent_since_is_not_taken_for_ours(
    bench: Bench, benches: list[Bench], shorter: bool
) -> None:
    """An object of ours vanished, the copy took its name, and we went on behind it before we looked."""
    copy = begun_with_a_copy(bench, benches)
    bench.commit(2000 if shorter else 100)
    bench.settle()
    bench.replica().enforce_retention(0, NOW)
    lost = max(item.name for item in bench.storages["a"].list("") if "/wal/" in item.name)
    remove_all(bench, lost)
    copy.commit(100 if shorter else 2000)
    copy.settle()
    assert lost in {item.name for item in bench.storages["a"].list("")}
    go(bench, "c")
    bench.replica().enforce_retention(0, NOW)
    bench.settle()
    assert "other WAL" in bench.reasons()[-1]
    bench.replica().enforce_retention(0, NOW)
    assert bench.replica().standing.proven
    for one in (bench, copy):
        assert one.restored("a", one.database.position) == one.app.sha256()


@pytest.mark.parametrize("goes_on", [False, True], ids=["and no more", "and goes on there"])
def test_promise_9_what_a_copy_put_in_the_place_of_more_of_ours_is_not_taken_for_all_of_it(
    bench: Bench, benches: list[Bench], goes_on: bool
) -> None:
    """The copy sends under a name of ours what both had, and it is not as long as what we had sent."""

    def lose_the_last() -> None:
        remove_all(bench, max(item.name for item in bench.storages["a"].list("") if "/wal/" in item.name))

    copy = begun_with_a_copy(bench, benches)
    lose_the_last()
    bench.restart()
    go(bench, "c")
    bench.replica().enforce_retention(0, NOW)
    lose_the_last()
    copy.restart()
    copy.settle()
    if goes_on:
        go(copy, "c")
    go(bench, "kc")
    bench.replica().enforce_retention(0, NOW)
    bench.settle()
    bench.replica().enforce_retention(0, NOW)
    assert bench.replica().standing.proven
    assert not bench.replica().standing.broken
    for one in (bench, copy) if goes_on else (bench,):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_promise_3_of_a_place_at_which_two_have_wal_no_commit_is_given(bench: Bench, benches: list[Bench]) -> None:
    """The copy's object reaches past where ours begins, and ours past where the copy's commit ends."""
    copy = begun_with_a_copy(bench, benches)
    go(bench, "c")
    remove_all(bench, max(item.name for item in bench.storages["a"].list("") if "/wal/" in item.name))
    copy.commit(3000)
    copy.settle()
    bench.commit(9000)
    bench.settle()
    with pytest.raises(CorruptObjectError, match="two programs may have written"):
        copy.restored("a", copy.database.position)


@pytest.mark.parametrize("again", [False, True], ids=["once", "begun again"])
def test_promise_3_who_goes_on_in_another_replica_alone_is_not_called_older(
    bench: Bench, benches: list[Bench], again: bool
) -> None:
    """The copy has parted in a place in which the generation of both never was: only its local folder knows its end."""
    bench.replica("b")
    bench.commit()
    bench.settle()
    copy = bench.clone(False)
    benches.append(copy)
    copy.storages, copy.replicas = bench.storages, {}
    copy.database.request_generation("asked for")
    copy.replica("a")
    copy.settle()
    if again:
        remove_all(bench)
        copy.database.request_generation("asked for")
        copy.database.sync()
        copy.replicas["a"].let_go()
        copy.settle()
    assert restored_from_both(bench) == bench.app.sha256(), "as long as nobody goes on with the other it is the newer"
    bench.commit()
    bench.settle()
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        restored_from_both(bench)


def test_promise_3_generations_of_one_program_are_simply_newer(bench: Bench) -> None:
    """Whatever it began them for, and at whatever place of an index."""
    bench.replica()
    for steps in ("c", "kc", "k", "ccs", "ckskc"):
        go(bench, steps)
        bench.database.request_generation("asked for")
        bench.settle()
        assert bench.restored() == bench.app.sha256()
    bench.restart()
    go(bench, "c")
    assert bench.restored() == bench.app.sha256()


@pytest.mark.parametrize("others", [0, 9], ids=["alone", "with generations of before"])
def test_promise_3_a_host_that_was_replaced_and_goes_on_is_not_called_older(
    bench: Bench, benches: list[Bench], others: int
) -> None:
    """The new host has the database and no local folder, so that it knows of the old one by the place alone."""
    for _ in range(others):
        bench.replica()
        go(bench, "c")
        bench.restart(lambda: shutil.rmtree(bench.folder / "meta"))
    new = begun_with_a_copy(bench, benches)
    new.restart(lambda: shutil.rmtree(new.folder / "meta"))
    go(new, "cc")
    assert new.restored() == new.app.sha256(), "as long as nobody goes on with the other one it is the newer"
    go(bench, "c")
    refuses(bench)
    # Also by what a later snapshot says, once the first one is gone.
    go(new, "kcs")
    remove_all(bench, f"/{new.database.generations[-1]}/snapshots/00000000")
    refuses(bench)
    for one in (bench, new):
        assert one.restored("a", one.database.position) == one.app.sha256()


@pytest.mark.parametrize("further", [True, False], ids=["with more", "as it was"])
@pytest.mark.parametrize("vanished", [1, 2], ids=["one object", "two objects in one"])
def test_promise_3_more_under_the_name_of_an_object_that_was_seen_is_told_from_the_same_again(
    bench: Bench, benches: list[Bench], vanished: int, further: bool
) -> None:
    """The other one's last objects vanish after we began: it sends as one what was in them, and what came since."""
    new = begun_with_a_copy(bench, benches)
    go(bench, "c")
    new.restart(lambda: shutil.rmtree(new.folder / "meta"))
    go(new, "c")
    theirs = [item.name for item in bench.storages["a"].list("") if bench.database.generations[-1] in item.name]
    for name in [name for name in theirs if "/wal/" in name][-vanished:]:
        remove_all(bench, name)
    bench.restart()
    if further:
        bench.commit()
    bench.settle()
    assert len(bench.reasons()) == 1, "what is missing is only sent again"
    assert bench.restored("a", bench.database.position) == bench.app.sha256()
    if further:
        refuses(bench)
    else:
        assert new.restored() == new.app.sha256()


@pytest.mark.parametrize("known", [True, False], ids=["left by its program", "seen by a host without its folder"])
def test_promise_3_one_object_in_the_place_of_an_end_mark_that_was_removed_is_seen(
    bench: Bench, benches: list[Bench], known: bool
) -> None:
    """The copy stood just where the generation was left, and would have met the mark."""
    copy = begun_with_a_copy(bench, benches)
    bench.database.request_generation("asked for")
    bench.settle()
    if not known:
        remove_all(bench, f"/{bench.database.generations[-1]}/")
        bench.restart(lambda: shutil.rmtree(bench.folder / "meta"))
        go(bench, "c")
    assert bench.restored() == bench.app.sha256()
    [shared] = {item.name.split("/")[1] for item in bench.storages["a"].list("")} - {*bench.database.generations[-1:]}
    mark = max(item.name for item in bench.storages["a"].list("") if f"/{shared}/wal/" in item.name)
    remove_all(bench, mark)
    assert bench.restored() == bench.app.sha256(), "as long as nobody goes on with the other one it is the newer"
    go(copy, "c")
    assert mark in {item.name for item in bench.storages["a"].list("")}
    refuses(bench)
    for one in (bench, copy):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_promise_3_a_copy_goes_on_beside_many_generations_of_ours(bench: Bench, benches: list[Bench]) -> None:
    """A note has room for so many places; those where another was seen to go on come before those that we left."""
    copy = begun_with_a_copy(bench, benches)
    copy.database.request_generation("asked for")
    go(copy, "c")
    for _ in range(10):
        bench.database.request_generation("asked for")
        go(bench, "c")
    assert bench.restored() == bench.app.sha256(), "as long as nobody goes on with the other one it is the newer"
    copy.clock.now -= timedelta(hours=1)
    go(copy, "c")
    refuses(bench)
    for one in (bench, copy):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_promise_3_of_many_that_are_there_it_is_noted_of_the_newest_how_far_they_had_come(bench: Bench) -> None:
    """A note has no room for all, and who is alive was there last; their names say nothing of that."""
    bench.replica()
    go(bench, "c")
    names = [f"{number:016x}" for number in range(2 * REACHED_MAX)]
    for name in names:
        note = note_of(Position(name, 0, 0), 1, 1024)
        bench.storages["a"].put(snapshot_name(name, 0), DEFAULT_CODEC.seal([b"a database"], note))
    info = GenerationInfo("f" * 16, bench.database.generations[-1], "asked for", "", ())
    found = lineage(bench.replica().client, info, None, ())
    assert {*names[-REACHED_MAX + 1 :]} <= {place.generation for place in found.reached}


def test_promise_6_the_longest_line_of_generations_fits_into_a_note(bench: Bench) -> None:
    """Else no snapshot could be stored any more, however often it is tried."""
    bench.replica()
    go(bench, "c")
    names = tuple(f"{number:016x}" for number in range(65))
    info = GenerationInfo("f" * 16, names[0], "x" * 400, "", names[1:])
    found = lineage(bench.replica().client, info, Position(names[0], 7, 4152), names)
    note = SnapshotNote(
        position=Position("f" * 16, 0x7FFFFFFF, 0),
        pages=PAGES_MAX,
        page_size=65536,
        mode=0o777,
        time=NOW,
        reason=info.reason,
        previous=found.previous,
        earlier=found.earlier,
        beside=found.beside,
        begins=True,
        problems=("x" * 200,) * 3,
        lefts=(Position(names[0], 0x7FFFFFFF, OFFSET_LIMIT_BYTES),) * LEFT_MAX,
        reached=(Position(names[0], 0x7FFFFFFF, OFFSET_LIMIT_BYTES),) * REACHED_MAX,
        frame="a" * 32,
        writer=Writer("h" * 64, 4_194_304, "2026-01-01T00:00:00Z"),
    )
    assert found.beside[:2] == names[:2], "the newest are kept"
    assert len(encode_note(note.fields())) <= NOTE_SIZE_MAX

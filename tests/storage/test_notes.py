"""What objects say of themselves: written and read by one type each, and believed only where it makes sense."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from replication.position import Position
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.container import NOTE_SIZE_MAX, encode_note
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name, snapshot_name
from replication.storage.wal03.notes import (
    SEEN_MAX,
    SegmentNote,
    SnapshotNote,
    Unbelieved,
    read_segment_note,
    read_snapshot_note,
    thinned,
)
from replication.storage.wal03.numbers import Number
from replication.storage.wal03.replica_client import ReplicaClient
from replication.storage.writer import Writer

GENERATION, OTHER = "00112233445566aa", "ffeeddccbbaa9988"
WRITER = Writer("h" * 64, 4194304, "2026-01-01T00:00:00Z")
FULL_SEGMENT = SegmentNote(
    writer=WRITER,
    number=Number(10**6, (0x7FFFFFFF, 4294967295), "0123abcd"),
    position=Position(GENERATION, 0x7FFFFFFF, 0),
    previous=Position(GENERATION, 0x7FFFFFFE, 4294967295),
    frame="ab" * 16,
    left=GENERATION,
    anew="cd" * 8,
    seen=((4152, 1200), (8272, 3)),
)
FULL_SNAPSHOT = SnapshotNote(
    position=Position(GENERATION, 3, 32 + 4120),
    pages=5,
    page_size=4096,
    mode=0o640,
    time=datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC),
    reason="the wal was removed",
    previous=OTHER,
    earlier=(OTHER,) * 16,
    beside=(OTHER,) * 8,
    begins=True,
    problems=("row 1 missing from index i", "row 2 missing from index i"),
    lefts=(Position(OTHER, 1, 0),) * 8,
    reached=(Position(OTHER, 1, 1),) * 8,
    frame="ab" * 16,
    writer=WRITER,
)
BARE_SNAPSHOT = SnapshotNote(Position(GENERATION, 3, 0), 1, 512, None, None, "", "")


@pytest.mark.parametrize("note", [FULL_SEGMENT, SegmentNote(), SegmentNote(writer=WRITER, number=Number())])
def test_a_segment_note_reads_as_it_was_written(note: SegmentNote) -> None:
    assert read_segment_note(note.fields()) == note


@pytest.mark.parametrize("note", [FULL_SNAPSHOT, BARE_SNAPSHOT])
def test_a_snapshot_note_reads_as_it_was_written(note: SnapshotNote) -> None:
    assert read_snapshot_note(snapshot_name(GENERATION, 3), note.fields()) == note


def test_what_was_seen_is_thinned_so_that_commits_count_as_later_ones() -> None:
    for count in (0, 1, SEEN_MAX, SEEN_MAX + 1, 1000):
        seen = [(32 + number, 5 * (count - number)) for number in range(count)]
        found = thinned(seen)
        assert len(found) <= SEEN_MAX
        assert found[-1:] == tuple(seen[-1:])
        assert set(found) <= set(seen)
        assert len(found) > SEEN_MAX // 2 or found == tuple(seen)
        assert read_segment_note(SegmentNote(seen=found).fields()) == SegmentNote(seen=found)


@pytest.mark.parametrize(
    "text", ["1:2 x", "5:1 5:1", "9:1 8:1", "1:-1", "0:0", "1:99999999999999", "1" * 11 + ":1", "٣:1"]
)
def test_promise_7_what_was_seen_makes_sense_or_is_nothing(text: str) -> None:
    assert read_segment_note({"v": 1, "seen": text}) == SegmentNote()
    assert read_segment_note({"v": 1, "seen": " ".join(f"{n}:1" for n in range(1, SEEN_MAX + 2))}) == SegmentNote()


def test_later_fields_have_room_and_are_passed_over() -> None:
    assert len(encode_note(FULL_SEGMENT.fields())) <= 450
    many = tuple((4294967000 + number, 10**12 + number) for number in range(SEEN_MAX))
    assert len(encode_note(replace(FULL_SEGMENT, seen=many).fields())) <= 1300
    more: dict[str, str | int] = {"later": "x" * 3500, "other": 7}
    segment = {**FULL_SEGMENT.fields(), **more}
    assert len(encode_note(segment)) <= NOTE_SIZE_MAX
    assert read_segment_note(segment) == FULL_SEGMENT
    assert read_snapshot_note(snapshot_name(GENERATION, 3), {**FULL_SNAPSHOT.fields(), **more}) == FULL_SNAPSHOT


def test_promise_7_what_is_not_believed_is_said_once_and_used_for_nothing() -> None:
    storage, told = MemoryStorage(), list[str]()
    client = ReplicaClient(storage, told.append)
    place = Position(GENERATION, 3, 0)
    for name in (snapshot_name(GENERATION, 3), snapshot_name(OTHER, 3), segment_name(place)):
        storage.put(name, DEFAULT_CODEC.seal([b"x"], {**SegmentNote().fields(), "v": 2}))
    for _ in range(2):
        assert client.snapshot_note(snapshot_name(GENERATION, 3)) is None
        assert client.snapshot_note(snapshot_name(OTHER, 3)) is None
        assert client.segment_note(segment_name(place)) is None
    [line] = told
    assert "is not used: its version is 2, and this program knows 1" in line


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"v": 2}, "version"),
        ({"position": "somewhere"}, "which commit"),
        ({"pages": 0}, "size"),
        ({"page_size": 4095}, "size"),
        ({"position": f"{GENERATION}/00000003:4153"}, "no frame ends"),
    ],
)
def test_promise_7_why_a_snapshot_note_is_not_believed(wrong: dict[str, str | int], why: str) -> None:
    found = read_snapshot_note(snapshot_name(GENERATION, 3), {**FULL_SNAPSHOT.fields(), **wrong})
    assert isinstance(found, Unbelieved)
    assert why in found.why

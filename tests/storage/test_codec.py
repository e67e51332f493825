"""Every codec, those of the program and one that moves every byte: what is sealed is what is opened, and all of it goes
through the codec of its replica.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.wal03 import fetch
from replication.storage.codec import Codec, Plain, content_checksum
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name, snapshot_name
from replication.storage.wal03.notes import SegmentNote, SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient
from tests.restore.history import GENERATION, publish, write_history

KEY = bytes(byte ^ 0xA5 for byte in range(256))
HEADER = b"a header, as of encryption, that is longer than nothing\n"
CONTENTS = [b"", b"x", b"page" * 1000, bytes(300_000), hashlib.shake_128(b"random").digest(3 << 20)]


class Moved(Codec):
    """No stored byte is where, or what, it was: as encryption, and like it an object must be read from its start."""

    name = "moved"

    def cover(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield HEADER
        for chunk in chunks:
            yield chunk.translate(KEY)

    def uncover(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= len(HEADER):
                break
        if not head.startswith(HEADER):
            raise CorruptObjectError(name, "its header is not ours")
        yield head[len(HEADER) :].translate(KEY)
        for chunk in chunks:
            yield chunk.translate(KEY)


@pytest.fixture(params=[Plain(), Moved()], ids=lambda codec: str(codec.name))
def codec(request: pytest.FixtureRequest) -> Codec:
    found: Codec = request.param
    return found


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("content", CONTENTS, ids=len)
@pytest.mark.parametrize("note", [None, {"v": 1, "text": "x" * 3000}], ids=["bare", "noted"])
@pytest.mark.parametrize("size", [7, 5000, 1 << 22])
def test_what_is_sealed_is_opened(codec: Codec, content: bytes, note: dict[str, str | int] | None, size: int) -> None:
    if size < 100 and len(content) > 10_000:
        content = content[:10_000]
    sums: list[str] = []
    stored = b"".join(codec.seal(pieces(content, 70_000), note, sums.append))
    assert sums == [content_checksum(pieces(content, 70_000))]
    assert b"".join(codec.open("name", pieces(stored, size))) == content
    assert codec.open("name", pieces(stored, size)).note == note
    opener = codec.opener()
    for _ in range(2):
        opened = opener.open("name", pieces(stored, size))
        assert b"".join(opened) == content
        assert opened.note == note
    storage = MemoryStorage()
    storage.put("name", [stored])
    assert codec.read_note("name", partial(storage.get, "name")) == note


def test_what_is_cut_off_or_followed_by_more_is_damage(codec: Codec) -> None:
    stored = b"".join(codec.seal([b"page" * 1000], {"v": 1}))
    for wrong in (b"", stored[:-1], stored[:60], stored[:20], stored + b"\0"):
        for open_ in (codec.open, codec.opener().open):
            with pytest.raises(CorruptObjectError):
                list(open_("name", [wrong]))


def test_promise_7_a_damaged_note_is_damage(codec: Codec) -> None:
    storage = MemoryStorage()
    stored = bytearray(b"".join(codec.seal([b"page"], {"v": 1, "text": "x" * 100})))
    stored[stored.index(b"x".translate(KEY) if codec.name == "moved" else b"x" * 9, len(HEADER))] ^= 1
    storage.put("name", [bytes(stored)])
    with pytest.raises(CorruptObjectError, match="note"):
        codec.read_note("name", partial(storage.get, "name"))


def test_plain_asks_for_no_more_than_a_note_may_take() -> None:
    storage = MemoryStorage()
    storage.put("name", Plain().seal([CONTENTS[-1]], {"v": 1}))
    asked: list[tuple[int, int | None]] = []

    def read(offset: int, length: int | None) -> Iterator[bytes]:
        asked.append((offset, length))
        return storage.get("name", offset, length)

    assert Plain().read_note("name", read) == {"v": 1}
    assert asked == [(0, 4096)]


def test_a_client_seals_and_opens_with_its_codec_alone(codec: Codec) -> None:
    storage = MemoryStorage()
    client = ReplicaClient(storage, codec=codec)
    position = Position(GENERATION, 1, 4152)
    snapshot = SnapshotNote(position, 2, 4096, 0o640, None, "why", "", frame="")
    client.write_snapshot(GENERATION, 1, [b"snapshot"], snapshot)
    client.write_segment(position, [b"segment"], SegmentNote(left="x"))
    names = (snapshot_name(GENERATION, 1), segment_name(position))
    assert [b"".join(client.read(name)) for name in names] == [b"snapshot", b"segment"]
    assert client.read_head(names[0], 4) == b"snap"
    assert client.snapshot_note(names[0]) == snapshot
    assert client.segment_note(names[1]) == SegmentNote(left="x")
    other = ReplicaClient(storage, codec=Moved() if codec.name == "lz4" else Plain())
    for name in names:
        with pytest.raises(CorruptObjectError):
            list(other.read(name))


def test_a_restore_goes_through_the_codec(codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that the snapshot is fetched in several parts.
    monkeypatch.setattr(fetch, "PART_BYTES", 300)
    rows = "INSERT INTO t SELECT value, randomblob(300) FROM json_each('[1,2,3]');"
    (tmp_path / "history").mkdir()
    history = write_history(tmp_path / "history", 512, [["CREATE TABLE t(a, b);", rows, rows], [rows, rows]])
    plain, moved = MemoryStorage(), MemoryStorage()
    publish(history, plain, True)
    for name in plain.names():
        opened = DEFAULT_CODEC.open(name, [plain.read(name)])
        moved.put(name, codec.seal(opened, opened.note))
    source = OpenReplica("moved", moved, codec=codec)
    restore([source], tmp_path / "out.db", RestoreOptions())
    assert hashlib.sha256((tmp_path / "out.db").read_bytes()).hexdigest() == history.commits[-1].sha

"""Parts of an object by the table of its blocks: brought along by our snapshots, made of any other as it streams by."""

import hashlib
from collections.abc import Iterator
from functools import partial

import lz4.frame
import numpy as np
import pytest

from replication.errors import CorruptObjectError
from replication.storage.blocks import BLOCKS_MAX, BlockTable, TableBuilder, decode
from replication.storage.codec import Codec, Plain
from replication.storage.memory import MemoryStorage
from tests.storage.test_codec import Moved, pieces

RANDOM = hashlib.shake_128(b"random").digest(5 << 20)
CONTENTS = [b"x", b"page" * 1000, bytes(300_000), (RANDOM[:70_000] + bytes(300_000)) * 6]
NAME = "name"


@pytest.fixture(params=[Plain(), Moved()], ids=lambda codec: str(codec.name))
def codec(request: pytest.FixtureRequest) -> Codec:
    found: Codec = request.param
    return found


def stored(codec: Codec, data: bytes) -> MemoryStorage:
    storage = MemoryStorage()
    storage.put(NAME, codec.cover(iter([data])))
    return storage


def sealed(content: bytes, size: int, note: dict[str, str | int] | None = None) -> bytes:
    return b"".join(Plain().seal(pieces(content, size), note, has_table=True))


def litestreams(content: bytes) -> bytes:
    """As Litestream 0.3.13 writes it: blocks of 4 MiB."""
    data = lz4.frame.compress(
        content, block_size=lz4.frame.BLOCKSIZE_MAX4MB, block_linked=False, content_checksum=True, store_size=False
    )
    return bytes(data)


def scanned(codec: Codec, storage: MemoryStorage) -> tuple[BlockTable, bytes]:
    builder = TableBuilder()
    content = b"".join(codec.scan(NAME, storage.get(NAME), builder))
    return builder.table(), content


def table_of(codec: Codec, storage: MemoryStorage) -> BlockTable | None:
    return codec.table(NAME, partial(storage.get, NAME), len(storage.read(NAME)))


def read_by_blocks(codec: Codec, storage: MemoryStorage, table: BlockTable, at_once: int) -> bytes:
    read = partial(storage.get, NAME)
    found = b""
    for first in range(0, table.count, at_once):
        count = min(at_once, table.count - first)
        found += b"".join(codec.blocks(NAME, read, table, first, count))
    return found


def same(one: BlockTable, other: BlockTable) -> bool:
    rows = ("starts", "sizes", "offsets", "sums")
    return all(np.array_equal(getattr(one, row), getattr(other, row)) for row in rows)


@pytest.mark.parametrize("content", CONTENTS, ids=len)
@pytest.mark.parametrize("size", [40_000, 5 << 20])
@pytest.mark.parametrize("note", [None, {"v": 1, "text": "x" * 3000}], ids=["bare", "noted"])
def test_the_table_that_an_object_brings_is_that_of_its_blocks(
    codec: Codec, content: bytes, size: int, note: dict[str, str | int] | None
) -> None:
    storage = stored(codec, sealed(content, size, note))
    table = table_of(codec, storage)
    assert table is not None
    made, found = scanned(codec, storage)
    assert same(table, made)
    assert found == content
    assert read_by_blocks(codec, storage, table, 1) == read_by_blocks(codec, storage, table, 3) == content
    assert table.length == len(content)
    for offset in {0, len(content) // 2, len(content) - 1}:
        block = table.block_of(offset)
        assert table.offsets[block] <= offset < table.offsets[block + 1]


@pytest.mark.parametrize("content", [*CONTENTS, RANDOM], ids=len)
def test_that_of_litestream_is_made_as_it_streams_by(codec: Codec, content: bytes) -> None:
    storage = stored(codec, litestreams(content))
    assert table_of(codec, storage) is None
    table, found = scanned(codec, storage)
    assert found == content
    assert read_by_blocks(codec, storage, table, 2) == content


def test_what_is_behind_the_frame_is_read_over() -> None:
    content = RANDOM[: 2 << 20]
    data = sealed(content, 1 << 20, {"v": 1})
    for opened in (Plain().open(NAME, pieces(data, 1000)), Plain().opener().open(NAME, pieces(sealed(b"x", 1), 7))):
        assert b"".join(opened) in (content, b"x")
    frames = b"\x51\x2a\x4d\x18\0\0\0\0" * 5 + b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    for size in (1, 3, 11, 1 << 20):
        assert b"".join(Plain().open(NAME, pieces(litestreams(b"page") + frames, size))) == b"page"
    for cut in (1, 9, 12):
        for open_ in (Plain().open, Plain().opener().open):
            with pytest.raises(CorruptObjectError, match="follow"):
                list(open_(NAME, [(litestreams(b"page") + frames)[:-cut]]))


def test_no_damage_of_a_table_is_believed() -> None:
    content = RANDOM[: 2 << 20]
    data = sealed(content, 1 << 20, {"v": 1})
    at = data.rindex(b"litestream-tui blocks")
    for place in range(at - 8, len(data)):
        broken = data[at - 8 : place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        assert decode(broken, len(data)) is None
    for wrong in (data[:-1], data[at:], data[:1] + data, data[:-at], b"", b"ltblocks" * 3):
        assert decode(wrong, len(wrong)) is None
    assert decode(data, len(data) + 1) is None
    assert decode(data, len(data)) is not None


def test_promise_7_a_block_that_is_not_what_its_table_says_is_damage(codec: Codec) -> None:
    content = bytes(700_000) + RANDOM[: 2 << 20]
    storage = stored(codec, sealed(content, 1 << 20))
    table = table_of(codec, storage)
    assert table is not None
    data = bytearray(storage.read(NAME))
    data[int(table.starts[1]) + 500] ^= 1
    storage.replace(NAME, bytes(data))
    with pytest.raises(CorruptObjectError, match="table"):
        read_by_blocks(codec, storage, table, 1)


def test_what_is_cut_off_or_wrong_is_damage_when_it_streams_by(codec: Codec) -> None:
    data = litestreams(RANDOM[: 1 << 20])
    wrong = [data[:cut] for cut in (0, 3, 8, 500, len(data) - 1, len(data) - 5, len(data) - 9)]
    for broken in [*wrong, data + b"x", data[:300] + b"!" + data[301:], b"nothing of LZ4 at all"]:
        with pytest.raises(CorruptObjectError):
            scanned(codec, stored(codec, broken))


def test_linked_blocks_are_refused_by_name() -> None:
    data = lz4.frame.compress(RANDOM, block_linked=True, block_size=lz4.frame.BLOCKSIZE_MAX64KB)
    with pytest.raises(CorruptObjectError, match="need those before them"):
        scanned(Plain(), stored(Plain(), bytes(data)))


def test_a_part_costs_one_read_of_its_range() -> None:
    storage = stored(Plain(), sealed(RANDOM, 1 << 20))
    asked: list[tuple[int, int | None]] = []

    def read(offset: int, length: int | None) -> Iterator[bytes]:
        asked.append((offset, length))
        return storage.get(NAME, offset, length)

    table = Plain().table(NAME, read, len(storage.read(NAME)))
    assert table is not None
    assert list(Plain().blocks(NAME, read, table, 3, 1)) == [RANDOM[3 << 20 : 4 << 20]]
    assert [length for _, length in asked] == [64 << 10, table.span(3, 1)[1]]


def test_promise_6_a_table_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.storage.blocks.BLOCKS_MAX", 4)
    assert BLOCKS_MAX > 4
    data = sealed(RANDOM, 1 << 20)
    assert table_of(Plain(), stored(Plain(), data)) is None
    assert data == b"".join(Plain().seal(pieces(RANDOM, 1 << 20)))

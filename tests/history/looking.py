"""A timeline of a store in a test, and a cache of tables that is a dictionary."""

import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from replication.history.contract import Moment
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.retry import Backoff
from replication.restore.target import Latest, Target
from replication.sqlite.wal import WALHeader
from replication.storage.base import Storage
from replication.storage.blocks import BlockTable
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.frame_index import FrameIndexBuilder
from replication.storage.wal03.names import parse_segment

QUICK = Backoff(base_seconds=0.0)


@dataclass
class Cached:
    """Tables by sign, and how many were looked for in vain."""

    tables: dict[str, BlockTable] = field(default_factory=dict)
    missed: int = 0

    def load(self, sign: str) -> BlockTable | None:
        self.missed += sign not in self.tables
        return self.tables.get(sign)

    def save(self, sign: str, table: BlockTable) -> None:
        self.tables[sign] = table


def timeline(
    storage: Storage,
    target: Target | None = None,
    cache: Cached | None = None,
    cancel: threading.Event | None = None,
) -> Timeline:
    """What a restore of the target from this store would follow."""
    options = RestoreOptions(target=target or Latest(), backoff=QUICK)
    return read_timeline([OpenReplica("test", storage)], options, cache or Cached(), cancel=cancel)


def content(moment: Moment) -> bytes:
    """All pages of a moment."""
    return b"".join(moment.page(number) for number in range(1, moment.pages + 1))


def with_indexes(storage: MemoryStorage, replaced: Callable[[bytes], bytes] = lambda index: index) -> int:
    """Give each segment the frame index that large ones have; return how many got one."""
    header, found = None, 0
    before = (0, 0)
    for item in list(storage.list("")):
        place = parse_segment(item.name.rpartition("/")[2])
        if place is None:
            continue
        opened = DEFAULT_CODEC.open(item.name, [storage.read(item.name)])
        note, content = opened.note, b"".join(opened)
        if not place[1]:
            header = WALHeader.parse(content)
            before = header.sums
        assert header is not None
        builder = FrameIndexBuilder(header, place[1], before)
        data = b"".join(DEFAULT_CODEC.seal(pieces(content, place[1], header.frame_size), note, behind=builder))
        plain = b"".join(DEFAULT_CODEC.seal(pieces(content, place[1], header.frame_size), note))
        index = data[len(plain) :]
        storage.replace(item.name, plain + (replaced(index) if index else b""), item.modified)
        found += len(data) > len(plain)
        if len(content) > 32:
            first, second = struct.unpack_from(">2I", content, len(content) - header.frame_size + 16)
            before = (first, second)
    return found


def pieces(content: bytes, offset: int, frame_size: int, frames: int = 3) -> Iterator[bytes]:
    """A segment in pieces of whole frames."""
    at = 0 if offset else 32
    edges = [0, *range(at + frames * frame_size, len(content), frames * frame_size), len(content)]
    return (content[begin:end] for begin, end in pairwise(edges) if begin < end)

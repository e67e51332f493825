"""A replica as generations, snapshots and segments: what Litestream calls the ReplicaClient.

It turns names into values, and content into objects by the codec of the replica. Retrying and policy are left to the
caller.
Objects whose names are not of the format are passed over, and `warn` is called once for each (promise 7).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from replication.errors import CorruptObjectError
from replication.position import Position, is_generation
from replication.storage.base import ObjectInfo, Storage, is_object_name
from replication.storage.closing import closing_iterator
from replication.storage.codec import Codec, Opened, ReadRange
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.note_fields import NoteFields
from replication.storage.wal03 import frame_index
from replication.storage.wal03.frame_index import FrameIndex, FrameIndexBuilder
from replication.storage.wal03.names import (
    GENERATIONS,
    SegmentInfo,
    SnapshotInfo,
    generation_prefix,
    parse_segment,
    parse_snapshot,
    segment_name,
    segments_prefix,
    snapshot_name,
    snapshots_prefix,
)
from replication.storage.wal03.notes import (
    SegmentNote,
    SnapshotNote,
    Unbelieved,
    believed,
    read_segment_note,
    read_snapshot_note,
)

_WARNED_NAMES_MAX = 1000
_NOT_OURS = "not a name of the replica format"


class ReplicaClient:
    """Reads and writes one replica. Safe to use from several threads, as its storage is."""

    def __init__(
        self,
        storage: Storage,
        warn: Callable[[str], None] = lambda message: None,
        codec: Codec = DEFAULT_CODEC,
    ) -> None:
        self.storage = storage
        self.codec = codec
        self._warn = warn
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where the replica is, for people; no secrets."""
        return self.storage.address

    def generations(self) -> list[str]:
        """Names of all generations, in the order of their names, which is random in time."""
        found = []
        self._ignore_strange(GENERATIONS)
        for name in self.storage.folders(GENERATIONS):
            if is_generation(name):
                found.append(name)
            else:
                self._ignore(GENERATIONS + name)
        return found

    def snapshots(self, generation: str) -> list[SnapshotInfo]:
        """All snapshots of a generation by index."""
        return self._sorted(generation, snapshots_prefix(generation))[0]

    def segments(self, generation: str) -> list[SegmentInfo]:
        """All segments of a generation by (index, offset)."""
        return self._sorted(generation, segments_prefix(generation))[1]

    def contents(self, generation: str) -> tuple[list[SnapshotInfo], list[SegmentInfo]]:
        """All snapshots and all segments of a generation, from one listing."""
        return self._sorted(generation, generation_prefix(generation))

    def _sorted(self, generation: str, prefix: str) -> tuple[list[SnapshotInfo], list[SegmentInfo]]:
        """What of both is listed below `prefix`. Everything else there is passed over, and reported."""
        at_snapshots, at_segments = snapshots_prefix(generation), segments_prefix(generation)
        snapshots, segments = [], []
        for folder in (at_snapshots, at_segments):
            if folder.startswith(prefix):
                self._ignore_strange(folder)
        for item in self.storage.list(prefix):
            index = parse_snapshot(item.name.removeprefix(at_snapshots))
            place = parse_segment(item.name.removeprefix(at_segments))
            if index is not None:
                snapshots.append(SnapshotInfo(generation, index, item.size, item.modified))
            elif place is not None:
                segments.append(SegmentInfo(generation, place[0], place[1], item.size, item.modified))
            else:
                self._ignore(item.name)
        snapshots.sort(key=lambda snapshot: snapshot.index)
        segments.sort(key=lambda segment: (segment.index, segment.offset))
        return snapshots, segments

    def write_snapshot(
        self,
        generation: str,
        index: int,
        chunks: Iterable[bytes],
        note: SnapshotNote,
        *,
        create: bool = False,
        summed: Callable[[str], None] | None = None,
    ) -> int:
        """Store a snapshot; return the bytes stored. `create` is as in Storage.put, `summed` as in Codec.seal."""
        sealed = self.codec.seal(chunks, note.fields(), summed, has_table=True)
        return self.storage.put(snapshot_name(generation, index), sealed, create=create)

    def write_segment(
        self,
        position: Position,
        chunks: Iterable[bytes],
        note: SegmentNote | None = None,
        *,
        create: bool = False,
        frames: FrameIndexBuilder | None = None,
    ) -> int:
        """Store the segment that starts at `position`, with the index that `frames` makes; return the bytes stored."""
        fields = note.fields() if note is not None else None
        sealed = self.codec.seal(chunks, fields, behind=frames)
        return self.storage.put(segment_name(position), sealed, create=create)

    def frame_index(self, info: SegmentInfo, read: ReadRange) -> FrameIndex | None:
        """The index of the frames of a segment, if it brings one. Raises what `read` raises."""
        tail, length = self.codec.suffix(info.name, read, info.size, frame_index.tail_bytes(info.size))
        size = frame_index.size_at_end(tail)
        if size is not None and size > len(tail):
            tail, length = self.codec.suffix(info.name, read, info.size, size)
        found = frame_index.decode(tail, length)
        return found if found is not None and found.offset == info.offset else None

    def read(self, name: str, told: Callable[[SegmentNote | None], None] | None = None) -> Iterator[bytes]:
        """Yield the content of a snapshot or segment, in pieces of at most 1 MiB.

        `told` is called with the note of a segment first, None if it has none or a damaged one. Raises
        ObjectNotFoundError, CorruptObjectError, StorageError.
        """
        with closing_iterator(self.storage.get(name)) as chunks:
            opened = self.codec.open(name, chunks)
            if told is not None:
                told(believed(read_segment_note(_fields_or_none(opened))))
            yield from opened

    def segment_note(self, name: str) -> SegmentNote | None:
        """The note of a segment that this program wrote, or None if there is none that can be used.

        Raises ObjectNotFoundError, CorruptObjectError for a damaged note, StorageError.
        """
        found = read_segment_note(self.note_fields(name))
        self._tell_of_unbelieved(name, found)
        return believed(found)

    def snapshot_note(self, name: str) -> SnapshotNote | None:
        """The same for a snapshot. A note that belongs to another snapshot is damage as well."""
        found = read_snapshot_note(name, self.note_fields(name))
        self._tell_of_unbelieved(name, found)
        return believed(found)

    def note_fields(self, name: str) -> NoteFields | None:
        """What the note of an object has, whatever it means. Raises as `segment_note`."""
        return self.codec.read_note(name, partial(self.storage.get, name))

    def read_head(self, name: str, size: int) -> bytes:
        """The first `size` bytes of an object's uncompressed content (fewer if it is shorter)."""
        head = b""
        with closing_iterator(self.read(name)) as pieces:
            for piece in pieces:
                head += piece[: size - len(head)]
                if len(head) >= size:
                    break
        return head

    def end_of(self, segment: SegmentInfo) -> Position:
        """Where a segment ends, as its content tells: its name says only where it begins. Raises as `read`."""
        with closing_iterator(self.read(segment.name)) as pieces:
            return replace(segment.position, offset=segment.offset + sum(map(len, pieces)))

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects by name, in order; those already gone are no error."""
        self.storage.delete(names)

    def delete_generation(self, generation: str) -> int:
        """Remove all of a generation, snapshots first and then WAL from its end.

        Return the number of objects removed.
        """
        items: list[ObjectInfo] = list(self.storage.list(generation_prefix(generation)))
        snapshots = [item.name for item in items if item.name.startswith(snapshots_prefix(generation))]
        others = [item.name for item in items if not item.name.startswith(snapshots_prefix(generation))]
        names = snapshots[::-1] + others[::-1]
        if names:
            self.storage.delete(names)
        return len(names)

    def _ignore_strange(self, prefix: str) -> None:
        """Tell of what stands where objects should be and is none: it may hide a newer state."""
        for name in self.storage.passed_over(prefix):
            self._ignore(name, "neither a plain file nor a folder" if is_object_name(name) else _NOT_OURS)

    def _tell_of_unbelieved(self, name: str, found: object) -> None:
        if isinstance(found, Unbelieved):
            # Once for each reason: a newer program may have written very many.
            self._tell_once(found.why, f"the note of {name!r} in {self.address} is not used: {found.why}")

    def _ignore(self, name: str, why: str = _NOT_OURS) -> None:
        self._tell_once(name, f"ignored {name!r} in {self.address}: {why}")

    def _tell_once(self, what: str, message: str) -> None:
        with self._lock:
            if what in self._warned or len(self._warned) >= _WARNED_NAMES_MAX:
                return
            self._warned.add(what)
        self._warn(message)


def _fields_or_none(opened: Opened) -> NoteFields | None:
    try:
        return opened.note
    except CorruptObjectError:
        return None

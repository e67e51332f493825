"""May the generation on disk go on, or must a new one begin? Decided once, when a database is opened.

While no engine ran, nothing kept the WAL from being restarted. So the generation goes on only if the WAL is still in
the life that was copied last, and begins with exactly the bytes of its shadow file. Everything else is a reason for a
new one. The words of a reason are Litestream's where its reason is the same.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication.database.wal_scanner import WALCursor
from replication.database.wal_scanner import last_commit as find_last_commit
from replication.local.folder import LocalFile
from replication.local.shadow_wal import ShadowWAL
from replication.position import INDEX_MAX, OFFSET_LIMIT_BYTES
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader

_COMPARE_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Continue:
    """The generation goes on at `index`, from `cursor`."""

    generation: str
    index: int
    cursor: WALCursor


@dataclass(frozen=True, slots=True)
class Begin:
    """A new generation must begin, for `reason`."""

    reason: str


def decide(shadow: ShadowWAL, wal_path: Path, page_size: int, held: bool = False) -> Continue | Begin:
    """Compare the shadow WAL with the WAL that is there, and decide whether the generation can go on.

    It only reads, and the WAL may grow meanwhile.

    With `held` a connection has read since before the last copy was made: then the life that was copied last is whole
    if it has ended, and the next copy goes on from it as from any other.
    """
    generation = shadow.current_generation()
    if generation is None:
        return Begin("no generation exists")
    indexes = shadow.indexes(generation)
    if not indexes:
        return Begin("no shadow wal")
    index = indexes[-1]
    if index >= INDEX_MAX:
        return Begin("max index exceeded")
    cursor = last_commit(shadow.file(generation, index))
    if cursor is None:
        return Begin("short shadow wal")
    reason = None if held else _difference(shadow.file(generation, index), wal_path, cursor, page_size)
    return Begin(reason) if reason else Continue(generation, index, cursor)


def last_commit(file: LocalFile) -> WALCursor | None:
    """The last whole commit in a shadow file, or None without a file, a header or a commit.

    Torn frames do not count.
    """
    with suppress(FileNotFoundError), file.opened() as descriptor:
        try:
            header = WALHeader.parse(os.pread(descriptor, WAL_HEADER_SIZE, 0))
        except ValueError:
            return None
        return find_last_commit(descriptor, WALCursor.start(header), OFFSET_LIMIT_BYTES)
    return None


def _difference(copied: LocalFile, wal_path: Path, cursor: WALCursor, page_size: int) -> str | None:
    """Why the WAL does not continue the shadow file, or None if it does."""
    try:
        wal = os.open(wal_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return "wal missing: it was checkpointed and removed while not replicating"
    try:
        head = os.pread(wal, WAL_HEADER_SIZE, 0)
        if len(head) < WAL_HEADER_SIZE:
            return "wal empty: it was checkpointed while not replicating"
        if head != cursor.header.pack():
            return "wal header mismatch: it was restarted while not replicating"
        if cursor.header.page_size != page_size:
            return "page size changed"
        if os.fstat(wal).st_size < cursor.offset:
            return "wal truncated by another process"
        if not _same_start(copied, wal, cursor.offset):
            return "wal overwritten by another process"
        return None
    finally:
        os.close(wal)


def _same_start(copied: LocalFile, wal: int, size: int) -> bool:
    with copied.opened() as shadow:
        offset = 0
        while offset < size:
            length = min(_COMPARE_CHUNK_BYTES, size - offset)
            if os.pread(shadow, length, offset) != os.pread(wal, length, offset):
                return False
            offset += length
        return True

"""Real histories of real databases, and replicas made of them byte by byte.

SQLite, in a process of its own, writes transactions; after each one it says the SHA-256 of the database as
it sees it, which is the oracle. The bytes of the WAL are taken from the file, which carries no locks.
Nothing here knows how a restore works.
"""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, chain
from replication.sqlite.wal import WALHeader, frames_in
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name, snapshot_name

GENERATION = "00112233445566aa"
BEGAN = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)

_SQLITE = r"""
import hashlib, json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA page_size={sys.argv[2]}")
connection.executescript(sys.argv[3])
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA wal_autocheckpoint=0")
for line in sys.stdin:
    connection.executescript(json.loads(line))
    content = connection.serialize()
    print(json.dumps({"sha": hashlib.sha256(content).hexdigest(), "size": len(content)}), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: where it ends, and the database right after it."""

    index: int
    offset: int
    sha: str
    pages: int
    content: bytes = field(repr=False)

    def at(self, generation: str = GENERATION) -> Position:
        return Position(generation, self.index, self.offset)


@dataclass(frozen=True, slots=True)
class History:
    """The whole WAL of each index, the database file before each index, and all commits."""

    page_size: int
    wals: tuple[bytes, ...]
    bases: tuple[bytes, ...]
    commits: tuple[Commit, ...]

    def ends(self, index: int) -> list[int]:
        """Offsets at which commits of an index end."""
        return [commit.offset for commit in self.commits if commit.index == index]


def write_history(folder: Path, page_size: int, indexes: Sequence[Sequence[str]], first: str = "") -> History:
    """Run scripts, one transaction each, grouped by WAL index; `first` has what is said before there is a database."""
    path = folder / f"history-{page_size}.db"
    wal = Path(f"{path}-wal")
    process = subprocess.Popen(
        [sys.executable, "-c", _SQLITE, str(path), str(page_size), first],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(script: str) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(script) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    wals: list[bytes] = []
    bases: list[bytes] = []
    commits: list[Commit] = []
    try:
        run("")
        for number, scripts in enumerate(indexes):
            # Everything is in the main file now, so that it is the database at the end of the index before.
            run("PRAGMA wal_checkpoint(RESTART)")
            bases.append(path.read_bytes())
            for script in scripts:
                answer = run(script)
                valid = _valid(wal.read_bytes())
                content = replayed(bases[-1], valid, page_size)
                commits.append(Commit(number, len(valid), answer["sha"], answer["size"] // page_size, content))
            wals.append(_valid(wal.read_bytes()))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
    return History(page_size, tuple(wals), tuple(bases), tuple(commits))


def _valid(data: bytes) -> bytes:
    header = WALHeader.parse(data)
    frames = frames_in(data[WAL_HEADER_SIZE:], header, header.sums)
    return data[: WAL_HEADER_SIZE + frames.committed * header.frame_size]


def replayed(base: bytes, wal: bytes, page_size: int) -> bytes:
    """The database file after a WAL, frame by frame: slow, plain, and only for making snapshots."""
    pages = {n: base[n * page_size : (n + 1) * page_size] for n in range(len(base) // page_size)}
    size = len(base) // page_size
    for at in range(WAL_HEADER_SIZE, len(wal), FRAME_HEADER_SIZE + page_size):
        number, commit = struct.unpack_from(">2I", wal, at)
        pages[number - 1] = wal[at + FRAME_HEADER_SIZE : at + FRAME_HEADER_SIZE + page_size]
        size = commit or size
    return b"".join(pages.get(n, bytes(page_size)) for n in range(size))


def big_endian(wal: bytes) -> bytes:
    """The same WAL as a big-endian machine writes it."""
    header = WALHeader.parse(wal)
    turned = WALHeader(True, header.page_size, header.sequence, header.salt1, header.salt2, (0, 0))
    head = turned.pack()
    turned = WALHeader.parse(head)
    rows = np.frombuffer(wal, dtype=np.uint8, offset=WAL_HEADER_SIZE).reshape(-1, turned.frame_size).copy()
    rows[:, 16:24] = chain(rows, turned.page_size, turned.sums, True).astype(">u4").view(np.uint8).reshape(-1, 8)
    return head + rows.tobytes()


def note_of(position: Position, pages: int, page_size: int, **more: str | int) -> Mapping[str, str | int]:
    """The note that our snapshots carry."""
    return {
        "v": 1,
        "position": str(position),
        "pages": pages,
        "page_size": page_size,
        "mode": 0o640,
        "time": BEGAN.isoformat().replace("+00:00", "Z"),
        "reason": "test",
        "previous": "",
        **more,
    }


class ReplicaBuilder:
    """Puts objects of a history into a store, one second apart."""

    def __init__(self, storage: MemoryStorage, generation: str = GENERATION, began: datetime = BEGAN) -> None:
        self.storage = storage
        self.generation = generation
        self.now = began

    def put(self, name: str, data: bytes, note: Mapping[str, str | int] | None = None) -> datetime:
        """Store one object and return its time."""
        self.now += timedelta(seconds=1)
        self.storage.replace(name, b"".join(DEFAULT_CODEC.seal([data], note)), self.now)
        return self.now

    def snapshot(self, index: int, content: bytes, note: Mapping[str, str | int] | None = None) -> datetime:
        return self.put(snapshot_name(self.generation, index), content, note)

    def noted_snapshot(self, commit: Commit, page_size: int, **more: str | int) -> datetime:
        """Our snapshot of one commit."""
        note = note_of(commit.at(self.generation), commit.pages, page_size, **more)
        return self.snapshot(commit.index, commit.content, note)

    def wal(
        self, index: int, wal: bytes, cuts: Sequence[int], note: Mapping[str, str | int] | None = None
    ) -> list[datetime]:
        """A WAL as segments, cut at these offsets."""
        edges = sorted({0, len(wal), *(cut for cut in cuts if 0 < cut < len(wal))})
        return [
            self.put(
                segment_name(Position(self.generation, index, begin)),
                wal[begin:end],
                note if begin == 0 else None,
            )
            for begin, end in pairwise(edges)
        ]


def publish(
    history: History, storage: MemoryStorage, noted: bool, swap: bool = False, generation: str = GENERATION
) -> dict[Position, datetime]:
    """A whole replica: a snapshot before the first index, segments cut at every second commit and in the
    middle.

    Returns the time of the segment that completes each commit.
    """
    builder = ReplicaBuilder(storage, generation)
    size = history.page_size
    base = history.bases[0]
    note = note_of(Position(generation, 0, 0), len(base) // size, size) if noted else None
    builder.snapshot(0, base, note)
    times: dict[Position, datetime] = {}
    for index, wal in enumerate(history.wals):
        wal = big_endian(wal) if swap else wal
        ends = history.ends(index)
        frame = FRAME_HEADER_SIZE + size
        # Every second commit, and once in the middle of a transaction: the frame before a commit's last.
        cuts = ends[1::2] + [end - frame for end in ends[2::5]]
        previous: dict[str, str | int] = {
            "v": 1,
            "previous": str(Position(generation, index - 1, len(history.wals[index - 1]))),
        }
        edges = sorted({0, *cuts})
        written = builder.wal(index, wal, cuts, previous if noted and index else None)
        starts = dict(zip(edges, written, strict=False))
        for end in ends:
            times[Position(generation, index, end)] = starts[max(start for start in starts if start < end)]
    return times


def scripts() -> Iterator[list[str]]:
    """Three indexes of transactions: growth, rewriting, shrinking, and pages that come and go."""
    blob = "INSERT INTO t(a, b) SELECT value, randomblob({size}) FROM (WITH RECURSIVE n(value) AS "
    blob += "(SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {count}) SELECT value FROM n);"
    yield [
        "CREATE TABLE t(a INTEGER, b BLOB); CREATE INDEX i ON t(a);".join(["BEGIN;", "COMMIT;"]),
        blob.format(size=100, count=3),
        "UPDATE t SET b = randomblob(700) WHERE a = 2;",
        "BEGIN;" + blob.format(size=900, count=60) + "COMMIT;",
        "DELETE FROM t WHERE a % 2;",
    ]
    yield [
        "UPDATE t SET b = zeroblob(10) WHERE a < 5;",
        "VACUUM;",
        "INSERT INTO t VALUES(1, 'x');",
        "BEGIN;" + blob.format(size=3000, count=40) + "COMMIT;",
        "INSERT INTO t VALUES(2, 'y');",
        "DELETE FROM t;",
        "VACUUM;",
    ]
    yield [
        "INSERT INTO t VALUES(3, 'z');",
        "BEGIN;" + blob.format(size=2000, count=30) + "COMMIT;",
        "UPDATE t SET b = 'last';",
    ]

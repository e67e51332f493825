"""Everything that is read from outside, fed with bytes and texts that chance made or spoilt: a value or an error of
ours, soon, and with no more memory than it takes. Nothing else may come out of a parser.

Structure-aware: most inputs are real objects that were flipped, cut, spliced and repeated, some under right checksums.
"""

import json
import math
import os
import random
import resource
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from replication.config import load_config
from replication.config.durations import parse_duration
from replication.errors import ConfigError, CorruptObjectError, ObjectNotFoundError, ReplicationError, UsageError
from replication.local.shadow_wal import parse_shadow
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.retry import Backoff
from replication.restore.target import parse_index, parse_position, parse_time
from replication.restore.wal03.listing import describe
from replication.restore.wal03.points import read_commits
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, frames_in
from replication.storage import container
from replication.storage.base import is_object_name
from replication.storage.memory import MemoryStorage
from replication.storage.url import parse_replica_url
from replication.storage.wal03.names import SnapshotInfo, parse_segment, parse_snapshot, segment_name
from replication.storage.wal03.notes import read_segment_note, read_snapshot_note
from replication.storage.wal03.replica_client import ReplicaClient
from tests.restore.history import BEGAN, GENERATION, History, ReplicaBuilder, note_of, publish, write_history
from tests.torture.conftest import Torture
from tests.torture.mutations import chunked, resummed, spoilt

INPUTS_A_ROUND = 400
INPUT_SECONDS_MAX = 10.0
"""One input of a few kilobytes, on a machine that others use as well; ordinarily it takes less than a millisecond."""
MEMORY_GROWTH_BYTES_MAX = 8 << 20
"""What Python may hold more at the end than after the first round."""
RSS_GROWTH_KIB_MAX = 400 << 10
T = TypeVar("T")
Allowed = type[Exception] | tuple[type[Exception], ...]
NONE: Allowed = ()
READING = (CorruptObjectError, ObjectNotFoundError)
EXPANSION_MAX = 256
"""LZ4 expands no byte to more than 255."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two short indexes of real WAL."""
    rows = "INSERT INTO t SELECT value, randomblob(300) FROM json_each('[1,2,3]');"
    return write_history(tmp_path_factory.mktemp("history"), 512, [["CREATE TABLE t(a, b);", rows, rows], [rows, rows]])


@pytest.fixture(scope="module")
def samples(history: History) -> list[bytes]:
    """Real objects, with notes and without, and other LZ4 streams."""
    made = []
    for noted in (True, False):
        storage = MemoryStorage()
        publish(history, storage, noted)
        made += [storage.read(name) for name in storage.names()]
    return [*made, b"".join(container.compress([])), b"".join(container.compress([bytes(100_000)])), b""]


def fed(torture: Torture, what: str, allowed: Allowed, call: Callable[..., T], *arguments: object) -> T | None:
    """What comes out for one input: a value, or None for an error that is allowed, which has words."""
    torture.counts["inputs fuzzed"] += 1
    torture.counts[what] += 1
    began = time.monotonic()
    words = "something came out"
    try:
        return call(*arguments)
    except allowed as error:
        words = str(error)
        return None
    finally:
        assert words.strip(), f"{what}: an error without words"
        assert time.monotonic() - began < INPUT_SECONDS_MAX, what


class Steady:
    """Memory must not grow with the number of inputs."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._rss = 0
        tracemalloc.start()

    def look(self) -> None:
        held = tracemalloc.get_traced_memory()[0]
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if self._first is None:
            self._first, self._rss = held, rss
        assert held - self._first < MEMORY_GROWTH_BYTES_MAX, f"Python holds {held - self._first} bytes more"
        assert rss - self._rss < RSS_GROWTH_KIB_MAX, f"the process grew by {rss - self._rss} KiB"


@pytest.fixture
def steady() -> Iterator[Steady]:
    yield Steady()
    tracemalloc.stop()


def content(pieces: list[bytes]) -> int:
    """How much an object expands to, none of it in a piece over 1 MiB."""
    total = 0
    for piece in container.decompress("object", pieces):
        assert len(piece) <= 1 << 20
        total += len(piece)
    return total


def test_containers_and_notes(torture: Torture, samples: list[bytes], steady: Steady) -> None:
    info = SnapshotInfo(GENERATION, 0, 1, BEGAN)
    for chance in torture.rounds(short=3):
        for _ in range(INPUTS_A_ROUND):
            data = spoilt(chance.choice(samples), samples, chance)
            total = fed(torture, "containers", CorruptObjectError, content, list(chunked(data, chance)))
            assert total is None or total <= len(data) * EXPANSION_MAX
            text = _hostile_json(chance)
            payload = b"litestream-tui\0" + struct.pack("<I", zlib.crc32(text)) + text
            for head in (data[: container.NOTE_SIZE_MAX], struct.pack("<II", 0x184D2A5E, len(payload)) + payload):
                note = fed(torture, "notes", ValueError, container.decode_note, head)
                fed(torture, "notes", CorruptObjectError, read_snapshot_note, info.name, note)
                fed(torture, "notes", CorruptObjectError, read_segment_note, note)
        steady.look()


def _hostile_json(chance: random.Random) -> bytes:
    """A note under a right checksum that no program of ours wrote."""
    note = dict(note_of(Position(GENERATION, 0, 0), 5, 512))
    odd: list[object] = [
        *("", "\ud800", "\0", "x" * 900, "-1", 10**1000, -1, 0, 1 << 64, True, None, [], {}, 1.5, math.inf, math.nan),
        *(f"{GENERATION}/00000000:{'9' * 10}", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "\x1b[2J"),
    ]
    for key in chance.sample(sorted(note), chance.randint(1, 3)):
        note[key] = chance.choice(odd)  # type: ignore[assignment]
    text = json.dumps(note).encode()
    deep = b'{"v":' + chance.choice([b"[", b'{"a":']) * chance.randint(1, 700)
    return chance.choice([text, text[: chance.randrange(len(text))], deep, spoilt(text, [text], chance)])[:3900]


def test_wal_headers_and_frames(torture: Torture, history: History, steady: Steady) -> None:
    wals = list(history.wals)
    for chance in torture.rounds(short=3):
        for _ in range(INPUTS_A_ROUND):
            data = spoilt(chance.choice(wals), wals, chance)
            header = fed(torture, "wal headers", ValueError, WALHeader.parse, data)
            if header is None:
                # A header with right checksums and any fields.
                size = 1 << chance.randint(9, 16)
                salts = chance.getrandbits(32), chance.getrandbits(32)
                header = WALHeader.parse(WALHeader(chance.random() < 0.5, size, 0, *salts, (0, 0)).pack())
            rest = data[WAL_HEADER_SIZE:]
            frames = fed(torture, "wal frames", NONE, frames_in, rest, header, header.sums)
            assert frames is not None
            assert 0 <= frames.committed <= frames.count <= len(rest) // header.frame_size
        steady.look()


def test_names_positions_and_urls(torture: Torture) -> None:
    """Texts by hypothesis: whatever is taken is written again as it was, and means one place."""

    def text(*patterns: str) -> st.SearchStrategy[str]:
        return st.one_of(st.text(max_size=80), *(st.from_regex(pattern) for pattern in patterns))

    names = text(r"[0-9a-fA-F]{8}(_[0-9a-fA-F]{8,9})?\.(snapshot|wal)(\.lz4)?", r"(\.\./)*generations/[0-9a-f]{16}.*")
    places = text(r"[0-9a-f]{16}/[0-9a-f]{8}:[0-9]+", r"0x[0-9a-f]{1,9}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    urls = text(r"(s3|file|S3|gs|sftp)://[^/?#]{0,40}(/.*)?(\?.*)?", r"s3://[a-z0-9.-]+(:\d+)?/.*", r"file:///.*%..")

    def name(value: str) -> None:
        for base in (value, value.rpartition("/")[2]):
            segment = fed(torture, "names", NONE, parse_segment, base)
            assert segment is None or segment_name(Position(GENERATION, *segment)).endswith(f"/{base}")
            snapshot = fed(torture, "names", NONE, parse_snapshot, base)
            assert snapshot is None or base == f"{snapshot:08x}.snapshot.lz4"
            fed(torture, "names", NONE, parse_shadow, base)
        if is_object_name(value):
            assert os.path.normpath(f"/root/{value}").startswith("/root/")

    def place(value: str) -> None:
        position = fed(torture, "positions", ValueError, Position.parse, value)
        assert position is None or position == Position.parse(str(position))
        for parse in (parse_index, parse_position, parse_time):
            fed(torture, "positions", UsageError, parse, value)
        fed(torture, "durations", ValueError, parse_duration, value)

    def url(value: str) -> None:
        location = fed(torture, "urls", ConfigError, parse_replica_url, value)
        assert location is None or location.address

    for chance in torture.rounds(short=1):
        for strategy, check in ((names, name), (places, place), (urls, url)):
            _hypothesis(strategy, check, chance, 2000 if torture.long else 80)


def _hypothesis(strategy: st.SearchStrategy[str], check: Callable[[str], None], chance: random.Random, n: int) -> None:
    """Run `check` on so many texts, chosen by `chance`."""
    wanted = settings(
        max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    seed(chance.getrandbits(64))(wanted(given(strategy)(check)))()


_DOCUMENT = """addr: 127.0.0.1:9090
access-key-id: ${KEY}
dbs:
  - path: /srv/app.db
    monitor-interval: 1s
    checkpoint-interval: 1m
    replicas: &all
      - type: s3
        bucket: backups
        path: app
        endpoint: http://127.0.0.1:9000
        retention: 24h
      - url: file:///srv/backup
  - path: /srv/other.db
    replicas:
      - <<: {type: file}
        path: /srv/elsewhere
logging: {level: info, type: text, stderr: true}
"""
_PIECES = [
    *(
        "*all",
        "&a *a",
        "<<: *all",
        "!!python/object:os.system x",
        "!!int x",
        "!!binary eA==",
        "- ",
        ": ",
        "{",
        "[",
        "}",
    ),
    *(
        "\t",
        "\0",
        "\ufeff",
        "\u2028",
        "%YAML 9.9\n",
        "---\n",
        "...\n",
        "? ",
        "|\n  x",
        '"\\ud800"',
        "'",
        "$",
        "${",
        "${X",
    ),
    *(
        "1e999",
        "0x",
        "0o9",
        "1:60:00",
        "9" * 5000,
        "-1s",
        ".inf",
        "~",
        "2000-01-01",
        "2000-13-41",
        "on",
        "\x85",
        "=",
        "!!set",
    ),
]


def test_configurations(torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any bytes are a configuration or an error that names the file and, but for the file as a whole, the line."""
    monkeypatch.setenv("KEY", "canary")
    file = tmp_path / "litestream.yml"
    whole = _DOCUMENT.encode()
    for chance in torture.rounds(short=1):
        for _ in range(INPUTS_A_ROUND // 2):
            match chance.randrange(4):
                case 0:
                    data = spoilt(whole, [whole], chance)
                case 1:
                    lines = _DOCUMENT.splitlines(keepends=True)
                    for _ in range(chance.randint(1, 4)):
                        lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                        del lines[chance.randrange(len(lines))]
                    data = "".join(lines).encode()
                case 2:
                    at = chance.randrange(len(_DOCUMENT))
                    piece = chance.choice(_PIECES) * chance.choice([1, 1, 1, 3, 2000])
                    data = (_DOCUMENT[:at] + piece + _DOCUMENT[at:]).encode("utf-8", "surrogatepass")
                case _:
                    data = chance.randbytes(chance.randrange(200))
            file.write_bytes(data)
            said = _load(torture, file)
            assert any(text in said for text in (f"{file}:", f"{file} is larger", "path=")), f"{data!r}: {said}"
            assert "canary" not in said, f"{data!r}: {said}"


def _load(torture: Torture, file: Path) -> str:
    """The configuration in words, or the error that says why there is none."""
    try:
        config = fed(torture, "configurations", NONE, load_config, file)
    except ConfigError as error:
        torture.counts["configurations refused"] += 1
        return str(error)
    except Exception as error:
        raise AssertionError(f"{file.read_bytes()!r:.3000} ends with {error!r:.500}") from error
    return repr(config)


def test_restores_of_objects_under_right_checksums(torture: Torture, history: History, tmp_path: Path) -> None:
    """What only somebody who means it can write: nothing but errors of ours, and nothing left behind."""
    for chance in torture.rounds(short=1):
        for _ in range(INPUTS_A_ROUND // 8):
            storage = MemoryStorage()
            builder = ReplicaBuilder(storage)
            base, wal = bytearray(history.bases[0]), history.wals[0]
            rest = spoilt(wal[WAL_HEADER_SIZE:], list(history.wals), chance)
            header = WALHeader.parse(wal)
            noted = note_of(Position(GENERATION, 0, 0), len(base) // 512, 512)
            if chance.random() < 0.5:
                base = bytearray(spoilt(bytes(base), [bytes(base)], chance))
            builder.snapshot(0, bytes(base), noted if chance.random() < 0.5 else None)
            builder.wal(0, wal[:WAL_HEADER_SIZE] + resummed(rest, header), [chance.randrange(len(wal))])
            builder.wal(1, spoilt(history.wals[1], list(history.wals), chance), [])
            client = ReplicaClient(storage)
            before = sorted(tmp_path.iterdir())
            options = RestoreOptions(
                backoff=Backoff(tries_max=1), integrity_check=chance.choice(["none", "quick", "full"])
            )
            result = fed(
                torture,
                "restores",
                ReplicationError,
                restore,
                [OpenReplica("x", client.storage)],
                tmp_path / "out",
                options,
            )
            if result is not None:
                (tmp_path / "out").unlink()
            assert sorted(tmp_path.iterdir()) == before
            for segment in client.segments(GENERATION):
                fed(torture, "segments listed", READING, read_commits, client, segment)
            fed(torture, "replicas described", CorruptObjectError, describe, client)

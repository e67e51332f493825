"""One database, one litestream.yml that both programs read, and one replica: whoever replicates it.

Rows carry texts that are looked for in the replica's WAL, so that a test knows when a commit has arrived there
whichever program brought it. The application is always a process of its own.
"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import peers
from replication.storage.file.location import FileLocation
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import PROGRAM, Running, wait_until

MIN_CHECKPOINT_PAGES = 8
"""So few that every few rows begin a new index."""

NUDGE_SECONDS = 1.0
"""Litestream 0.3.13 looks for changes before it copies them. A commit that falls between is in its shadow WAL, but
is uploaded with the next one only: so there is a next one after this long."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that replicates; once its log has `holds`, no commit can escape it."""

    name: str
    path: Callable[[], Path]
    holds: str

    def __str__(self) -> str:
        return self.name


OURS = Program("ours", lambda: PROGRAM, 'msg="generation ')
THEIRS = Program("litestream03", peers.litestream03, "sync: ok")


class Replicated:
    """A database in `folder`, replicated to `location` by whichever program is started."""

    def __init__(self, folder: Path, location: FileLocation | S3Location, snapshot_interval: str = "0s") -> None:
        self.database = folder / "fruits.db"
        self.shell = Shell(self.database)
        self.config = folder / "litestream.yml"
        self.client = ReplicaClient(open_storage(location))
        self._folder = folder
        self._logs = count(1)
        self._rows = count()
        self._contents: dict[str, bytes] = {}
        self._program = OURS
        self.config.write_text(
            f"logging:\n  level: debug\n"
            f"dbs:\n- path: {self.database}\n  monitor-interval: 20ms\n"
            f"  min-checkpoint-page-count: {MIN_CHECKPOINT_PAGES}\n"
            f"  replicas:\n  - sync-interval: 20ms\n    snapshot-interval: {snapshot_interval}\n"
            + "".join(f"    {line}\n" for line in _location_lines(location))
        )

    @contextmanager
    def replicate(self, program: Program) -> Iterator[Running]:
        """The program at work, from when it holds the database until it was interrupted."""
        self._program = program
        log = self._folder / f"{next(self._logs)}-{program}.log"
        with Running(program.path(), "-config", self.config, log=log) as running:
            running.wait_for_line(program.holds)
            yield running
            code = running.interrupt()
            # Litestream's last sync may end it with 1 although all had been uploaded before.
            assert code == 0 or program is not OURS, running.log

    def insert(self, app: ForeignConnection) -> str:
        """Commit one more row; its text, which is in no other."""
        text = f"row {next(self._rows)};"
        app.execute(f"INSERT INTO t(text, blob) VALUES ('{text}', zeroblob(1500))")
        return text

    def insert_and_see(self, app: ForeignConnection, running: Running) -> str:
        """Commit one more row and wait until it is in the replica; its text."""
        text = self.insert(app)
        again = time.monotonic() + NUDGE_SECONDS

        def there() -> bool:
            nonlocal again
            if self._program is THEIRS and time.monotonic() > again:
                app.execute(f"UPDATE t SET text = text WHERE text = '{text}'")
                again += NUDGE_SECONDS
            return self._holds(text)

        wait_until(f"{text!r} in the replica", there, lambda: running.log[-4000:])
        return text

    @property
    def generation(self) -> str:
        """The generation in use, as the local folder has it."""
        return (self.database.parent / f".{self.database.name}-litestream" / "generation").read_text().strip()

    @property
    def last_segment(self) -> SegmentInfo:
        """The newest segment of the generation in use."""
        return self.client.segments(self.generation)[-1]

    @property
    def source(self) -> list[str | Path]:
        """What follows the flags of a restore."""
        return ["-config", self.config, self.database]

    def sha(self) -> str:
        """The SHA-256 of the database as SQLite sees it."""
        code = "import hashlib, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        code += "print(hashlib.sha256(c.serialize()).hexdigest()); c.close()"
        return subprocess.check_output([sys.executable, "-c", code, self.database], text=True).strip()

    def _holds(self, text: str) -> bool:
        for generation in self.client.generations():
            for segment in self.client.segments(generation):
                if segment.name not in self._contents:
                    self._contents[segment.name] = b"".join(self.client.read(segment.name))
        return any(text.encode() in content for content in self._contents.values())


def sha(path: Path) -> str:
    """The SHA-256 of a file that nobody has open."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _location_lines(location: FileLocation | S3Location) -> list[str]:
    if isinstance(location, FileLocation):
        return ["type: file", f"path: {location.path}"]
    return [
        "type: s3",
        f"bucket: {location.bucket}",
        f"path: {location.path}",
        f"endpoint: {location.endpoint}",
        f"access-key-id: {location.access_key_id}",
        f"secret-access-key: {location.secret_access_key}",
    ]

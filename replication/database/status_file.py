"""What nobody can derive from a local folder or a replica, kept beside the shadow WAL: errors and verifications.

A small private JSON file at the top of the local folder, where Litestream leaves files it does not know alone.
It promises to be whole whenever it is read. Losing it loses words, no data, so nothing here raises and nothing
is synced to disk. It leaves to the caller when to write, and that only the holder of the engine lock does.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from replication.local.files import STATUS_NAME
from replication.local.folder import LocalFolder
from replication.scrub import scrub
from replication.status import DatabaseStatus, ReplicaStatus, Verification
from replication.wire import WireError, dumps, loads, value_of

_ALWAYS = frozenset({"pid", "time", "paused", "error", "replicas"})
"""The keys that every version writes. A file without them is not believed."""
SAVE_SECONDS_MIN = 5.0
"""One database's notes are written no more often than this."""


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """One replica. `error` is what is wrong now, `last_error` what was wrong last; times are since the epoch."""

    name: str
    error: str = ""
    errors_in_a_row: int = 0
    next_try: float = 0.0
    last_error: str = ""
    last_error_time: float = 0.0
    behind_since: float = 0.0
    """When the oldest commit that the replica lacks was copied; 0 while it lacks none, or only for a moment."""
    verified: Verification | None = None
    proven: float = 0.0
    """When a listing last showed the newest position to be restorable; 0 if never."""
    lost: str = ""
    """Which restore points were lost last, in words."""
    duty_warning: str = ""
    """Which of snapshots, proofs and retention fail although commits arrive, in words."""


@dataclass(frozen=True, slots=True)
class DatabaseRecord:
    """One database, by the engine with process id `pid`, at `time`; `pid` is 0 after an orderly end."""

    pid: int = 0
    time: float = 0.0
    paused: bool = False
    error: str = ""
    replicas: tuple[ReplicaRecord, ...] = ()

    def replica(self, name: str) -> ReplicaRecord:
        """The note of one replica, empty if there is none."""
        return next((item for item in self.replicas if item.name == name), ReplicaRecord(name))


class StatusFile:
    """The notes of one database. Used by one thread at a time."""

    def __init__(self, meta_path: Path) -> None:
        self._folder = LocalFolder(meta_path)
        self.latest = load(meta_path)
        """The record that was written last, by this engine or the one before."""

    def write(self, status: DatabaseStatus, now: float, pid: int) -> bool:
        """Write down how a database is, if that is news. Return True if it was written."""
        fresh = _record(status, self.latest, now, pid)
        if replace(fresh, time=self.latest.time) == self.latest:
            return False
        with suppress(OSError):
            self._folder.write(STATUS_NAME, f"{dumps(fresh)}\n".encode(), "notes: written")
            self.latest = fresh
            return True
        return False


def load(meta_path: Path) -> DatabaseRecord:
    """The record in a local folder, empty if there is none that can be believed."""
    with suppress(OSError, WireError):
        values = loads(LocalFolder(meta_path).read(STATUS_NAME))
        if isinstance(values, dict) and values.keys() >= _ALWAYS:
            return value_of(DatabaseRecord, values)
    return DatabaseRecord()


def _record(status: DatabaseStatus, before: DatabaseRecord, now: float, pid: int) -> DatabaseRecord:
    records = tuple(_replica_record(item, before.replica(item.name), now) for item in status.replicas)
    return DatabaseRecord(pid, now, status.state == "paused", scrub(status.error), records)


def _replica_record(status: ReplicaStatus, before: ReplicaRecord, now: float) -> ReplicaRecord:
    error = scrub(status.last_error) if status.errors_in_a_row else ""
    is_news = status.errors_in_a_row != before.errors_in_a_row or error != before.error
    verified = status.verified
    if verified is not None:
        verified = replace(verified, words=scrub(verified.words))
    return ReplicaRecord(
        name=status.name,
        error=error,
        errors_in_a_row=status.errors_in_a_row,
        next_try=status.next_try,
        last_error=error or before.last_error,
        last_error_time=now if error and is_news else before.last_error_time,
        behind_since=_behind_since(status, before, now),
        verified=verified,
        proven=status.proven,
        lost=scrub(status.lost),
        duty_warning=scrub(status.duty_warning),
    )


def _behind_since(status: ReplicaStatus, before: ReplicaRecord, now: float) -> float:
    if status.lag_seconds < SAVE_SECONDS_MIN:
        return 0.0
    since = now - status.lag_seconds
    # The same moment, computed twice, differs by a little; that is no news.
    return before.behind_since if abs(since - before.behind_since) < 1.0 else since

"""How things stand, found out from outside: from the local folders and the replicas, engine running or not.

It only reads, opens no database file, and tries an engine lock for no longer than a moment. What cannot be found
out is an error in the report. What an engine knows better, its own status says; showing it is the caller's.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from replication.config import DatabaseConfig
from replication.database.lock import holder
from replication.database.status_file import SAVE_SECONDS_MIN, DatabaseRecord, ReplicaRecord, load
from replication.errors import LocalFileError, ReplicationError
from replication.local import soundness
from replication.local.folder import LocalFile
from replication.local.generation_info import GenerationInfo
from replication.local.shadow_wal import ShadowWAL
from replication.permissions import Ownership
from replication.position import Position
from replication.replica.disowned import warning
from replication.replica.lag import is_behind, pending_bytes
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, align
from replication.status import ReplicaState, Verification

ReplicaOutside = ReplicaState | Literal["shared", "unknown"]
"""How a replica stands, found out from outside: shared is ok, but that another program writes to the same place."""
DatabaseOutside = Literal["ok", "error", "paused", "stopped", "missing", "unknown"]
"""How a database stands, found out from outside; no engine has one that is "stopped"."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a replica was found to reach, and the newest object's time; or why that is not known.

    `position` is None for a replica without the generation that was asked for. `broken` says why nobody can restore up
    to there.
    """

    name: str
    address: str
    position: Position | None = None
    newest: float = 0.0
    broken: str = ""
    error: ReplicationError | None = None
    answer: Literal["came", "late", "not asked"] = "came"
    """Late if it was waited for no longer; not asked if its store had failed with that error."""

    @property
    def error_words(self) -> str:
        """Why it is not known, or worth nothing, for people; "" if it is."""
        if self.error is None:
            return f"not restorable: {self.broken}" if self.broken else ""
        return f"not asked: {self.error}" if self.answer == "not asked" else str(self.error)


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """One replica; what is not known is None. `warning` says in words what "shared" means. `last_error` is what
    was wrong last, maybe long ago; `error` is wrong now. Times are since the epoch.
    """

    name: str
    address: str
    state: ReplicaOutside
    position: Position | None
    pending_bytes: int | None
    lag_seconds: float | None
    error: str
    errors_in_a_row: int
    next_try: float
    last_error: str
    last_error_time: float
    verified: Verification | None
    warning: str = ""
    proven: float = 0.0
    """When a listing last showed the newest position to be restorable; 0 if never."""
    lost: str = ""
    duty_warning: str = ""
    """Which of snapshots, proofs and retention fail although commits arrive, in words."""
    newest: float = 0.0
    """When its newest object was written, by the clock of the store; 0 if that is not known."""


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """One database. `uncopied` is true when the WAL holds commits that were not copied yet; None if it is not known."""

    path: str
    state: DatabaseOutside
    pid: int | None
    error: str
    position: Position | None
    generation_reason: str
    generation_began: str
    uncopied: bool | None
    replicas: tuple[ReplicaReport, ...]


_NO_ORIGIN = GenerationInfo("", "", "", "")
_NO_RECORD = DatabaseRecord()


@dataclass(frozen=True, slots=True)
class Local:
    """What the local folder of a database says."""

    config: DatabaseConfig
    pid: int | None = None
    record: DatabaseRecord = _NO_RECORD
    position: Position | None = None
    copied: float = 0.0
    """When the last commit was copied."""
    generation_info: GenerationInfo = _NO_ORIGIN
    uncopied: bool | None = None
    error: str = ""
    salts: tuple[int, int] | None = None
    """Of the life of the WAL that was copied last."""

    @property
    def generation(self) -> str | None:
        """The generation in use, or None."""
        return self.position.generation if self.position is not None else None

    def sync_seconds(self, replica: str) -> float:
        """The sync interval of a replica."""
        return next((item.sync_interval for item in self.config.replicas if item.name == replica), 0.0)


def look(config: DatabaseConfig) -> Local:
    """Read the local folder of a database. Nothing is raised: what cannot be read is its `error`."""
    meta = config.meta_path
    try:
        pid = holder(meta)
        if not meta.is_dir():
            return Local(config)
        shadow = ShadowWAL(meta, Ownership())
        generation = shadow.current_generation()
        if generation is None:
            return Local(config, pid, load(meta))
        indexes = shadow.indexes(generation)
        file = shadow.file(generation, indexes[-1] if indexes else 0)
        end, copied, header = _end(file)
        position = Position(generation, indexes[-1] if indexes else 0, end)
        uncopied = _is_ahead(_wal_of(config.path), header, end)
        info, salts = GenerationInfo.load(meta, generation), header.salts if header is not None else None
        return Local(config, pid, load(meta), position, copied, info, uncopied, salts=salts)
    except (LocalFileError, OSError) as error:
        words = str(error) if isinstance(error, LocalFileError) else f"{meta} cannot be read: {error.strerror}"
        return Local(config, error=words)


def report(local: Local, reaches: tuple[Reach, ...], now: float) -> DatabaseReport:
    """Put together what the local folder and the replicas said. `now` is seconds since the epoch."""
    state = _state(local)
    return DatabaseReport(
        path=str(local.config.path),
        state=state,
        pid=local.pid,
        error=local.error or (local.record.error if state == "error" else ""),
        position=local.position,
        generation_reason=local.generation_info.reason,
        generation_began=local.generation_info.began,
        uncopied=local.uncopied,
        replicas=tuple(_replica(local, reach, now) for reach in reaches),
    )


def _state(local: Local) -> DatabaseOutside:
    if local.error:
        return "unknown"
    if local.pid is not None:
        return "error" if local.record.error else "ok"
    if paused_by_engine(local):
        return "paused"
    return "stopped" if os.path.exists(local.config.path) else "missing"  # noqa: PTH110 (false where no look is allowed)


def _replica(local: Local, reach: Reach, now: float) -> ReplicaReport:
    record = local.record.replica(reach.name)
    pending = _pending(local, reach)
    lag = _lag(local, record, pending, now) if pending is not None else None
    running = local.pid is not None
    state: ReplicaOutside = "behind"
    if reach.error or reach.broken or (running and record.error):
        state = "error"
    elif pending is None or lag is None:
        state = "unknown"
    elif pending == 0 and lag == 0.0:
        state = "ok"
    elif running and not is_behind(lag, local.sync_seconds(reach.name)):
        state = "syncing"
    error = reach.error_words or (record.error if running else "")
    if running and record.lost and record.error.startswith(record.lost):
        # What its being away costs says more than that it is away.
        error = record.error
    shared = warning(local.config.meta_path, reach.name, local.pid)
    if shared and state == "ok":
        state = "shared"
    return ReplicaReport(
        name=reach.name,
        address=reach.address,
        state=state,
        position=reach.position,
        pending_bytes=pending,
        lag_seconds=lag,
        error=error,
        errors_in_a_row=record.errors_in_a_row if running else 0,
        next_try=record.next_try if running else 0.0,
        last_error=record.last_error,
        last_error_time=record.last_error_time,
        verified=record.verified,
        warning=shared or soundness.words(soundness.recall(local.config.meta_path)),
        proven=record.proven,
        lost=record.lost,
        duty_warning=record.duty_warning if running else "",
        newest=reach.newest,
    )


def _pending(local: Local, reach: Reach) -> int | None:
    """Bytes of WAL that were copied and that the replica lacks; None if that is not known."""
    here = local.position
    if reach.error or here is None:
        return None
    shadow = ShadowWAL(local.config.meta_path, Ownership())
    return pending_bytes(here, reach.position, partial(shadow.size, here.generation))


def _lag(local: Local, record: ReplicaRecord, pending: int, now: float) -> float | None:
    """The age of the oldest commit that the replica lacks, at most; None if only an engine could tell."""
    if pending:
        # An engine notes no lag of a few seconds.
        since = record.behind_since or max(local.copied, now - SAVE_SECONDS_MIN if local.pid is not None else 0.0)
        return max(0.0, now - since)
    if local.pid is not None or local.uncopied is False:
        return 0.0
    return max(0.0, now - max(local.copied, local.record.time)) if local.uncopied else None


def _end(file: LocalFile) -> tuple[int, float, WALHeader | None]:
    """Where a shadow file ends, when it was written last, and its header."""
    try:
        with file.opened() as descriptor:
            status = os.fstat(descriptor)
            header = WALHeader.parse(os.pread(descriptor, WAL_HEADER_SIZE, 0))
    except (FileNotFoundError, ValueError):
        return 0, 0.0, None
    return align(status.st_size, header.page_size), status.st_mtime, header


def _is_ahead(wal: Path, copied: WALHeader | None, end: int) -> bool | None:
    """True if the WAL holds frames after `end`, or is another one; None if there is none to look at."""
    with suppress(OSError, ValueError):
        # The WAL carries no locks, so that opening and closing it harms nobody.
        with wal.open("rb") as file:
            header = WALHeader.parse(file.read(WAL_HEADER_SIZE))
            file.seek(end)
            frame = file.read(FRAME_HEADER_SIZE)
        if copied is None or header.salts != copied.salts:
            return True
        salts = int.from_bytes(frame[8:12], "big"), int.from_bytes(frame[12:16], "big")
        return len(frame) == FRAME_HEADER_SIZE and salts == header.salts
    return None


def _wal_of(database: Path) -> Path:
    # SQLite follows links, and keeps the WAL beside the file.
    return Path(f"{os.path.realpath(database)}-wal")


def paused_by_engine(local: Local) -> bool:
    """True if an engine runs that has let go of it for a while."""
    return local.record.paused and _alive(local.record.pid)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True

"""Whether all is well, for health checks: from the local folders alone, in milliseconds, and with no store asked.

Its promise: what is well is replicated by an engine that keeps up, and was proven to be restorable, within the limits.
A store that is away for a while is no trouble before commits have waited for it too long.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from replication.config import DatabaseConfig, ReplicaConfig
from replication.database.status_file import SAVE_SECONDS_MIN
from replication.errors import DatabaseError
from replication.local import soundness
from replication.offline import Local, look, paused_by_engine
from replication.replica.disowned import warning
from replication.sqlite.wal_index import WALIndex

LAG_SECONDS_MAX = 300.0
"""Unless said otherwise, no commit may wait for longer than this."""
PROOF_INTERVALS_MAX = 2
"""Unless said otherwise, no proof may be older than so many of the intervals in which one is made; and a little."""
COPY_SECONDS_MAX = 5.0
"""A commit that SQLite counts is copied in milliseconds; one that is not after so long is in trouble."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `proof` None: after the replica's own interval; `verified` None: a replica need not be verified."""

    lag: float = LAG_SECONDS_MAX
    proof: float | None = None
    verified: float | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is not well with a database, or with one replica of it, in words."""

    database: str
    replica: str
    words: str

    def __str__(self) -> str:
        return f"{self.database}{f' replica {self.replica}' if self.replica else ''}: {self.words}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Everything that is not well, in the order of the databases, and how many of those do not exist yet."""

    troubles: tuple[Trouble, ...]
    to_come: int


def examine(databases: Sequence[DatabaseConfig], limits: Limits) -> Finding:
    """Look at all of them."""
    found: list[Trouble] = []
    # A database that is not copied yet has the time that the others take.
    looked = [(config, look(config)) for config in databases]
    deadline = time.monotonic() + COPY_SECONDS_MAX
    for config, local in looked:
        found += judge(config, local, limits, time.time())
        if local.pid is not None and _stays_uncopied(config, local, deadline):
            words = f"commits are not copied: the engine, pid {local.pid}, hangs, or has stopped"
            found.append(Trouble(str(config.path), "", words))
    return Finding(tuple(found), sum(is_to_come(*item) for item in looked))


def judge(config: DatabaseConfig, local: Local, limits: Limits, now: float) -> list[Trouble]:
    """What the local folder says of a database at `now`, in seconds since the epoch."""
    path = str(config.path)
    if is_to_come(config, local):
        return []
    if words := _without_engine(config, local):
        return [Trouble(path, "", words)]
    if not _exists(config.path):
        return [Trouble(path, "", "it was removed; an engine waits for it")]
    found = [Trouble(path, "", local.record.error)] if local.record.error else []
    if words := soundness.words(soundness.recall(config.meta_path)):
        found.append(Trouble(path, "", words))
    for settings in config.replicas:
        found += [Trouble(path, settings.name, words) for words in _of_replica(config, settings, local, limits, now)]
    return found


def is_to_come(config: DatabaseConfig, local: Local) -> bool:
    """True if its application has yet to make it: nothing can be lost, and no engine can lock what is not there."""
    return not local.error and local.position is None and not _exists(config.path)


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (false where no look is allowed)


def _without_engine(config: DatabaseConfig, local: Local) -> str:
    """Why nothing can be well; empty if an engine has the database."""
    if local.error:
        return f"it cannot be told how it is: {local.error}"
    if local.pid is not None:
        return ""
    if paused_by_engine(local):
        return "it is paused: nothing is copied or uploaded until it goes on"
    return "no engine replicates it"


def _of_replica(config: DatabaseConfig, settings: ReplicaConfig, local: Local, limits: Limits, now: float) -> list[str]:
    note, found = local.record.replica(settings.name), []
    if note.behind_since and now - note.behind_since > limits.lag:
        why = f": {note.error}" if note.error else ""
        found.append(f"commits have waited for {_long(now - note.behind_since)}, more than {_long(limits.lag)}{why}")
    if local.position is not None and not note.proven and _began(local) and now - _began(local) > limits.lag:
        why = f": {note.error}" if note.error else ""
        found.append(f"nothing can be restored from it yet, {_long(now - _began(local))} after the first commit{why}")
    # What an engine notes is that old at times.
    late = PROOF_INTERVALS_MAX * settings.retention_check_interval + SAVE_SECONDS_MIN
    limit = late if limits.proof is None else limits.proof
    if note.proven and now - note.proven > limit:
        found.append(f"it was last shown to be restorable {_long(now - note.proven)} ago, more than {_long(limit)}")
    verified = note.verified
    if verified is not None and verified.outcome == "failed":
        found.append(f"its last verification failed: {verified.words}")
    elif limits.verified is not None and (verified is None or now - verified.time > limits.verified):
        ago = "never" if verified is None else f"last {_long(now - verified.time)} ago"
        found.append(f"it was {ago} verified; it should be every {_long(limits.verified)}")
    elif limits.verified is not None and verified is not None and verified.outcome != "ok":
        found.append(f"its last verification was {verified.outcome}: {verified.words}")
    if shared := warning(config.meta_path, settings.name, local.pid):
        found.append(shared)
    return found


def _stays_uncopied(config: DatabaseConfig, local: Local, deadline: float) -> bool:
    """True if commits that SQLite counts are not copied by `deadline`, of time.monotonic."""
    before = local.position
    while local.position == before and _is_uncopied(config.path, local):
        if time.monotonic() >= deadline:
            return True
        time.sleep(_LOOK_SECONDS)
        local = look(config)
    return False


def _is_uncopied(path: Path, local: Local) -> bool:
    """True if SQLite counts frames that were not copied. Those in the WAL beyond its count are none."""
    if not local.uncopied or local.pid is None:
        return False
    with suppress(FileNotFoundError, DatabaseError):
        # This process has no connection to the database, whose locks closing it would drop.
        index = WALIndex.open(Path(os.path.realpath(path)))
        try:
            header = index.read()
        finally:
            index.close()
        if header is None or not header.frames:
            return False
        return header.salts != local.salts or header.end > (local.position.offset if local.position else 0)
    return False


def _began(local: Local) -> float:
    """When its generation began; 0 if nobody knows."""
    with suppress(ValueError):
        return datetime.fromisoformat(local.generation_info.began).timestamp()
    return 0.0


def _long(seconds: float, units: Sequence[tuple[int, str]] = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))) -> str:
    unit, name = next(((unit, name) for unit, name in units if seconds >= 2 * unit), units[-1])
    return f"{seconds / unit:.0f} {name}"

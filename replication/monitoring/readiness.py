"""Whether all databases are restorable to what they hold now, within thresholds, and which are not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from replication.config import Config, DatabaseConfig, ReplicaConfig
from replication.scrub import scrub
from replication.status import DatabaseStatus, EngineStatus, ReplicaStatus

LAG_SECONDS_MAX = 60.0
"""No commit may be missing in a replica for longer, unless its sync-interval asks for it."""
LAG_INTERVALS_MAX = 3
PROOF_SECONDS_MAX = 3600.0
"""The newest position must have been shown to be restorable within this, or twice the retention-check-interval."""
PROOF_INTERVALS_MAX = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one replica, in seconds: how long a commit may be missing, how old the last proof may be."""

    lag: float = LAG_SECONDS_MAX
    proof: float = PROOF_SECONDS_MAX

    @classmethod
    def of(cls, config: ReplicaConfig) -> "Limits":
        return cls(
            max(LAG_SECONDS_MAX, LAG_INTERVALS_MAX * config.sync_interval),
            max(PROOF_SECONDS_MAX, PROOF_INTERVALS_MAX * config.retention_check_interval),
        )


class Readiness:
    """The thresholds of a configuration."""

    def __init__(self, config: Config) -> None:
        self._limits = {str(database.path): _limits_of(database) for database in config.databases}
        self._in_folders = [(directory, _limits_of(directory.each)) for directory in config.directories]

    def missing(self, status: EngineStatus, lag_seconds: float | None = None) -> list[str]:
        """A sentence for each database or replica that cannot give back what is committed now; none if all can.

        `lag_seconds` takes the place of how long a commit may be missing. No sentence holds a secret.
        """
        found = []
        for database in status.databases:
            if words := _of_database(database):
                found.append(f"{database.path}: {words}")
            limits = self._limits_of(database.path)
            for replica in database.replicas:
                if words := _of_replica(replica, status.time, limits.get(replica.name, Limits()), lag_seconds):
                    found.append(f"{database.path}, replica {replica.name}: {words}")
        if not status.databases:
            found.append("no database is configured")
        return [scrub(words) for words in found]

    def holds(self, status: EngineStatus) -> bool:
        """True if nothing is missing."""
        return not self.missing(status)

    def _limits_of(self, path: str) -> Mapping[str, Limits]:
        """The limits of the replicas of a database, which may be in one of the folders."""
        if path in self._limits:
            return self._limits[path]
        return next((limits for directory, limits in self._in_folders if directory.name_of(Path(path))), {})


def _limits_of(database: DatabaseConfig) -> Mapping[str, Limits]:
    return {replica.name: Limits.of(replica) for replica in database.replicas}


def _of_database(database: DatabaseStatus) -> str:
    if not database.replicas:
        return "it has no replica"
    if database.state == "error":
        return database.error or "its last sync failed"
    if database.state == "waiting":
        return database.error or "there is no such file"
    # While another connection has a lock, what was committed before is on its way all the same.
    return "" if database.state in ("ok", "busy") else f"it is {database.state}"


def _of_replica(replica: ReplicaStatus, now: float, limits: Limits, lag_seconds: float | None) -> str:
    lag_max = limits.lag if lag_seconds is None else lag_seconds
    verified = replica.verified
    if replica.state == "error":
        return replica.last_error or "the last try failed"
    if replica.position is None:
        return "it is not known yet where it stands"
    if replica.lag_seconds > lag_max:
        return f"it has lacked a commit for {replica.lag_seconds:.0f} s, and {lag_max:.0f} s are allowed"
    if verified is not None and verified.outcome == "failed" and verified.time >= replica.proven:
        return f"its last verification failed: {verified.words}"
    if not replica.proven:
        return "it was not yet shown to be restorable"
    if now - replica.proven > limits.proof:
        return (
            f"it was last shown to be restorable {now - replica.proven:.0f} s ago, and {limits.proof:.0f} s are allowed"
        )
    return ""

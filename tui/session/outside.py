"""How a database stands as found out from outside, in the terms of an engine's status. Pure.

What nobody knows from outside is what it is in a status that knows it neither: none, never, unknown.
"""

from replication.offline import DatabaseOutside, DatabaseReport, ReplicaOutside, ReplicaReport
from replication.status import DatabaseState, DatabaseStatus, ReplicaState, ReplicaStatus

_DATABASES: dict[DatabaseOutside, DatabaseState] = {
    "ok": "ok",
    "error": "error",
    "paused": "paused",
    "stopped": "stopped",
    "missing": "waiting",
    "unknown": "error",
}
_REPLICAS: dict[ReplicaOutside, ReplicaState] = {
    "starting": "starting",
    "ok": "ok",
    "syncing": "syncing",
    "behind": "behind",
    "error": "error",
    "shared": "ok",
    "unknown": "starting",
}


def status_of(report: DatabaseReport, now: float) -> DatabaseStatus:
    """One database as `report` has it; it was looked at `now`."""
    error = report.error
    if not error and report.state == "missing":
        error = f"{report.path} does not exist"
    return DatabaseStatus(
        path=report.path,
        state=_DATABASES[report.state],
        error=error,
        position=report.position,
        generation_reason=report.generation_reason,
        page_size=0,
        wal_bytes=0,
        last_sync=now,
        last_checkpoint=0.0,
        checkpoint_blocked=0,
        replicas=tuple(_replica(item) for item in report.replicas),
        generation_began=report.generation_began,
    )


def _replica(report: ReplicaReport) -> ReplicaStatus:
    return ReplicaStatus(
        name=report.name,
        type="",
        address=report.address,
        state=_REPLICAS[report.state],
        position=report.position,
        pending_bytes=report.pending_bytes or 0,
        lag_seconds=report.lag_seconds or 0.0,
        uploading="",
        uploading_bytes=0,
        uploading_total_bytes=0,
        objects_written=0,
        bytes_written=0,
        last_upload=report.newest,
        errors_in_a_row=report.errors_in_a_row or int(bool(report.error)),
        last_error=report.error,
        next_try=report.next_try,
        snapshot_time=0.0,
        verified=report.verified,
        warning=report.warning,
        duty_warning=report.duty_warning,
        proven=report.proven,
        lost=report.lost,
    )

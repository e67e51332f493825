"""How databases stand, as the engine that has them says, in the form of the report that is otherwise found out from
outside.

It asks no store: what the engine says of a replica is newer, and costs nothing.
"""

from collections.abc import Sequence

from replication.config import DatabaseConfig
from replication.control.values import Info
from replication.database.status_file import DatabaseRecord, ReplicaRecord, load
from replication.offline import DatabaseOutside, DatabaseReport, ReplicaOutside, ReplicaReport
from replication.status import DatabaseState, DatabaseStatus, EngineStatus, ReplicaStatus
from replication.survey import SurveyResult

_STATES: dict[DatabaseState, DatabaseOutside] = {
    "starting": "ok",
    "waiting": "missing",
    "ok": "ok",
    "busy": "ok",
    "error": "error",
    "pausing": "paused",
    "paused": "paused",
    "unknown": "error",
}


def answer(databases: Sequence[DatabaseConfig], info: Info, status: EngineStatus) -> SurveyResult | None:
    """The reports of the engine in the order of `databases`, or None if it does not have one of them."""
    known = {item.path: item for item in status.databases}
    if any(str(config.path) not in known for config in databases):
        return None
    return _reports([(known[str(config.path)], load(config.meta_path)) for config in databases], info)


def whole_answer(info: Info, status: EngineStatus, name: str = "") -> SurveyResult:
    """The reports of an engine of whatever configuration, of all that it has, or of `name` alone. Its local folders
    are not looked at: it may be on another host.
    """
    return _reports([(item, DatabaseRecord()) for item in status.databases if name in ("", item.path)], info)


def registered_of(info: Info, status: EngineStatus, beside: Sequence[DatabaseConfig]) -> list[DatabaseStatus]:
    """What the engine has beside these, since it was registered."""
    known = {str(config.path) for config in beside}
    return [item for item in status.databases if item.path in info.registered and item.path not in known]


def registered_answer(info: Info, status: EngineStatus, beside: Sequence[DatabaseConfig]) -> SurveyResult:
    """The reports of what was registered with the engine, but for these."""
    return _reports([(item, DatabaseRecord()) for item in registered_of(info, status, beside)], info)


def _reports(found: Sequence[tuple[DatabaseStatus, DatabaseRecord]], info: Info) -> SurveyResult:
    reports = [_report(item, note, info) for item, note in found]
    complaints, exit_code = [], 0
    for item, _ in found:
        for replica in item.replicas:
            if replica.errors_in_a_row:
                exit_code = replica.error_code or 1
                complaints.append(f"{item.path} replica {replica.name}: {replica.last_error}")
    return SurveyResult(tuple(reports), tuple(complaints), exit_code)


def _report(status: DatabaseStatus, note: DatabaseRecord, info: Info) -> DatabaseReport:
    paused = status.state == "paused"
    return DatabaseReport(
        path=status.path,
        state=_STATES[status.state],
        # While it is paused another program may have it, but not this one.
        pid=None if paused else info.pid,
        error=status.error,
        position=status.position,
        generation_reason=status.generation_reason,
        generation_began=status.generation_began,
        uncopied=None if paused else False,
        replicas=tuple(_replica(item, note.replica(item.name)) for item in status.replicas),
    )


def _replica(status: ReplicaStatus, note: ReplicaRecord) -> ReplicaReport:
    state: ReplicaOutside = "unknown" if status.state == "starting" else status.state
    known = status.position is not None
    failing = status.errors_in_a_row > 0
    return ReplicaReport(
        name=status.name,
        address=status.address,
        state="shared" if state == "ok" and status.warning else state,
        position=status.position,
        pending_bytes=status.pending_bytes if known else None,
        lag_seconds=status.lag_seconds if known else None,
        error=status.last_error if failing else "",
        errors_in_a_row=status.errors_in_a_row,
        next_try=status.next_try,
        last_error=status.last_error or note.last_error,
        last_error_time=note.last_error_time,
        verified=status.verified,
        warning=status.warning,
        proven=status.proven,
        lost=status.lost,
        duty_warning=status.duty_warning,
    )

"""The requests of Litestream 0.5's control socket, answered in its shapes, so that tools written for it work.

What has no meaning here is refused in words. There are no transaction ids in this layout of a replica: `txid` is a
number that is made of a position, and grows with each commit of a generation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from replication.control.commands import carry_out
from replication.control.contract import JobControl
from replication.control.requests import Pause, Register, Sync, Unregister
from replication.errors import ConfigError, PausedError
from replication.position import Position
from replication.status import DatabaseStatus
from replication.wire import Plain

HOLDER = "POST /stop"
"""The holder of a pause that Litestream's /stop asked for."""
_STOP_SECONDS = 30.0
_SYNC_SECONDS = 30.0
_TIMEOUT_SECONDS_MAX = 3600.0
_STOPPED = ("paused", "pausing")


class RefusedError(Exception):
    """A request that is answered with this status and these words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def info(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    found, now = control.info(), control.status().time
    return {
        "version": found.version,
        "pid": found.pid,
        "uptime_seconds": max(0, int(now - found.started)),
        "started_at": _time(found.started),
        "database_count": len(found.databases),
    }


def listed(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    shown = []
    for item in control.status().databases:
        state = "stopped" if item.state in _STOPPED else "replicating" if item.state in ("ok", "busy") else "open"
        shown.append({"path": item.path, "status": state})
        if item.last_sync:
            shown[-1]["last_sync_at"] = _time(item.last_sync)
    return {"databases": shown}


def txid(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    return {"txid": _number(_database(control, values, 404).position)}


def sync(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    before = _database(control, values, 404)
    if before.state in _STOPPED:
        raise RefusedError(409, "database not open")
    wait = values.get("wait", False)
    if not isinstance(wait, bool):
        raise RefusedError(400, "wait must be true or false")
    timeout = _timeout(values, _SYNC_SECONDS)
    try:
        carry_out(control, Sync(database=before.path, wait=wait, timeout=timeout))
    except PausedError:
        raise RefusedError(409, "database not open") from None
    after = _database(control, values, 404)
    here, there = _number(after.position), min((_number(item.position) for item in after.replicas), default=0)
    state = "synced" if wait else "no_change" if after.position == before.position else "synced_local"
    return {"status": state, "path": after.path, "txid": here, "replicated_txid": there}


def start(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    found = _database(control, values, 500)
    state = "started" if found.state in _STOPPED else "already_running"
    holders = control.resume(found.path, HOLDER) if state == "started" else ()
    if holders:
        raise RefusedError(500, f"database is paused by {', '.join(holders)}, who must resume it")
    return {"status": state, "path": found.path, "txid": _number(found.position)}


def stop(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    found = _database(control, values, 500)
    timeout = _timeout(values, _STOP_SECONDS)
    state = "already_stopped" if found.state == "paused" else "stopped"
    carry_out(control, Pause(database=found.path, holder=HOLDER), timeout=timeout)
    return {"status": state, "path": found.path, "txid": _number(found.position)}


def register(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    path, url = _path(values), values.get("replica_url")
    if not isinstance(url, str) or not url:
        raise RefusedError(400, "replica_url required")
    try:
        state = carry_out(control, Register(database=path, replica_url=url))
    except ConfigError as error:
        raise RefusedError(400, f"invalid replica url: {error}") from None
    return {"status": state, "path": path}


def unregister(control: JobControl, values: Mapping[str, Plain]) -> Plain:
    path, timeout = _path(values), _timeout(values, _STOP_SECONDS)
    before = _known(control, path)
    state = carry_out(control, Unregister(database=path, timeout=timeout))
    return {"status": state, "path": path, "txid": _number(before.position if before is not None else None)}


Handle = Callable[[JobControl, Mapping[str, Plain]], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A request: `changes` if it does something, `owner` if that is for who runs the engine, and root."""

    method: str
    handle: Handle
    changes: bool = False
    owner: bool = False


ROUTES: Mapping[str, Route] = {
    "/info": Route("GET", info),
    "/list": Route("GET", listed),
    "/txid": Route("GET", txid),
    "/sync": Route("POST", sync, changes=True),
    "/start": Route("POST", start, changes=True),
    "/stop": Route("POST", stop, changes=True),
    "/register": Route("POST", register, changes=True, owner=True),
    "/unregister": Route("POST", unregister, changes=True, owner=True),
}
"""By path."""


def _path(values: Mapping[str, Plain]) -> str:
    path = values.get("path")
    if not isinstance(path, str) or not path:
        raise RefusedError(400, "path required")
    return path


def _known(control: JobControl, path: str) -> DatabaseStatus | None:
    return next((item for item in control.status().databases if item.path == path), None)


def _database(control: JobControl, values: Mapping[str, Plain], otherwise: int) -> DatabaseStatus:
    found = _known(control, _path(values))
    if found is None:
        raise RefusedError(otherwise, "database not found")
    return found


def _timeout(values: Mapping[str, Plain], default: float) -> float:
    seconds = values.get("timeout", default)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _TIMEOUT_SECONDS_MAX:
        raise RefusedError(400, f"timeout must be seconds from 0 to {_TIMEOUT_SECONDS_MAX:.0f}")
    return float(seconds) or default


def _number(position: Position | None) -> int:
    return position.index << 32 | position.offset if position is not None else 0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

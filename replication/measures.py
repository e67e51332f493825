"""What an engine's status tells to Prometheus: Litestream 0.3.13's names with their meaning, and ours. Pure.

A measure is a row: its name, its labels, and the function that reads its value from a status. /metrics, the HELP lines
and the reference are made from these rows.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from replication.status import DatabaseStatus, EngineStatus, ReplicaStatus

Value = float | int | None
"""None: there is nothing to tell, and no line is written."""
Samples = Iterable[tuple[tuple[str, ...], Value]]
"""(label values, value) pairs. Only the labels after `db` and `name` stand here; metrics.py puts those two in front."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. `words` are for its HELP line and the reference."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class OfEngine(Row):
    of: Callable[[EngineStatus], Samples]


@dataclass(frozen=True, slots=True)
class OfDatabase(Row):
    of: Callable[[DatabaseStatus, float], Samples]


@dataclass(frozen=True, slots=True)
class OfReplica(Row):
    of: Callable[[ReplicaStatus, float], Samples]


_DB, _REPLICA = ("db",), ("db", "name")
_MODE = "PASSIVE"
"""The only mode in which a checkpoint of ours asks SQLite."""


def _one(value: Value) -> Samples:
    return (((), value),)


def _by(values: Iterable[tuple[str, float]]) -> Samples:
    return (((name,), value) for name, value in values)


def _time(value: float) -> Samples:
    """A time that is known once something has happened."""
    return _one(value or None)


def _age(value: float, now: float) -> Samples:
    """Seconds since something that should happen again and again: infinite if it never did."""
    return _one(max(0.0, now - value) if value else math.inf)


def _began(database: DatabaseStatus) -> Value:
    try:
        return datetime.fromisoformat(database.generation_began).timestamp()
    except ValueError:
        return None


def _operations(status: EngineStatus, of: Callable[[ReplicaStatus], Iterable[tuple[str, float]]]) -> Samples:
    """What all replicas of a type have asked of their stores."""
    totals: dict[tuple[str, str], float] = {}
    for database in status.databases:
        for replica in database.replicas:
            for operation, value in of(replica):
                key = (replica.type, operation)
                totals[key] = totals.get(key, 0) + value
    return sorted(totals.items())


def _validations(replica: ReplicaStatus) -> Samples:
    known = dict(replica.totals.verifications)
    return ((("ok",), known.get("ok", 0)), (("error",), known.get("failed", 0)))


LITESTREAM: tuple[Row, ...] = (
    OfDatabase("litestream_db_size", "gauge", _DB, "Bytes of the database file.", lambda d, _: _one(d.size_bytes)),
    OfDatabase("litestream_wal_size", "gauge", _DB, "Bytes of the WAL file.", lambda d, _: _one(d.wal_bytes)),
    OfDatabase(
        "litestream_total_wal_bytes",
        "counter",
        _DB,
        "Bytes of WAL frames that were copied to the shadow WAL.",
        lambda d, _: _one(d.totals.wal_bytes),
    ),
    OfDatabase(
        "litestream_shadow_wal_index",
        "gauge",
        _DB,
        "The current index of the shadow WAL.",
        lambda d, _: _one(d.position.index if d.position else None),
    ),
    OfDatabase(
        "litestream_shadow_wal_size",
        "gauge",
        _DB,
        "Bytes of the shadow WAL of the generation in use.",
        lambda d, _: _one(d.shadow_bytes),
    ),
    OfDatabase("litestream_sync_count", "counter", _DB, "Syncs of the database.", lambda d, _: _one(d.totals.syncs)),
    OfDatabase(
        "litestream_sync_error_count",
        "counter",
        _DB,
        "Syncs of the database that failed.",
        lambda d, _: _one(d.totals.sync_errors),
    ),
    OfDatabase(
        "litestream_sync_seconds",
        "counter",
        _DB,
        "Seconds spent in syncs of the database.",
        lambda d, _: _one(d.totals.sync_seconds),
    ),
    OfDatabase(
        "litestream_checkpoint_count",
        "counter",
        (*_DB, "mode"),
        "Checkpoints. The mode is always PASSIVE: no other one is asked of SQLite.",
        # As in Litestream, here and below: no line for a mode before something is counted for it.
        lambda d, _: (((_MODE,), d.totals.checkpoints or None),),
    ),
    OfDatabase(
        "litestream_checkpoint_error_count",
        "counter",
        (*_DB, "mode"),
        "Checkpoints that failed.",
        lambda d, _: (((_MODE,), d.totals.checkpoint_errors or None),),
    ),
    OfDatabase(
        "litestream_checkpoint_seconds",
        "counter",
        (*_DB, "mode"),
        "Seconds spent in checkpoints.",
        lambda d, _: (((_MODE,), d.totals.checkpoint_seconds or None),),
    ),
    OfReplica(
        "litestream_replica_wal_bytes",
        "counter",
        _REPLICA,
        "Bytes of WAL that were stored in the replica, uncompressed, with the headers of the WAL.",
        lambda r, _: _one(r.totals.wal_bytes),
    ),
    OfReplica(
        "litestream_replica_wal_index",
        "gauge",
        _REPLICA,
        "The index that the replica has reached.",
        lambda r, _: _one(r.position.index if r.position else None),
    ),
    OfReplica(
        "litestream_replica_wal_offset",
        "gauge",
        _REPLICA,
        "The offset in that index.",
        lambda r, _: _one(r.position.offset if r.position else None),
    ),
    OfReplica(
        "litestream_replica_validation_total",
        "counter",
        (*_REPLICA, "status"),
        "Verifications by their result, ok or error. Those that could not be brought to an end do not count.",
        lambda r, _: _validations(r),
    ),
    OfEngine(
        "litestream_replica_operation_total",
        "counter",
        ("replica_type", "operation"),
        "Requests to stores. A LIST counts once for each page, GET and PUT for each object, DELETE for each request. "
        "File replicas count none.",
        lambda s: _operations(s, lambda r: r.totals.requests),
    ),
    OfEngine(
        "litestream_replica_operation_bytes",
        "counter",
        ("replica_type", "operation"),
        "Stored bytes that went with GET and PUT.",
        lambda s: _operations(s, lambda r: r.totals.request_bytes),
    ),
)
"""Those of Litestream 0.3.13, with its labels."""

OURS: tuple[Row, ...] = (
    OfDatabase(
        "litestream_tui_database_state",
        "gauge",
        (*_DB, "state"),
        "1 for the state of the database: ok, starting, waiting, busy, error, pausing or paused.",
        lambda d, _: (((d.state,), 1),),
    ),
    OfDatabase(
        "litestream_tui_database_sync_age_seconds",
        "gauge",
        _DB,
        "Seconds since the database was last looked at.",
        lambda d, now: _age(d.last_sync, now),
    ),
    OfDatabase(
        "litestream_tui_database_errors_total",
        "counter",
        (*_DB, "class"),
        "Errors of syncs by their class.",
        lambda d, _: _by(d.totals.errors),
    ),
    OfDatabase(
        "litestream_tui_checkpoint_blocked",
        "gauge",
        _DB,
        "Checkpoints in a row that readers or writers kept from completing.",
        lambda d, _: _one(d.checkpoint_blocked),
    ),
    OfDatabase(
        "litestream_tui_generation_began_time_seconds",
        "gauge",
        _DB,
        "When the generation in use began.",
        lambda d, _: _one(_began(d)),
    ),
    OfReplica(
        "litestream_tui_replica_state",
        "gauge",
        (*_REPLICA, "state"),
        "1 for the state of the replica: ok, syncing, behind, error or starting.",
        lambda r, _: (((r.state,), 1),),
    ),
    OfReplica(
        "litestream_tui_replica_lag_seconds",
        "gauge",
        _REPLICA,
        "Age of the oldest commit that the replica lacks; 0 when it lacks none.",
        lambda r, _: _one(r.lag_seconds),
    ),
    OfReplica(
        "litestream_tui_replica_queue_bytes",
        "gauge",
        _REPLICA,
        "Bytes of WAL that the replica lacks, uncompressed.",
        lambda r, _: _one(r.pending_bytes),
    ),
    OfReplica(
        "litestream_tui_replica_proof_age_seconds",
        "gauge",
        _REPLICA,
        "Seconds since a listing last showed the newest position to be restorable; +Inf if none ever did.",
        lambda r, now: _age(r.proven, now),
    ),
    OfReplica(
        "litestream_tui_replica_verified_time_seconds",
        "gauge",
        _REPLICA,
        "When the last verification ended, whatever its outcome; no line before the first.",
        lambda r, _: _one(r.verified.time if r.verified else None),
    ),
    OfReplica(
        "litestream_tui_replica_verified_result",
        "gauge",
        (*_REPLICA, "outcome"),
        "1 for the outcome of the last verification: ok, failed or inconclusive.",
        lambda r, _: (((r.verified.outcome,), 1),) if r.verified else (),
    ),
    OfReplica(
        "litestream_tui_replica_verifications_total",
        "counter",
        (*_REPLICA, "outcome"),
        "Verifications by their outcome: ok, failed or inconclusive.",
        lambda r, _: _by(r.totals.verifications),
    ),
    OfReplica(
        "litestream_tui_replica_errors_total",
        "counter",
        (*_REPLICA, "class"),
        "Errors of uploads, snapshots, proofs and retention by their class.",
        lambda r, _: _by(r.totals.errors),
    ),
    OfReplica(
        "litestream_tui_replica_errors_in_a_row",
        "gauge",
        _REPLICA,
        "Tries in a row that failed; 0 when all is well.",
        lambda r, _: _one(r.errors_in_a_row),
    ),
    OfReplica(
        "litestream_tui_replica_next_try_seconds",
        "gauge",
        _REPLICA,
        "Seconds until the next try after an error; no line without one.",
        lambda r, now: _one(max(0.0, r.next_try - now) if r.next_try else None),
    ),
    OfReplica(
        "litestream_tui_replica_upload_time_seconds",
        "gauge",
        _REPLICA,
        "When the last object was stored; no line before the first.",
        lambda r, _: _time(r.last_upload),
    ),
    OfReplica(
        "litestream_tui_replica_snapshot_time_seconds",
        "gauge",
        _REPLICA,
        "When the newest snapshot was stored; no line while that is not known.",
        lambda r, _: _time(r.snapshot_time),
    ),
)
"""Ours, of databases and replicas."""

READY = Row("litestream_tui_ready", "gauge", (), "1 while /readyz says that all is restorable, else 0.")

ROWS: tuple[Row, ...] = (*LITESTREAM, *OURS, READY)

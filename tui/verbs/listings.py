"""databases, generations, snapshots, wal: what there is, in Litestream's columns or as JSON.

A replica that cannot be read is named on stderr, the others are still listed, and the exit code says so.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from replication.config import DatabaseConfig
from replication.database.together import all_databases
from replication.errors import CorruptObjectError, StorageError
from tui.text.format import go_duration, plain, rfc3339, table
from tui.verbs.console import complain, say
from tui.verbs.named import config_of, generation_of, resolve

if TYPE_CHECKING:
    from replication.restore.histories import HeldObject
    from replication.restore.open_replica import OpenReplica

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = dict[str, str | int | float]


def databases(args: Namespace) -> int:
    """The databases of the configuration and the names of their replicas."""
    rows: list[Row] = [
        {"path": str(item.path), "replicas": ",".join(replica.name for replica in item.replicas)}
        for item in all_databases(config_of(args))
    ]
    _show(args, ["path", "replicas"], rows)
    return 0


def generations(args: Namespace) -> int:
    """The generations of each replica: how far behind, from when to when, and why each began."""
    # Imported here, as below: `databases` lists without what restores.
    from replication.restore.layouts import layout_of

    named = resolve(args, "generations")
    updated = _updated(named.database)

    def rows_of(replica: OpenReplica) -> list[Row]:
        rows: list[Row] = [
            {
                "name": replica.name,
                "generation": item.generation,
                # The difference may be negative, by two clocks or an upload after the last write: nothing is behind
                # then.
                "lag": go_duration(max(0.0, (updated - item.end) / timedelta(seconds=1))),
                "start": rfc3339(item.start),
                "end": rfc3339(item.end),
                "reason": plain(item.reason),
            }
            for item in layout_of([replica]).spans(replica)
        ]
        return sorted(rows, key=lambda row: str(row["start"]))

    return _list(args, named.replicas, ["name", "generation", "lag", "start", "end", "reason"], rows_of)


def snapshots(args: Namespace) -> int:
    """The snapshots of each replica."""
    from replication.restore.layouts import layout_of

    def rows_of(replica: OpenReplica) -> list[Row]:
        return [_object_row(replica, item) for item in layout_of([replica]).snapshots(replica)]

    header = ["replica", "generation", "index", "size", "created"]
    return _list(args, resolve(args, "snapshots").replicas, header, rows_of)


def wal(args: Namespace) -> int:
    """The WAL segments of each replica."""
    from replication.restore.layouts import layout_of

    generation = generation_of(args)

    def rows_of(replica: OpenReplica) -> list[Row]:
        return [_object_row(replica, item) for item in layout_of([replica]).segments(replica, generation)]

    header = ["replica", "generation", "index", "offset", "size", "created"]
    return _list(args, resolve(args, "wal").replicas, header, rows_of)


def _object_row(replica: OpenReplica, item: HeldObject) -> Row:
    row: Row = {"replica": replica.name, "generation": item.generation, "index": item.index}
    if item.offset is not None:
        row["offset"] = item.offset
    row["size"] = item.size
    row["created"] = rfc3339(item.created)
    return row


def _list(
    args: Namespace, replicas: list[OpenReplica], header: list[str], rows_of: Callable[[OpenReplica], list[Row]]
) -> int:
    rows: list[Row] = []
    exit_code = 0
    for replica in replicas:
        try:
            rows.extend(rows_of(replica))
        except (StorageError, CorruptObjectError) as error:
            complain(f"replica {replica.name}: {error}")
            exit_code = error.exit_code
    _show(args, header, rows)
    return exit_code


def _show(args: Namespace, header: list[str], rows: list[Row]) -> None:
    if args.json:
        say(json.dumps(rows, indent=2))
    else:
        say(table(header, [[str(row[column]) for column in header] for row in rows]))


def _updated(database: DatabaseConfig | None) -> datetime:
    """When the database was last written; now, if only a replica is known."""
    times: list[int] = []
    if database is not None:
        for path in (database.path, Path(f"{database.path}-wal")):
            with suppress(OSError):
                times.append(path.stat().st_mtime_ns)
    return _EPOCH + timedelta(microseconds=max(times) // 1000) if times else datetime.now(UTC)

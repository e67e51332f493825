"""verify: is what a replica holds restorable? Restore it to a temporary file, let SQLite check all of it, say so.

It needs no engine and does not touch the source. That the restored content is the source's, page for page, is what
a running engine proves (`v` on the screen, validation-interval).
"""

import json
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from replication.errors import ReplicationError
from replication.restore.choose import Source
from replication.restore.restore import RestoreOptions, RestoreResult, restore
from tui.console import complain, say, warn
from tui.format import counted, size
from tui.sources import NamedReplica, resolve
from tui.verbs.restore import Bar, cancelled_by_signals


def run(args: Namespace) -> int:
    """Verify each replica; 0 if all are restorable, else the exit code of the last that is not."""
    named = resolve(args, "verify")
    rows: list[dict[str, object]] = []
    exit_code = 0
    with cancelled_by_signals() as cancel, tempfile.TemporaryDirectory(prefix="litestream-tui-verify-") as folder:
        for number, replica in enumerate(named.replicas):
            bar = Bar()
            try:
                options = RestoreOptions(integrity_check="full")
                source = [Source(replica.name, replica.client)]
                result = restore(source, Path(folder) / f"{number}.db", options, bar.show, cancel)
            except ReplicationError as error:
                bar.clear()
                if cancel.is_set():
                    raise
                complain(f"replica {replica.name} is not restorable: {error}")
                rows.append({"replica": replica.name, "outcome": "failed", "error": str(error)})
                exit_code = error.exit_code
                continue
            bar.clear()
            result.output.unlink()
            _tell(args, replica, result)
            rows.append(_row(result))
    if args.json:
        say(json.dumps(rows, indent=2))
    return exit_code


def _tell(args: Namespace, replica: NamedReplica, result: RestoreResult) -> None:
    for text in result.warnings:
        warn(text)
    if not args.json:
        say(
            f"replica {replica.name} is restorable to {result.position}: {result.pages} pages, {size(result.size)}, "
            f"{counted(result.segments + 1, 'object')}, full check {result.check}, {result.seconds:.2f}s"
        )


def _row(result: RestoreResult) -> dict[str, object]:
    return {
        "replica": result.replica,
        "outcome": "ok" if result.check == "ok" else "inconclusive",
        "position": str(result.position),
        "pages": result.pages,
        "page_size": result.page_size,
        "objects": result.segments + 1,
        "check": result.check,
        "seconds": round(result.seconds, 3),
        "time": time.time(),
    }

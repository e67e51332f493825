"""verify: is what a replica holds restorable, and what the source holds? Restore it to a temporary file and look.

It works with or without an engine running elsewhere, and writes nothing but that file. Each replica has one of
three outcomes: ok, failed, or inconclusive with the reason; the exit code is that of the worst.
"""

import json
import threading
import time
from argparse import Namespace
from contextlib import closing
from pathlib import Path

from replication.comparison import Compared, verify
from replication.database.together import all_databases
from replication.errors import UsageError
from replication.restore.output import local_errors
from replication.restore.scratch import scratch, temporary_folder
from tui.text.format import counted, size
from tui.verbs.console import complain, say, warn
from tui.verbs.named import Named, config_of, named, resolve
from tui.verbs.restore import Bar, cancelled_by_signals

SCRATCH_PREFIX = "litestream-tui-verify-"


def run(args: Namespace) -> int:
    """Verify each replica. Return 0 if all are ok, else the exit code of the last that failed or was inconclusive."""
    found = _named(args)
    rows: list[dict[str, object]] = []
    codes = {"failed": 0, "inconclusive": 0}
    place = temporary_folder()
    with cancelled_by_signals() as cancel, local_errors(place), scratch(place, SCRATCH_PREFIX) as folder:
        for item in found:
            for row, outcome, code in _verify(item, args, folder, cancel):
                rows.append(row)
                if outcome in codes:
                    codes[outcome] = code
    if args.json:
        say(json.dumps(rows, indent=2))
    return codes["failed"] or codes["inconclusive"]


def _named(args: Namespace) -> list[Named]:
    """What the command line names; every configured database if it names none."""
    if args.source:
        return [resolve(args, "verify")]
    config = config_of(args)
    found = [named(item, args.replica) for item in all_databases(config) if item.replicas]
    if not found:
        raise UsageError("the configuration names no database with a replica, so that there is nothing to verify")
    return found


def _verify(
    named: Named, args: Namespace, folder: Path, cancel: threading.Event
) -> list[tuple[dict[str, object], str, int]]:
    """One row, outcome and exit code for each replica."""
    found: list[tuple[dict[str, object], str, int]] = []
    for replica in named.replicas:
        bar = Bar()
        began = time.monotonic()
        with closing(replica.storage):
            try:
                compared = verify(replica, named.database, folder, bar.show, cancel)
            finally:
                bar.clear()
        path = str(named.database.path) if named.database is not None else ""
        _tell(args, path, replica.name, compared)
        code = compared.error.exit_code if compared.error is not None else 0
        row = _row(path, replica.name, compared, code, time.monotonic() - began)
        found.append((row, compared.outcome, code))
    return found


def _tell(args: Namespace, path: str, replica: str, compared: Compared) -> None:
    result = compared.result
    for text in result.warnings if result is not None else ():
        warn(text)
    who = f"{path} replica {replica}" if path else f"replica {replica}"
    if compared.outcome == "failed":
        what = "differs from its source" if compared.compared else "is not restorable"
        complain(f"{who} {what}: {compared.words}")
    elif compared.outcome == "inconclusive":
        complain(f"{who} inconclusive: {compared.words}")
    elif result is not None and not args.json:
        equal = ", equal to the source" if compared.compared else ""
        say(
            f"{who} is restorable to {result.position}: {result.pages} pages, {size(result.size)}, "
            f"{counted(result.segments + 1, 'object')}, full check {result.check}{equal}, {result.seconds:.2f}s"
        )


def _row(path: str, replica: str, compared: Compared, code: int, seconds: float) -> dict[str, object]:
    result = compared.result
    return {
        "database": path or None,
        "replica": replica,
        "outcome": compared.outcome,
        "words": compared.words,
        "compared": compared.compared,
        "exit_code": code,
        "error": str(compared.error) if compared.error is not None else None,
        "position": str(result.position) if result is not None else None,
        "pages": result.pages if result is not None else None,
        "page_size": result.page_size if result is not None else None,
        "objects": result.segments + 1 if result is not None else None,
        "check": result.check if result is not None else None,
        "seconds": round(seconds, 3),
        "time": time.time(),
    }

"""verify: is what a replica holds restorable, and what the source holds? Restore it to a temporary file and look.

It works with or without an engine running elsewhere, and writes nothing but that file. Where the store cannot be
reached from here, the engine that runs does it. Each replica has one of three outcomes: ok, failed, or inconclusive
with the reason; the exit code is that of the worst.
"""

import json
import threading
import time
from argparse import Namespace
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from replication.comparison import Compared, verify
from replication.control.requests import Verify
from replication.database.together import all_databases
from replication.errors import ReplicaDiffersError, UsageError
from replication.restore.output import local_errors
from replication.restore.scratch import scratch, temporary_folder
from replication.scrub import quoted
from replication.status import Outcome, Verification
from tui.text.format import counted, size
from tui.verbs.by_engine import ByEngine, instead, named_by_socket
from tui.verbs.console import complain, say, warn
from tui.verbs.named import Named, config_of, named, resolve
from tui.verbs.restore import Bar, cancelled_by_signals, showing

SCRATCH_PREFIX = "litestream-tui-verify-"


@dataclass(frozen=True, slots=True)
class _Row:
    """One replica: what is printed as JSON, and how it ended."""

    values: dict[str, object]
    outcome: Outcome
    code: int


def run(args: Namespace) -> int:
    """Verify each replica. Return 0 if all are ok, else the exit code of the last that failed or was inconclusive."""
    rows: list[_Row] = []
    parent = temporary_folder()
    with cancelled_by_signals() as cancel, showing() as bar:
        if args.socket is not None:
            for by in _engines(args):
                with closing(by):
                    rows += _by_engine(by, args, bar, cancel)
        else:
            found = _named(args)
            with local_errors(parent), scratch(parent, SCRATCH_PREFIX) as folder:
                for item in found:
                    rows += _verify(item, args, folder, bar, cancel)
    if args.json:
        say(json.dumps([row.values for row in rows], indent=2))
    codes = {row.outcome: row.code for row in rows}
    return codes.get("failed", 0) or codes.get("inconclusive", 0)


def _named(args: Namespace) -> list[Named]:
    """What the command line names; every configured database if it names none."""
    if args.source:
        return [resolve(args, "verify")]
    config = config_of(args)
    found = [named(item, config, args.replica) for item in all_databases(config) if item.replicas]
    if not found:
        raise UsageError("the configuration names no database with a replica, so that there is nothing to verify")
    return found


def _engines(args: Namespace) -> list[ByEngine]:
    """The engine of -socket, for the database that is named, or for each that it has."""
    first = named_by_socket(args, or_all=True)
    return [first] if args.source else first.for_each()


def _verify(named: Named, args: Namespace, folder: Path, bar: Bar, cancel: threading.Event) -> list[_Row]:
    """A row for each replica: found out here, or by the engine where the store cannot be reached from here."""
    rows: list[_Row] = []
    for replica in named.replicas:
        began = time.monotonic()
        with closing(replica.storage):
            try:
                compared = verify(replica, named.database, folder, bar.show, cancel)
            finally:
                bar.clear()
        if compared.outcome == "inconclusive" and compared.error is not None:
            by = instead(compared.error, named)
            if by is not None:
                with closing(by):
                    done = {str(row.values["replica"]): row for row in _by_engine(by, args, bar, cancel)}
                # The engine verifies all replicas at once.
                return [row for row in rows if row.values["replica"] not in done] + list(done.values())
        path = str(named.database.path) if named.database is not None else ""
        _tell(args, path, replica.name, compared)
        code = compared.error.exit_code if compared.error is not None else 0
        row = _row(path, replica.name, compared, code, time.monotonic() - began)
        rows.append(_Row(row, compared.outcome, code))
    return rows


def _by_engine(by: ByEngine, args: Namespace, bar: Bar, cancel: threading.Event) -> list[_Row]:
    found: tuple[Verification, ...] = by.do(Verify(database=by.database), bar, cancel)
    rows = []
    for item in found:
        if args.replica not in (None, item.replica):
            continue
        who = f"{by.database} replica {item.replica}"
        if item.outcome == "failed":
            complain(f"{who}: {item.words}")
        elif item.outcome == "inconclusive":
            complain(f"{who} inconclusive: {item.words}")
        elif not args.json:
            say(f"{who} at {item.position}: {item.words}, {item.seconds:.2f}s, by the engine, pid {by.pid}")
        rows.append(_Row(_row_of_engine(by, item), item.outcome, item.exit_code))
    if not rows:
        raise UsageError(f"{by.database} has no replica called {quoted(str(args.replica))!r}")
    return rows


def _row_of_engine(by: ByEngine, found: Verification) -> dict[str, object]:
    """As `_row`. What the engine does not tell is null."""
    values = _row(by.database, found.replica, Compared(found.outcome, found.words), found.exit_code, found.seconds)
    return values | {
        "compared": found.outcome == "ok" or found.exit_code == ReplicaDiffersError.exit_code,
        "error": found.words if found.outcome != "ok" else None,
        "position": str(found.position) if found.position is not None else None,
        "time": found.time,
        "engine": by.pid,
    }


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
        "engine": None,
    }

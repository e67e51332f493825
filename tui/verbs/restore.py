"""restore: a database from a replica, at the latest commit or at any other."""

import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from types import FrameType

from replication.comparison import known_of_source
from replication.config.location import output_path
from replication.errors import NoBackupError, RestoreCancelledError, UsageError
from replication.offline import look
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult, prepare, restore
from replication.restore.retry import CANCELLED
from replication.restore.target import Latest, Target, parse_index, parse_position, parse_time
from tui.text.format import counted, size
from tui.verbs.console import complain, leave, say, warn
from tui.verbs.named import generation_of, resolve

_PROGRESS_SECONDS = 0.1
_STORE_WAIT_SECONDS_MAX = 1.0
"""How long a cancelled restore still waits for an answer of the store."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(args: Namespace) -> int:
    """Restore as the flags say; raises ReplicationError, and then nothing was left behind."""
    target = _target(args)
    generation = generation_of(args)
    named = resolve(args, "restore")
    if args.output is None and named.database is None:
        raise UsageError("output path required: with a replica URL, say where to with -o PATH")
    if args.output == "":
        raise UsageError("-o needs a path; leave it out to restore to the database's own")
    output = output_path(args.output) if named.database is None or args.output is not None else named.database.path
    if args.if_db_not_exists and os.path.exists(output):  # noqa: PTH110 (false where Path.exists raises)
        say(f"{output} exists already: nothing to do")
        return 0
    sources = named.replicas
    options = RestoreOptions(target, generation, args.parallelism, args.integrity_check, keep_failed=True, waiting=warn)
    if named.database is not None:
        database = named.database
        options = replace(options, newest=lambda: look(database).position)
    try:
        with cancelled_by_signals() as cancel:
            if named.database is not None and args.integrity_check != "none":
                options = replace(options, known=known_of_source(named.database, args.integrity_check, cancel))
            bar = Bar()

            def waiting(words: str) -> None:
                bar.clear()
                warn(words)

            options = replace(options, waiting=waiting)
            try:
                if args.dry_run:
                    return _dry_run(args, sources, options, cancel)
                result = restore(sources, output, options, bar.show, cancel)
            finally:
                bar.clear()
                # A thread that still waits for one that is silent would keep the process.
                for source in sources:
                    source.storage.interrupt()
    except NoBackupError as error:
        if args.if_replica_exists:
            say(f"no matching backups found: {error}")
            return 0
        raise
    _tell(args, result)
    return 0


@contextmanager
def cancelled_by_signals() -> Iterator[threading.Event]:
    """An event that the first signal sets; a second one, or a second of waiting, breaks off a wait for the store."""
    cancel = threading.Event()

    def cancelled(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise RestoreCancelledError(CANCELLED)
        cancel.set()
        signal.setitimer(signal.ITIMER_REAL, _STORE_WAIT_SECONDS_MAX, _STORE_WAIT_SECONDS_MAX)

    numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, cancelled) for number in (*numbers, signal.SIGALRM)}
    try:
        yield cancel
    except RestoreCancelledError as error:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        # Threads that still wait for the store would keep the process until it answers.
        complain(str(error))
        leave(error.exit_code)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _target(args: Namespace) -> Target:
    given = [name for name in ("index", "timestamp", "position") if getattr(args, name) is not None]
    if len(given) > 1:
        raise UsageError(f"cannot specify {' & '.join(given)} to restore; give one of them")
    if args.index is not None:
        return parse_index(args.index)
    if args.timestamp is not None:
        return parse_time(args.timestamp)
    if args.position is not None:
        return parse_position(args.position)
    return Latest()


def _dry_run(args: Namespace, sources: list[OpenReplica], options: RestoreOptions, cancel: threading.Event) -> int:
    prepared = prepare(sources, options, cancel)
    for text in prepared.warnings:
        warn(text)
    if args.json:
        say(json.dumps({"replica": prepared.source.name, **prepared.plan.values()}, indent=2))
    else:
        say(f"from replica {prepared.source.name} at {prepared.source.address}")
        for line in prepared.plan.lines():
            say(line)
    return 0


def _tell(args: Namespace, result: RestoreResult) -> None:
    if args.json:
        values = asdict(result)
        values["output"], values["position"] = str(result.output), str(result.position)
        say(json.dumps(values, indent=2))
        return
    for text in result.warnings:
        warn(text)
    say(
        f"restored {result.output} from replica {result.replica} at {result.position}: "
        f"{result.pages} pages, {size(result.size)}, {counted(result.segments + 1, 'object')}, "
        f"{args.integrity_check} check {result.check}, {result.seconds:.2f}s"
    )


class Bar:
    """One line on a terminal that says how far it is; nothing in a pipe."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._began = time.monotonic()
        self._shown = 0.0

    def show(self, progress: RestoreProgress) -> None:
        now = time.monotonic()
        if not self._on or now < self._shown + _PROGRESS_SECONDS:
            return
        self._shown = now
        seconds = now - self._began
        rate = f"{size(progress.bytes_done / seconds)}/s" if seconds > 1 else ""
        share = f"{100 * progress.bytes_done // progress.bytes_total:3}%" if progress.bytes_total else "    "
        text = (
            f"{progress.phase:9}{share}  {size(progress.bytes_done)} of {size(progress.bytes_total)}  "
            f"{progress.objects_done}/{progress.objects_total} objects  {rate}"
        )
        print(f"\r{text[:78]:78}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._on and self._shown:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)

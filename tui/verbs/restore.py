"""restore: a database from a replica, at the latest commit or at any other."""

import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from replication.comparison import known_of_source
from replication.config.location import output_path
from replication.control.requests import Plan, Restore
from replication.errors import NoBackupError, RestoreCancelledError, StorageError, UsageError
from replication.offline import look
from replication.restore.open_replica import OpenReplica
from replication.restore.output import check_free
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult, prepare, restore
from replication.restore.retry import CANCELLED
from replication.restore.target import Latest, Target, parse_index, parse_position, parse_time
from tui.text.format import counted, size
from tui.verbs.by_engine import ByEngine, instead, named_by_socket
from tui.verbs.console import complain, leave, say, warn
from tui.verbs.named import Named, generation_of, resolve

_PROGRESS_SECONDS = 0.1
_STORE_WAIT_SECONDS_MAX = 1.0
"""How long a cancelled restore still waits for an answer of the store."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(args: Namespace) -> int:
    """Restore as the flags say; raises ReplicationError, and then nothing was left behind."""
    target = target_of(args, "restore")
    generation = generation_of(args)
    by = None if args.socket is None else named_by_socket(args)
    named = resolve(args, "restore") if by is None else None
    database = named.database if named is not None else None
    own = Path(by.database) if by is not None else database.path if database is not None else None
    output = _output(args, own)
    if args.if_db_not_exists and os.path.exists(output):  # noqa: PTH110 (false where Path.exists raises)
        say(f"{output} exists already: nothing to do")
        return 0
    try:
        with cancelled_by_signals() as cancel, showing() as bar:
            if named is not None:
                try:
                    return _here(args, named, output, RestoreOptions(target, generation), bar, cancel)
                except StorageError as error:
                    bar.clear()
                    by = instead(error, named)
                    if by is None:
                        raise
            assert by is not None
            with closing(by):
                return _by_engine(args, by, output, bar, cancel)
    except NoBackupError as error:
        if args.if_replica_exists:
            say(f"no matching backups found: {error}")
            return 0
        raise


def _output(args: Namespace, own: Path | None) -> Path:
    if args.output == "":
        raise UsageError("-o needs a path; leave it out to restore to the database's own")
    if args.output is not None:
        return output_path(args.output)
    if own is None:
        raise UsageError("output path required: with a replica URL, say where to with -o PATH")
    return own


def _here(
    args: Namespace, named: Named, output: Path, options: RestoreOptions, bar: "Bar", cancel: threading.Event
) -> int:
    def waiting(words: str) -> None:
        bar.clear()
        warn(words)

    options = replace(
        options,
        parallelism=args.parallelism,
        integrity_check=args.integrity_check,
        keep_failed=True,
        waiting=waiting,
    )
    if (database := named.database) is not None:
        options = replace(options, newest=lambda: look(database).position)
        if args.integrity_check != "none":
            options = replace(options, known=known_of_source(database, args.integrity_check, cancel))
    try:
        if args.dry_run:
            return _dry_run(args, named.replicas, options, cancel)
        result = restore(named.replicas, output, options, bar.show, cancel)
    finally:
        # A thread that still waits for one that is silent would keep the process.
        for source in named.replicas:
            source.storage.interrupt()
    bar.clear()
    _tell(args, result)
    return 0


def _by_engine(args: Namespace, by: ByEngine, output: Path, bar: "Bar", cancel: threading.Event) -> int:
    moment: dict[str, Any] = {
        "database": by.database,
        "replica": args.replica or "",
        "only": args.replica is not None,
        "generation": args.generation or "",
        "position": args.position or "",
        "timestamp": args.timestamp or "",
        "index": args.index or "",
    }
    if args.dry_run:
        fetch = by.do(Plan(**moment), bar, cancel)
        for text in fetch.warnings:
            warn(text)
        say(json.dumps(fetch.plan, indent=2) if args.json else "\n".join(fetch.lines))
        return 0
    # The engine may see other files at that path.
    check_free(output)
    request = Restore(
        **moment,
        output=str(output),
        integrity_check=args.integrity_check,
        keep_failed=True,
        parallelism=args.parallelism,
    )
    result = by.do(request, bar, cancel)
    bar.clear()
    by.look_for(output)
    _tell(args, result, by.pid)
    return 0


@contextmanager
def cancelled_by_signals(words: str = CANCELLED) -> Iterator[threading.Event]:
    """An event that the first signal sets; a second one, or a second of waiting, breaks off a wait for the store.

    Then `words` are told, and the process ends.
    """
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
        complain(words)
        leave(error.exit_code)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def heed_no_signal() -> None:
    """For the end of what `cancelled_by_signals` has around it: what is done now cannot be called cancelled."""
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    for number in (*_SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def target_of(args: Namespace, what: str) -> Target:
    """The commit that the flags name. Raises UsageError."""
    given = [name for name in ("index", "timestamp", "position") if getattr(args, name) is not None]
    if len(given) > 1:
        raise UsageError(f"cannot specify {' & '.join(given)} to {what}; give one of them")
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


def _tell(args: Namespace, result: RestoreResult, engine: int | None = None) -> None:
    if args.json:
        values = {**asdict(result), "engine": engine}
        values["output"], values["position"] = str(result.output), str(result.position)
        say(json.dumps(values, indent=2))
        return
    for text in result.warnings:
        warn(text)
    say(
        f"restored {result.output} from replica {result.replica} at {result.position}: "
        f"{result.pages} pages, {size(result.size)}, {counted(result.segments + 1, 'object')}, "
        f"{args.integrity_check} check {result.check}, {result.seconds:.2f}s"
        + (f", by the engine, pid {engine}" if engine is not None else "")
    )


@contextmanager
def showing() -> Iterator["Bar"]:
    """A bar that is gone at the end."""
    bar = Bar()
    try:
        yield bar
    finally:
        bar.clear()


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
            self._shown = 0.0

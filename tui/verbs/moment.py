"""What verbs share that look at a moment of a database without restoring it."""

import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from replication.config import DatabaseConfig
from replication.errors import UsageError
from replication.history.cache import Tables, cache_folder
from replication.history.contract import Timeline
from replication.history.moments import read_timeline
from replication.offline import look
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions
from replication.restore.target import AtTime, Latest, Target, parse_position
from replication.times import format_time
from tui.restore.picker.times import EXAMPLES, parse_asked
from tui.text.format import counted, size
from tui.verbs.console import remark, warn
from tui.verbs.named import generation_of, resolve
from tui.verbs.restore import Bar, cancelled_by_signals

CANCELLED = "It was cancelled; nothing was changed and nothing is left behind."


@dataclass(frozen=True, slots=True)
class Looking:
    """What a command line names to look at; `cancel` is set by a signal."""

    sources: list[OpenReplica]
    options: RestoreOptions
    tables: Tables
    cancel: threading.Event
    database: DatabaseConfig | None
    """The database, if it was named by its path."""


@contextmanager
def looking(args: Namespace, what: str, target: Target) -> Iterator[Looking]:
    """The replicas, asked as a restore of a target asks them. Raises UsageError, ConfigError."""
    generation = generation_of(args)
    named = resolve(args, what)
    database = named.database
    options = RestoreOptions(target, generation, args.parallelism, waiting=warn)
    if database is not None:
        options = replace(options, newest=lambda: look(database).position)
    with cancelled_by_signals(CANCELLED) as cancel:
        try:
            yield Looking(named.replicas, options, Tables(cache_folder(os.environ)), cancel, database)
        finally:
            # A thread that still waits for one that is silent would keep the process.
            for source in named.replicas:
                source.storage.interrupt()


@contextmanager
def timeline_at(args: Namespace, what: str, target: Target) -> Iterator[tuple[Timeline, threading.Event]]:
    """What a restore of a target would follow, and an event that a signal sets. Raises as a restore."""
    with looking(args, what, target) as at:
        bar = Bar()
        try:
            timeline = read_timeline(at.sources, at.options, at.tables, bar.show, at.cancel)
        finally:
            bar.clear()
        for text in timeline.warnings:
            warn(text)
        yield timeline, at.cancel


def moment_of(text: str) -> Target:
    """A moment as it is written: now, a position, or a time. Raises UsageError."""
    if text.lower() == "now":
        return Latest()
    if "/" in text:
        return parse_position(text)
    try:
        return AtTime(datetime.fromtimestamp(parse_asked(text, time.time()), UTC))
    except UsageError:
        raise UsageError(
            f"{text!r} is no moment: it is now, a position as log prints them, or a time in UTC, as {EXAMPLES}"
        ) from None


TIMES = "committed: as it was seen at the database, by the clock of the store; stored: when the store got the object"


def when(seen: datetime | None, stored: datetime) -> str:
    """Which of the two times is known."""
    return f"committed {format_time(seen)}" if seen is not None else f"stored {format_time(stored)}"


def tell(timeline: Timeline, where: object) -> None:
    """Which moment it was, and what looking at it has cost: on standard error, beside the answer."""
    fetched = f"{counted(timeline.requests, 'request')} beside its WAL, {size(timeline.bytes_read)} read"
    remark(f"at {where}, from replica {timeline.replica}: {fetched}")

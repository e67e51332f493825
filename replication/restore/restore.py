"""A restore from beginning to end: choose, plan, fetch, verify, write, check, put in place.

Its promise (3 in docs/INVARIANTS.md): the file that appears equals, page for page, the database right after one commit,
or nothing appears. It leaves to the caller which replicas there are, and what to tell the user meanwhile.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replication import space
from replication.position import Position
from replication.restore.apply import DatabaseFile
from replication.restore.follow import follow
from replication.restore.layout import Attempts, Prepared
from replication.restore.layouts import layout_of
from replication.restore.meter import Phase as Phase
from replication.restore.meter import RestoreMeter
from replication.restore.meter import RestoreProgress as RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions as RestoreOptions
from replication.restore.output import Output, check_free, local_errors
from replication.restore.retry import check
from replication.restore.verdict import look_at


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored. `size` is that of the file, `bytes_fetched` counts stored bytes, retries included.

    `check` is "ok", "skipped", "as in the source" if it fails as the source does, or why SQLite could not check the
    file here. `problems` are what SQLite found.
    """

    output: Path
    replica: str
    position: Position
    snapshot: str
    segments: int
    bytes_fetched: int
    pages: int
    page_size: int
    size: int
    seconds: float
    check: str
    warnings: tuple[str, ...] = field(default=())
    problems: tuple[str, ...] = ()
    is_as_noted: bool = False
    """True if the snapshot's note says that SQLite found the same problems in the source."""

    @property
    def generation(self) -> str:
        return self.position.generation


def prepare(sources: Sequence[OpenReplica], options: RestoreOptions, cancel: threading.Event | None = None) -> Prepared:
    """What `restore` would do. Nothing is written. Raises StorageError, UsageError and the children of RestoreError."""
    return layout_of(sources).attempts(sources, options, cancel or threading.Event()).prepared


def restore(
    sources: Sequence[OpenReplica],
    output: Path,
    options: RestoreOptions = RestoreOptions(),  # noqa: B008 (frozen)
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> RestoreResult:
    """Restore into `output`, which must not exist.

    `progress` is called in this thread. Setting `cancel` ends the restore with RestoreCancelledError.
    Raises every child of RestoreError, StorageError and LocalFileError; whatever is raised, nothing is left
    behind.
    """
    began = time.monotonic()
    stop = cancel or threading.Event()
    # Refused before the store is asked for anything.
    check_free(output.absolute())
    progress(RestoreProgress("plan", 0, 0, 0, 0))
    attempts = layout_of(sources).attempts(sources, options, stop)
    return follow(attempts, lambda attempts: _run(attempts, output, options, progress, stop, began))


def _run(
    attempts: Attempts,
    path: Path,
    options: RestoreOptions,
    progress: Callable[[RestoreProgress], None],
    stop: threading.Event,
    began: float,
) -> RestoreResult:
    """Follow one plan."""
    prepared = attempts.prepared
    plan = prepared.plan
    meter = RestoreMeter(plan.size, plan.objects, progress)
    needed = max(plan.file_size, options.size)
    folder, what = path.absolute().parent, f"A restore to {path}"
    space.ask(folder, needed + options.beside(needed), what, options.elsewhere)
    with Output(path) as output:
        file = DatabaseFile(output.descriptor, space.guard(output.path.parent, what, options.elsewhere))
        with local_errors(output.path):
            written = attempts.write(output, file, meter)
        meter.begin("check", plan.objects)
        with output.syncing(written.mode if not options.private else None):
            verdict = look_at(output, options.integrity_check, stop)
        check(stop)
        warnings = (*prepared.warnings, *plan.remarks, *written.remarks)
        if verdict.problems:
            known = "" if verdict.is_noted_in(written.problems) else options.known(output.temporary, verdict.problems)
            warnings += (verdict.accepted(output, written.problems, known, options.keep_failed),)
        output.put_in_place()
    meter.begin("done", plan.objects)
    if written.is_unfinished:
        warnings += ("The replica ends inside a transaction, which was left out: it had not been committed there.",)
    return RestoreResult(
        output=output.path,
        replica=prepared.source.name,
        position=written.position,
        snapshot=written.base,
        segments=written.changes,
        bytes_fetched=meter.bytes_done,
        pages=written.size // written.page_size,
        page_size=written.page_size,
        size=written.size,
        seconds=time.monotonic() - began,
        check=verdict.word,
        warnings=warnings,
        problems=verdict.problems,
        is_as_noted=verdict.is_noted_in(written.problems),
    )

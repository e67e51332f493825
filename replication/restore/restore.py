"""A restore from beginning to end: choose, plan, fetch, verify, write, check, put in place.

Its promise (number 3 of the design): the file that appears equals, page for page, the database right after
one commit, or nothing appears. It leaves to the caller: which replicas there are, and what to tell the user
meanwhile.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from replication import space
from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    ReplicationError,
    RestoreCancelledError,
    StorageError,
    UnprovenSnapshotError,
)
from replication.position import Position
from replication.restore.ahead import ahead
from replication.restore.apply import DatabaseFile
from replication.restore.catalog import Snapshot, read_catalog
from replication.restore.choose import Source, choose, refused
from replication.restore.fetch import Fetcher
from replication.restore.offers import Answer, Offer, Refusal
from replication.restore.output import Output, check_free, local_errors
from replication.restore.plan import OTHER_GENERATION, Plan, last_point_words, make_plan, may_be_newer
from replication.restore.replay import Replay
from replication.restore.retry import Backoff, check
from replication.restore.target import AtPosition, Latest, Target
from replication.restore.verdict import Check, look_at
from replication.restore.witness import prove
from replication.steps import reached

PARALLELISM_DEFAULT = 8
SNAPSHOT_PIECES_AHEAD = 8
"""Pieces of a snapshot, of at most 1 MiB each, that are decompressed while others are written."""
USELESS_SNAPSHOTS_MAX = 100
"""How many damaged snapshots a restore goes back past."""
REPLANS_MAX = 3
"""How often a restore begins anew because the replica changed under it, by retention or a new snapshot."""

Phase = Literal["plan", "snapshot", "wal", "check", "done"]


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What to restore and how carefully; `generation` None means that it is chosen.

    `thorough` reads the WAL up to the target even where a snapshot holds that very commit, as for any later one.
    `private` gives the file to its owner alone, whatever the replica notes of the database's permissions.
    The disk must have room for the file, `size` bytes at least, and for what `beside` says of a file of some size,
    and keep the reserve of the application; `elsewhere` says where there may be room, after "free some space".
    `known` is asked where SQLite's check fails: given the restored file and what SQLite says, it says in words why the
    source is known to be so, or nothing. `keep_failed` keeps a file that fails it beside the output, if that is not
    known.
    """

    target: Target = Latest()  # noqa: RUF009 (frozen)
    generation: str | None = None
    parallelism: int = PARALLELISM_DEFAULT
    integrity_check: Check = "quick"
    backoff: Backoff = Backoff()  # noqa: RUF009 (frozen)
    thorough: bool = False
    private: bool = False
    size: int = 0
    beside: Callable[[int], int] = lambda size: 0
    elsewhere: str = ", or restore to another disk (-o)."
    known: Callable[[Path, Sequence[str]], str] = lambda path, problems: ""
    keep_failed: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is: stored bytes and objects, of how many."""

    phase: Phase
    bytes_done: int
    bytes_total: int
    objects_done: int
    objects_total: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a restore would do: for -dry-run and for the question before it begins."""

    source: Source
    plan: Plan
    warnings: tuple[str, ...]
    offer: Offer
    answers: tuple[Answer, ...]
    """What each replica says, this one first."""


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
    """The snapshot says that SQLite found so much in the source."""

    @property
    def generation(self) -> str:
        return self.position.generation


def prepare(sources: Sequence[Source], options: RestoreOptions, cancel: threading.Event | None = None) -> Prepared:
    """Choose the replica and generation, and plan. Nothing is written.

    Raises StorageError, NoRestorePointError, ReplicaGapError, RestoreCancelledError.
    """
    stop = cancel or threading.Event()
    chosen = choose(sources, options.target, options.generation, stop, options.thorough)
    return Prepared(chosen.source, chosen.best.plan, chosen.warnings, chosen.best, chosen.answers)


def restore(
    sources: Sequence[Source],
    output: Path,
    options: RestoreOptions = RestoreOptions(),
    progress: Callable[[Progress], None] = lambda progress: None,
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
    progress(Progress("plan", 0, 0, 0, 0))
    prepared = prepare(sources, options, stop)
    failed: list[Refusal] = []
    while True:
        try:
            return _follow(prepared, output, options, progress, stop, began)
        except (StorageError, CorruptObjectError, ReplicaGapError, NoRestorePointError) as error:
            failed.append(Refusal(prepared.source, error, prepared.offer.end))
            others = [item for item in prepared.answers if item.source is not prepared.source]
            following = _next_best(failed[0], others)
            if following is None:
                raise refused([*failed, *others]) from None
            warning = f"Replica {prepared.source.name} could not be restored from: {error}"
            prepared = Prepared(
                following.source, following.plan, (*prepared.warnings, warning), following, tuple(others)
            )


def _next_best(failed: Refusal, others: Sequence[Answer]) -> Offer | None:
    """The next offer, if it reaches what the best one promised: an older commit would not be what was asked for."""
    offers = (item for item in others if isinstance(item, Offer))
    following = next(offers, None)
    if following is None or failed.known is None:
        return following
    return following if following.end >= failed.known else None


def _follow(
    prepared: Prepared,
    output: Path,
    options: RestoreOptions,
    progress: Callable[[Progress], None],
    stop: threading.Event,
    began: float,
) -> RestoreResult:
    """Follow a plan, and make it anew while retention or a new snapshot changes the replica under it.

    A snapshot that is damaged, or of which it cannot be proven what it holds, is left out: an older one with all WAL
    since gives the same.
    """
    useless: list[Snapshot] = []
    need: Position | None = None
    original: ReplicationError | None = None
    changes = 0
    while True:
        try:
            return _run(prepared, output, options, progress, stop, began, need)
        except (ObjectNotFoundError, CorruptObjectError, ReplicaGapError, UnprovenSnapshotError) as error:
            snapshot = prepared.plan.snapshot
            if isinstance(error, UnprovenSnapshotError) or getattr(error, "name", "") == snapshot.info.name:
                useless.append(snapshot)
            again = _prepare_again(options, stop, prepared, useless)
            changes += snapshot not in useless
            if again is None or changes > REPLANS_MAX or len(useless) > USELESS_SNAPSHOTS_MAX:
                raise _final(original or error) from None
            warnings = prepared.warnings
            if snapshot in useless:
                original = original or error
                warnings += _left_out(snapshot, error, options.target)
                if not isinstance(error, UnprovenSnapshotError) and not isinstance(options.target, AtPosition):
                    need = max(need or snapshot.position, snapshot.position)
            prepared = replace(again, warnings=warnings)


def _left_out(snapshot: Snapshot, error: ReplicationError, target: Target) -> tuple[str, ...]:
    name = snapshot.info.name
    if not isinstance(error, UnprovenSnapshotError):
        return (f"{error}. An older snapshot was used instead, with the WAL since.".replace("..", "."),)
    if not may_be_newer(snapshot, target):
        return ()
    return (f"{name}, which Litestream wrote, was left out: it may hold later commits, whose WAL never arrived.",)


def _prepare_again(
    options: RestoreOptions, stop: threading.Event, before: Prepared, useless: Sequence[Snapshot]
) -> Prepared | None:
    """A new plan for the same generation without these snapshots, if there is one."""
    try:
        found = read_catalog(before.source.client, before.plan.generation)
        catalog = replace(found, snapshots=tuple(item for item in found.snapshots if item not in useless))
        if not catalog.snapshots:
            return None
        plan = make_plan(catalog, options.target, options.thorough)
    except RestoreCancelledError:
        raise
    except ReplicationError:
        return None
    return replace(before, plan=plan) if plan != before.plan else None


def _final(error: ReplicationError) -> ReplicationError:
    if isinstance(error, ObjectNotFoundError):
        return ReplicaGapError(f"{error}, and the restore needs it. It was listed a moment ago: try again.")
    if isinstance(error, CorruptObjectError) and not error.remedy:
        return CorruptObjectError(error.name, error.why, OTHER_GENERATION)
    return error


def _run(
    prepared: Prepared,
    path: Path,
    options: RestoreOptions,
    progress: Callable[[Progress], None],
    stop: threading.Event,
    began: float,
    need: Position | None,
) -> RestoreResult:
    """Follow one plan. Raises ReplicaGapError if it ends before `need`."""
    plan = prepared.plan
    meter = _Meter(plan, progress)
    needed = max(plan.file_size, options.size)
    folder, what = path.absolute().parent, f"A restore to {path}"
    space.ask(folder, needed + options.beside(needed), what, options.elsewhere)
    with Output(path) as output:
        fetcher = Fetcher(
            prepared.source.client,
            output.folder,
            stop,
            options.parallelism,
            meter.count,
            options.backoff,
        )
        file = DatabaseFile(output.descriptor, space.guard(output.path.parent, what, options.elsewhere))
        replay = Replay(plan, file)
        try:
            with local_errors(output.path):
                meter.begin("snapshot", 0)
                with closing(ahead(fetcher.snapshot(plan.snapshot), SNAPSHOT_PIECES_AHEAD)) as pieces:
                    file.write_snapshot(plan.snapshot, meter.pieces(pieces))
                reached("output: snapshot written")
                prove(plan, file, fetcher)
                meter.begin("wal", 1 + len(plan.witnesses))
                _replay(plan, fetcher, replay, meter)
                replay.finish()
                _check_end(plan, fetcher, replay, need)
                reached("output: written")
                size = file.size
        finally:
            replay.close()
        note = plan.snapshot.note
        meter.begin("check", plan.objects)
        with output.syncing(note.mode if note and not options.private else None):
            verdict = look_at(output, options.integrity_check, stop)
        check(stop)
        warnings = (*prepared.warnings, *plan.remarks, *replay.remarks)
        if verdict.problems:
            known = "" if verdict.is_noted_in(note) else options.known(output.temporary, verdict.problems)
            warnings += (verdict.accepted(output, note, known, options.keep_failed),)
        output.put_in_place()
    meter.begin("done", plan.objects)
    if replay.unfinished:
        warnings += ("The replica ends inside a transaction, which was left out: it had not been committed there.",)
    return RestoreResult(
        output=output.path,
        replica=prepared.source.name,
        position=replay.reached,
        snapshot=plan.snapshot.info.name,
        segments=replay.segments,
        bytes_fetched=meter.bytes_done,
        pages=size // file.page_size,
        page_size=file.page_size,
        size=size,
        seconds=time.monotonic() - began,
        check=verdict.word,
        warnings=warnings,
        problems=verdict.problems,
        is_as_noted=verdict.is_noted_in(note),
    )


def _replay(plan: Plan, fetcher: Fetcher, replay: Replay, meter: "_Meter") -> None:
    """Feed all segments; where one is damaged, the error names the last point before it."""
    try:
        with closing(fetcher.segments(plan.segments)) as runs:
            for run in runs:
                replay.add(run)
                meter.objects_done(len(run.infos))
    except CorruptObjectError as error:
        if replay.settled == plan.start and plan.snapshot.note is None:
            # Which commit the snapshot holds, only the segments tell.
            raise
        raise CorruptObjectError(error.name, error.why, last_point_words(replay.settled)) from None


def _check_end(plan: Plan, fetcher: Fetcher, replay: Replay, need: Position | None) -> None:
    """Raise ReplicaGapError if something is missing between what was used and what is known to be after it."""
    following = plan.following
    if following is not None:
        try:
            note = fetcher.segment_note(following.name) if following.offset == 0 else None
        except CorruptObjectError as error:
            note = None
            replay.remarks.append(f"{error}, so nothing says that the index before it is whole.")
        replay.check_following(note)
    if need is not None and replay.reached < need:
        raise ReplicaGapError(f"The WAL in the replica ends at {replay.reached}, before {need}.")


class _Meter:
    """Counts stored bytes, from any thread, and tells them from the thread of the restore."""

    def __init__(self, plan: Plan, progress: Callable[[Progress], None]) -> None:
        # Added up once: a plan may have very many segments, and each of them tells.
        self._bytes_total = plan.size
        self._objects_total = plan.objects
        self._progress = progress
        self._lock = threading.Lock()
        self._phase: Phase = "snapshot"
        self._objects = 0
        self.bytes_done = 0

    def count(self, size: int) -> None:
        with self._lock:
            self.bytes_done += size

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._tell()

    def begin(self, phase: Phase, objects: int) -> None:
        self._phase = phase
        self._objects = objects
        self._tell()

    def objects_done(self, count: int) -> None:
        self._objects += count
        self._tell()

    def _tell(self) -> None:
        total = self._bytes_total
        done = min(self.bytes_done, total)
        self._progress(Progress(self._phase, done, total, self._objects, self._objects_total))

"""Is what a replica holds restorable, and the source's, page for page? Answered from outside, engine running or not.

Its promise: "failed" is said only where the replica is to blame: it cannot be restored, or it differs from the
source at the same commit. Whatever keeps that from being found out is "inconclusive", with the reason. Nothing
but a temporary file is written. For a process without an engine: an engine's own verification knows more.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication.config import DatabaseConfig
from replication.database.image import Image, Overlay
from replication.errors import (
    DatabaseError,
    InconclusiveError,
    IntegrityCheckError,
    LocalFileError,
    NoRestorePointError,
    ReplicaDiffersError,
    ReplicationError,
    RestoreCancelledError,
    RestoreError,
)
from replication.local import soundness
from replication.local.folder import LocalFile
from replication.local.shadow_wal import ShadowWAL
from replication.offline import Reach, look
from replication.permissions import Ownership
from replication.position import Position
from replication.restore.layouts import layout_of
from replication.restore.open_replica import OpenReplica
from replication.restore.preview import ELSEWHERE
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult, restore
from replication.restore.restored import digest_of
from replication.restore.retry import check
from replication.restore.target import Latest, Target
from replication.sqlite import integrity
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.content import digest as digest_of_content
from replication.sqlite.integrity import Thoroughness
from replication.sqlite.still import Still, still
from replication.sqlite.wal import WALHeader
from replication.status import Outcome
from replication.survey import reach

WAIT_SECONDS_MAX = 30.0
"""How long a running engine may take to bring the source's newest commit to a replica."""
VIEWS_MAX = 3
"""Commits of the source that are tried, where the replica has only later ones."""
COMPARED_LATER = "it is compared with its source"
_LOOK_SECONDS = 0.25

Show = Callable[[RestoreProgress], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """How a verification ended. `error` is set where it did not end well: its exit code is that of the command."""

    outcome: Outcome
    words: str
    compared: bool = False
    """True if the source was compared with, at the same commit."""
    result: RestoreResult | None = None
    """Its check is "as in the source" where SQLite finds fault with both."""
    error: ReplicationError | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """The source at one commit: the digest of its pages, and where that commit is in the generation, if it is known."""

    digest: str
    position: Position | None
    why_not: str = ""


def verify(
    replica: OpenReplica,
    database: DatabaseConfig | None,
    folder: Path,
    show: Show = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Compared:
    """Restore a replica below `folder`, let SQLite check all of it, and compare it with its source, if that is given.

    Raises RestoreCancelledError; all else is an outcome.
    """
    stop = cancel or threading.Event()
    output = folder / "restored.db"
    try:
        if database is None:
            result = _restore(replica, output, Latest(), None, show, stop)
            return _unsound(result) or Compared("ok", "restorable; there is no source to compare with", result=result)
        return _verify(replica, database, output, show, stop)
    except RestoreCancelledError:
        raise
    except RestoreError as error:
        return Compared("failed", str(error), error=error)
    except ReplicationError as error:
        return Compared("inconclusive", str(error), error=error)
    finally:
        output.unlink(missing_ok=True)


def _verify(
    replica: OpenReplica, database: DatabaseConfig, output: Path, show: Show, stop: threading.Event
) -> Compared:
    for _ in range(VIEWS_MAX):
        try:
            view = _view(database, stop)
        except (DatabaseError, LocalFileError, OSError) as error:
            words = str(error) if isinstance(error, ReplicationError) else f"{database.path}: {error.strerror}"
            view = _View("", None, words)
        position, why_not = view.position, view.why_not
        if position is None:
            break
        found = _wait_for(replica, database, position, stop)
        if found is None or found < position:
            there = f"the replica reaches {found}" if found else "the replica has nothing of this generation"
            why_not = f"{there}, and the newest commit of {database.path} is {position}"
            break
        with suppress(NoRestorePointError):
            target = layout_of([replica]).target_at(replica, position)
            result = _restore(replica, output, target, position.generation, show, stop)
            return _compared(database, view, position, result, output)
        # The first snapshot came later than this commit. A later commit can be compared.
        why_not = f"the replica holds later commits than {position} only"
    result = _restore(replica, output, Latest(), None, show, stop)
    if view.digest and digest_of(output) == view.digest:
        return _equal(result)
    if (unsound := _unsound(result)) is not None:
        return unsound
    unclear = InconclusiveError(f"restorable to {result.position}, but not compared with its source: {why_not}")
    return Compared("inconclusive", str(unclear), False, result, unclear)


def _compared(
    database: DatabaseConfig, view: _View, position: Position, result: RestoreResult, output: Path
) -> Compared:
    if digest_of(output) == view.digest:
        return _equal(result)
    differs = ReplicaDiffersError(
        f"what was restored differs from {database.path} at the same commit, {position}; keep the replica for a look, "
        "and let replication begin a new generation: stop it, remove the local folder, start it"
    )
    return Compared("failed", str(differs), True, result, differs)


def _equal(result: RestoreResult) -> Compared:
    words = "restored, checked, and equal to the source"
    if result.problems:
        words = f"restored, and equal to the source, which itself fails SQLite's check: {'; '.join(result.problems)}"
    return Compared("ok", words, True, result)


def _unsound(result: RestoreResult) -> Compared | None:
    """The failure if SQLite finds fault with the restored file and the source is not known to be so too; else None."""
    if not result.problems or result.is_as_noted:
        return None
    error = IntegrityCheckError(
        f"restored to {result.position}, and SQLite's check says: {'; '.join(result.problems)}. It is not known "
        "whether the database it comes from says the same"
    )
    return Compared("failed", str(error), False, result, error)


def _restore(
    replica: OpenReplica,
    output: Path,
    target: Target,
    generation: str | None,
    show: Show,
    stop: threading.Event,
) -> RestoreResult:
    options = RestoreOptions(
        target=target,
        generation=generation,
        integrity_check="full",
        known=_compared_later,
        elsewhere=ELSEWHERE,
    )
    result = restore([replica], output, options, show, stop)
    if result.check != "ok" and not result.problems:
        raise InconclusiveError(f"restorable to {result.position}, but SQLite could not check it: {result.check}")
    return result


def _compared_later(path: Path, problems: Sequence[str]) -> str:
    return COMPARED_LATER


def known_of_source(
    database: DatabaseConfig, thoroughness: Thoroughness, stop: threading.Event
) -> Callable[[Path, Sequence[str]], str]:
    """The function that a restore calls where SQLite's check fails: why the source is known to be so, in words, or "".

    For a process that has the database open in no other way.
    """

    def known(restored: Path, problems: Sequence[str]) -> str:
        if integrity.are_among(problems, soundness.recall(database.meta_path)):
            return "the database itself failed it so when a replica was last compared with it"
        try:
            if not database.path.exists():
                return ""
            with still(database.path) as source:
                if _digest_still(source, stop) == digest_of(restored):
                    return f"it equals {database.path}, page for page"
                if integrity.are_among(problems, source.problems(thoroughness, stop.is_set)):
                    return f"{database.path} itself fails it so"
        except integrity.Interrupted:
            check(stop)
        except (DatabaseError, OSError, integrity.Inconclusive):
            pass
        return ""

    return known


# -- the source -------------------------------------------------------------------------------------------------------


def _view(database: DatabaseConfig, stop: threading.Event) -> _View:
    """The source at its newest commit. Its reader has ended when this returns."""
    if not database.path.exists():
        return _View("", None, f"{database.path} does not exist")
    if (names := database.path.stat().st_nlink) > 1:
        why = f"{database.path} has {names} names (hard links), and commits by another name are not seen by this one"
        return _View("", None, why)
    with still(database.path) as source:
        digest = _digest_still(source, stop)
        place, why_not = _place(database, source)
    return _View(digest, place, why_not)


def _digest_still(source: Still, stop: threading.Event) -> str:
    """The digest of the pages at the commit: from the WAL what is there, the rest from the database file."""

    def digest(overlay_end: int) -> str:
        overlay = Overlay.read(LocalFile.at(source.wal_path), overlay_end, source.page_size)
        image = Image(Position("", 0, source.end), source.pages, source.page_size, overlay, source.read)
        return digest_of_content(_until_cancelled(image.chunks(), stop))

    if source.end:
        try:
            found = digest(source.end)
        except (OSError, ValueError):
            # The WAL was emptied while we read it; was_restarted says so.
            found = ""
        if found and not source.was_restarted():
            return found
    return digest(0)


def _place(database: DatabaseConfig, source: Still) -> tuple[Position | None, str]:
    """The position of the source's commit in the generation that the local folder follows, or None and why it is not
    known.
    """
    shadow = ShadowWAL(database.meta_path, Ownership())
    generation = shadow.current_generation()
    if generation is None:
        return None, f"{database.path} was never replicated from here: there is no {database.meta_path}"
    if not source.is_held:
        return None, "its WAL is gone, so that what was committed since replication stopped cannot be told"
    running = look(database).pid is not None
    indexes = shadow.indexes(generation)
    for index in reversed(indexes[-2:]):
        with shadow.file(generation, index).opened() as file:
            head = os.pread(file, WAL_HEADER_SIZE, 0)
        if len(head) < WAL_HEADER_SIZE:
            # The engine is about to begin it.
            indexes = indexes[:-1]
            continue
        if WALHeader.parse(head).salts != source.salts:
            continue
        if not source.end:
            # A writer had begun this life of the WAL and not committed yet.
            return _end_before(shadow, generation, index), ""
        if running or source.end <= shadow.size(generation, index):
            return Position(generation, index, source.end), ""
        return None, "it has commits that were not copied, and nobody replicates it"
    if not running:
        what = "restarted" if source.end else "emptied"
        return None, f"its WAL was {what} since replication stopped, so that it cannot be told what was committed"
    # The engine has not come to this life of the WAL yet; it goes on in the next index.
    following = indexes[-1] + 1 if indexes else 0
    return Position(generation, following, source.end) if source.end else _end_before(shadow, generation, following), ""


def _end_before(shadow: ShadowWAL, generation: str, index: int) -> Position:
    """The last commit before an index: the end of the one before, which nothing can be added to."""
    before = shadow.size(generation, index - 1) if index else 0
    return Position(generation, index - 1, before) if before else Position(generation, index, 0)


# -- the replica ------------------------------------------------------------------------------------------------------


def _wait_for(
    replica: OpenReplica, database: DatabaseConfig, wanted: Position, stop: threading.Event
) -> Position | None:
    """How far the replica reaches in the generation of `wanted`, after a running engine was given the time to get
    there.
    """
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        found: Reach = reach(replica, wanted.generation)
        if found.position is not None and found.position >= wanted:
            return found.position
        if look(database).pid is None or time.monotonic() >= deadline:
            return found.position
        check(stop)
        stop.wait(_LOOK_SECONDS)


def _until_cancelled(pieces: Iterable[bytes], stop: threading.Event) -> Iterable[bytes]:
    for piece in pieces:
        check(stop)
        yield piece

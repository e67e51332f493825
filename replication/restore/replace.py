"""A restored content for the live database: the one act that takes something away, so it keeps it.

Its promise: every commit that was acknowledged is in the live database or in the kept file, and both are whole, at
every moment, whatever other programs open the database meanwhile. The file stays the same one: the new content is
written into it by SQLite, as one transaction, while nobody else can read or write it. Whatever fails, the old content
is in place. It leaves to the caller that replication is paused meanwhile (`pause` and `resume`), and to the user that
the application is stopped: it refuses if it sees that it is not.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from replication import space
from replication.errors import DatabaseError, RestoreError
from replication.nofollow import check_path
from replication.restore.kept import Keeping, check_free_name, check_names, fresh_path
from replication.restore.open_replica import OpenReplica
from replication.restore.output import local_errors
from replication.restore.picked import restore_picked
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult
from replication.restore.retry import check
from replication.sqlite.exclusive import (
    ALONE_BUSY_TIMEOUT_MS,
    Alone,
    DatabaseInUseError,
    alone,
    check_alone,
    in_use,
    room_to_write,
)
from replication.sqlite.later import Look, later, look
from replication.sqlite.openers import Opener, openers
from replication.steps import reached

_OPENERS_AGAIN_SECONDS = 0.01
_ELSEWHERE = ", or restore to a new file on another disk; nothing was changed."


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was restored into the live path, and where the old database is now."""

    result: RestoreResult
    kept: Path


def restore_over(
    sources: Sequence[OpenReplica],
    live: Path,
    options: RestoreOptions,
    kept: Path,
    pause: Callable[[], None] = lambda: None,
    resume: Callable[[], object] = lambda: None,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
    since: Look | None = None,
    picked: str = "",
) -> Replaced:
    """Restore, then make that the content of `live`, with replication paused from before until after.

    The old content is kept as `kept`, a name from `kept_path`. A warning names commits after the look `since`.
    `picked` names the replica in which the point was chosen, if one was.
    Raises all that `restore` raises, DatabaseInUseError and DatabaseError; whatever is raised, `live` is as it was
    and replication goes on.
    """
    with local_errors(live), suppress(FileNotFoundError):
        check_path(live)
    real = Path(os.path.realpath(live))
    if not real.is_file():
        raise RestoreError(f"{live} is not there, so there is nothing to replace. Restore to it as to a new file.")
    if kept.parent != real.parent:
        raise RestoreError(
            f"{live} leads to {real} now, and the old content was to be kept as {kept}. Choose the restore again; "
            "nothing was changed."
        )
    check_names(real, kept)
    check_free_name(kept)
    check_other_names(real)
    old = _size(real)
    space.ask(real.parent, old, f"To keep {real.name} alone", _ELSEWHERE)
    with Keeping(real) as keeping:
        pause()
        try:
            check_unused(real)
            before = since if since is not None else look(real)
            fresh = fresh_path(real)
            try:
                with local_errors(fresh):
                    keeping.remove_fresh()
                # All that it comes to, before anything is fetched: beside the restored file the kept one, and its pages
                # once more in the WAL of the live one, which may grow by them too.
                options = replace(
                    options,
                    private=True,
                    keep_failed=False,
                    beside=lambda size: old + room_to_write(old, size),
                    elsewhere=_ELSEWHERE,
                )
                result = restore_picked(sources, picked, fresh, options, progress, cancel)
                try:
                    with alone(real) as held:
                        stop = cancel or threading.Event()
                        warnings = _exchange(held, fresh, result.page_size, kept, keeping, before, stop)
                except DatabaseInUseError:
                    raise in_use(real, "; ".join(map(str, openers(real)))) from None
                reached("replacement: done")
            finally:
                with suppress(OSError):
                    keeping.remove_fresh()
            return Replaced(replace(result, output=live, warnings=(*result.warnings, *warnings)), kept)
        finally:
            resume()


def check_unused(live: Path) -> None:
    """Raise DatabaseInUseError, naming who it is where that can be seen, if another process keeps `live` open."""
    if found := _staying(live):
        raise in_use(live, "; ".join(map(str, found)))
    try:
        check_alone(live)
    except DatabaseInUseError:
        raise in_use(live, "; ".join(map(str, openers(live)))) from None
    except DatabaseError as error:
        raise RestoreError(
            f"{live} cannot be kept as one file, for SQLite cannot open it ({error}). Stop the application, move "
            f"{live.name} and whatever begins with {live.name}- away, and restore to {live} as to a new file."
        ) from None


def check_other_names(live: Path) -> None:
    """Raise RestoreError if commits wait in a WAL of another name of the file: SQLite looks for it at that name only.

    Only the folder of `live` is looked at; nothing tells where else a file has names.
    """
    with local_errors(live):
        own = live.stat()
        if own.st_nlink == 1:
            return
        for other in live.parent.iterdir():
            if other.name == live.name or not other.is_file() or not other.samefile(live) or other.is_symlink():
                continue
            for suffix in ("-wal", "-journal"):
                beside = Path(f"{other}{suffix}")
                if beside.is_file() and _holds_something(beside):
                    raise RestoreError(
                        f"{other} is the same file as {live}, and {beside.name} may hold commits of it. Open the "
                        f"database as {other.name} once and close it, then try again; nothing was changed."
                    )


def _holds_something(side: Path) -> bool:
    """False for an empty WAL or journal, and for a journal whose header SQLite has zeroed."""
    with side.open("rb") as file:
        return file.read(1) not in (b"", b"\0")


def _exchange(
    held: Alone, fresh: Path, page_size: int, kept: Path, keeping: Keeping, before: Look, cancel: threading.Event
) -> tuple[str, ...]:
    """Keep the old content of the database, and give it that of `fresh`. Return warnings, in words."""
    live = held.path

    def go_on() -> None:
        check(cancel)

    # Now that nobody writes by any name.
    check_other_names(live)
    room = _size(live) + held.room_to_write(fresh.stat().st_size, page_size)
    space.ask(live.parent, room, f"To keep {live.name} and to write what was restored into it", _ELSEWHERE)
    commits = later(before, look(live))
    held.fold_in()
    reached("replacement: wal folded in")
    keeping.copy(held.pieces(go_on))
    try:
        warning = keeping.name(kept)
        unfinished = held.write(fresh, go_on)
    except BaseException as error:
        if held.undo():
            keeping.drop()
            raise
        if not isinstance(error, Exception):
            raise
        raise DatabaseError(
            f"{error}. {live} could not be brought to rest: whoever opens it next makes SQLite take back what was "
            f"written. All that it held is in {kept} as well; keep that until the database was looked at."
        ) from None
    warnings = [warning] if warning else []
    if unfinished:
        warnings.append(f"The restored content is in {live}-wal still ({unfinished}), which must stay beside {live}.")
    if commits != "":
        got = f"got {commits}" if commits else "may have got commits, for it was in use"
        warnings.append(
            f"{live} {got} while this restore was chosen and done. {kept.name} has them; what was restored does not."
        )
    return tuple(warnings)


def _staying(live: Path) -> list[Opener]:
    """Who has `live` open, and goes on having it: an application that opens it for each request is given time."""
    deadline = time.monotonic() + ALONE_BUSY_TIMEOUT_MS / 1000
    while found := openers(live):
        if time.monotonic() > deadline:
            break
        time.sleep(_OPENERS_AGAIN_SECONDS)
    return found


def _size(live: Path) -> int:
    """Bytes of the old database at most: its file, and what its WAL may add."""
    with local_errors(live):
        size = live.stat().st_size
        wal = Path(f"{live}-wal")
        return size + (wal.stat().st_size if wal.exists() else 0)

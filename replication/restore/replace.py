"""A restored file in the place of the live database: the one act that takes something away, so it keeps it.

Its promise: at every moment the live path holds either the old database, whole, or the restored one; the old one
stays beside it as one file; whatever fails, the old one is in place. It leaves to the caller that replication is
paused meanwhile (`pause` and `resume`), and to the user that the application is stopped: it refuses if not.
"""

import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from replication.errors import DatabaseError, OutputExistsError, RestoreError
from replication.restore.choose import Source
from replication.restore.output import NO_LINKS, local_errors, sync_folder
from replication.restore.restore import Progress, RestoreOptions, RestoreResult, restore
from replication.sqlite.exclusive import DatabaseInUseError, alone, check_alone, in_use
from replication.sqlite.openers import openers
from replication.steps import reached

KEPT_NAMES_MAX = 100
"""Names tried for the old file before we give up."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was restored into the live path, and where the old database is now."""

    result: RestoreResult
    kept: Path
    warnings: tuple[str, ...] = ()


def kept_path(live: Path, now: datetime) -> Path:
    """The name that the old database gets at `now`: free, beside it, and saying what it is."""
    real = Path(os.path.realpath(live))
    stem = f"{real.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, KEPT_NAMES_MAX + 1):
        kept = real.with_name(stem if number == 1 else f"{stem}-{number}")
        if not os.path.lexists(kept):
            return kept
    raise OutputExistsError(f"{real.with_name(stem)} and its like are all taken. Move old copies away, and try again.")


def restore_over(
    sources: Sequence[Source],
    live: Path,
    options: RestoreOptions,
    now: datetime,
    pause: Callable[[], None] = lambda: None,
    resume: Callable[[], None] = lambda: None,
    progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Replaced:
    """Restore, then put the file in the place of `live`, with replication paused from before until after.

    That `live` is in nobody's use is looked at first and held at the end. Raises all that `restore` raises,
    DatabaseInUseError and DatabaseError; whatever is raised, `live` is as it was and replication goes on.
    """
    real = Path(os.path.realpath(live))
    if not real.is_file():
        raise RestoreError(f"{live} is not there, so there is nothing to replace. Restore to it as to a new file.")
    kept = kept_path(live, now)
    pause()
    try:
        check_unused(real)
        # One name, so that what a killed process left is not left for ever.
        fresh = real.with_name(f".{real.name}.replacement")
        with local_errors(fresh):
            fresh.unlink(missing_ok=True)
        result = restore(sources, fresh, options, progress, cancel)
        try:
            warnings = put_in_place(real, fresh, kept)
        finally:
            with suppress(OSError):
                fresh.unlink()
        return Replaced(replace(result, output=live), kept, warnings)
    finally:
        resume()


def check_unused(live: Path) -> None:
    """Raise DatabaseInUseError, naming who it is where that can be seen, if anybody has `live` open."""
    if found := openers(live):
        raise in_use(live, "; ".join(map(str, found)))
    try:
        check_alone(live)
    except DatabaseInUseError:
        raise
    except DatabaseError as error:
        raise RestoreError(
            f"{live} cannot be kept as one file, for SQLite cannot open it ({error}). Stop the application, move "
            f"{live.name} and whatever begins with {live.name}- away, and restore to {live} as to a new file."
        ) from None


def put_in_place(live: Path, fresh: Path, kept: Path) -> tuple[str, ...]:
    """Give `live` (no link) the name `kept`, and `fresh`, in the same folder, its own; warnings, in words.

    Raises DatabaseInUseError, DatabaseError, LocalFileError, OutputExistsError; `live` is then as it was.
    """
    with local_errors(live):
        warnings = _dress(live, fresh)
    with alone(live):
        if found := openers(live):
            raise in_use(live, "; ".join(map(str, found)))
        with local_errors(live):
            linked = _keep(live, kept)
            reached("replacement: old one kept")
            try:
                # Were the power lost, the new name could be there without the old one's second, and with its WAL.
                sync_folder(live.parent)
                # Nobody who opens the path ever finds it empty: one name goes from the old file to the new.
                fresh.rename(live)
            except BaseException:
                if linked:
                    kept.unlink()
                else:
                    kept.rename(live)
                raise
            reached("replacement: named")
            sync_folder(live.parent)
            reached("replacement: durable")
    return warnings


def _keep(live: Path, kept: Path) -> bool:
    """A second name for the old file; False if the file system has no links, and the name was moved."""
    try:
        os.link(live, kept, follow_symlinks=False)
        return True
    except FileExistsError:
        raise OutputExistsError(f"{kept} exists already. Try again: the next name has another time.") from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    live.rename(kept)
    return False


def _dress(live: Path, fresh: Path) -> tuple[str, ...]:
    """The owner and the permission bits of the old file for the new one."""
    old, new = live.stat(), fresh.stat()
    warnings: tuple[str, ...] = ()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.chown(fresh, old.st_uid, old.st_gid)
        except OSError:
            warnings = (f"{live} belongs to another user now: the old file's owner could not be given to it.",)
    fresh.chmod(stat.S_IMODE(old.st_mode))
    return warnings

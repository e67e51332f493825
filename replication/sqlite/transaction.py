"""The transaction that brings rows back: tried out where nobody sees it, or made in the database itself.

Its promise: trying it out writes nothing to the database and lets nobody wait; making it is one transaction of that one
file. The stage is read, and only the preview writes to it.
"""

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from replication.errors import BringBackError, LocalFileError
from replication.sqlite.bring_back import Tried, bring_back
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.sqlite.how import How
from replication.sqlite.live_pages import connect_to_write, live_pages, wal_life
from replication.sqlite.opening import opening
from replication.sqlite.overlay import overlay
from replication.sqlite.same import drop_same
from replication.sqlite.stage import Stage


@dataclass(frozen=True, slots=True)
class Life:
    """A life of the WAL by its salts, and the frames that counted in it."""

    salts: tuple[int, int]
    frames: int


@dataclass(frozen=True, slots=True)
class TriedOut:
    """What would be done with the database as it was at the time `now`, and bytes that would be written."""

    tried: Tried
    now: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What was done. `before` and `after` are the WAL right before the commit and after it, in WAL mode."""

    tried: Tried
    began: datetime
    ended: datetime
    page_size: int
    before: Life | None
    after: Life | None


def try_out(
    path: Path, stage: Stage, how: How, stop: threading.Event, guard: Callable[[int], None] = lambda size: None
) -> TriedOut:
    """Take out of the stage what is there as it was, and run the transaction on the pages of the database as it is now.

    `guard` is told what is written to temporary files, and may raise. Raises as `bring_back`, and DatabaseError.
    """
    bytes_written = 0

    def written(size: int) -> None:
        nonlocal bytes_written
        bytes_written += size
        guard(size)

    with _errors(path), live_pages(path) as pages, overlay(pages, written) as connection:
        stage.attach(connection, is_written=True)
        drop_same(connection, stage, stop)
        tried = bring_back(connection, stage, how, stop)
        return TriedOut(tried, pages.at, bytes_written)


def make(
    path: Path,
    stage: Stage,
    how: How,
    stop: threading.Event,
    check: Callable[[Tried], None],
    committing: Callable[[], None] = lambda: None,
) -> Made:
    """Run the transaction on the database. `check` sees what was done before the commit, and what it raises undoes it.

    `committing` is called right before the commit: after that it may not be said that nothing was changed. Raises as
    `bring_back`, and DatabaseError; then nothing was.
    """
    with (
        _errors(path),
        opening(path) as at,
        closing(connect_to_write(at)) as connection,
        closing(connect_to_write(at)) as asked,
    ):
        stage.attach(connection)
        is_wal = asked.pragma("journal_mode") == "wal"
        page_size = int(asked.pragma("page_size"))
        before: list[Life] = []

        def checked(tried: Tried) -> None:
            check(tried)
            # While nobody else can write.
            before[:] = [_life(asked)] if is_wal else []
            committing()

        began = datetime.now(UTC)
        tried = bring_back(connection, stage, how, stop, checked)
        ended = datetime.now(UTC)
        after = None
        with suppress(apsw.Error):
            # It is committed, whatever is not known of it.
            after = _life(asked) if is_wal else None
        return Made(tried, began, ended, page_size, before[0] if before else None, after)


def _life(connection: apsw.Connection) -> Life:
    salts, frames = wal_life(connection)
    first, second = struct.unpack(">2I", salts)
    return Life((first, second), frames)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    with sqlite_errors(path):
        try:
            yield
        except (DatabaseBusyError, apsw.BusyError) as error:
            if isinstance(error, DatabaseBusyError) and not str(error).endswith("trying again"):
                raise
            raise DatabaseBusyError(
                f"{path} is locked by another program, perhaps one that has it for itself alone. Nothing was "
                "changed; try again, or write the rows to a file with -o and let that program bring them in"
            ) from None
        except apsw.FullError as error:
            raise LocalFileError(
                f"Bringing rows back into {path} takes more room than there is: {error}. Bring back fewer at a time; "
                "nothing was changed."
            ) from None
        except apsw.SQLError as error:
            if "same text encoding" not in str(error):
                raise
            raise BringBackError(
                f"{path} has another text encoding now than it had then. Write the rows to a file with -o, and read "
                "that into it; nothing was changed."
            ) from None
        except OSError as error:
            raise LocalFileError(f"{path}: {error.strerror or error}; nothing was changed.") from None

"""Where one database stands: what any thread may ask of it at any time, waiting for nobody.

Each answer is right for one instant; two of them may be of two instants. It leaves to Database to change anything.
"""

import os
from collections.abc import Callable
from pathlib import Path

from replication.counts import Counts
from replication.database.arrivals import Arrivals
from replication.database.current import CurrentGeneration
from replication.database.exclusive_use import Custody
from replication.database.health import Health
from replication.database.open_database import OpenDatabase
from replication.database.opening import Opening
from replication.database.source_files import Written
from replication.database.upkeep import Upkeep
from replication.database.wal_scanner import WALCursor
from replication.events import Emit
from replication.local.generation_info import GenerationInfo
from replication.local.shadow_wal import ShadowWAL
from replication.position import Position
from replication.status import DatabaseTotals


class Standing:
    """The parts of a database, and what any thread may ask of them."""

    def __init__(self, path: Path, meta_path: Path, emit: Emit, clock: Callable[[], float]) -> None:
        self.path = path
        self.meta_path = meta_path
        self.health = Health()
        self.errors = Counts()
        """How many errors of each class there were since the program began."""
        self._emit = emit
        self._clock = clock
        self._custody = Custody(path, meta_path)
        self._current = CurrentGeneration(self._custody, emit, clock)
        self._upkeep = Upkeep(self._current)
        self._opening = Opening(self._custody, self._current, emit, clock)

    def name_control(self, path: str) -> None:
        """Write into the lock where the engine can be asked. Called before the lock is taken."""
        self._custody.control = path

    @property
    def position(self) -> Position | None:
        """The end of the last commit copied, or None until the database was opened."""
        return self._current.position

    @property
    def generation_info(self) -> GenerationInfo:
        """How the generation in use began."""
        return self._current.generation_info

    @property
    def generations(self) -> tuple[str, ...]:
        """Generations with local WAL, oldest first, the current one last."""
        return self._current.names

    @property
    def arrivals(self) -> Arrivals:
        return self._current.arrivals

    @property
    def counts(self) -> Counts:
        """What was done since the program began, by the fields of DatabaseTotals."""
        return self._current.counts

    @property
    def totals(self) -> DatabaseTotals:
        """The same, with the errors, as a value."""
        get, errors = self.counts.get, self.errors.all()
        return DatabaseTotals(
            wal_bytes=int(get("wal_bytes")),
            syncs=int(get("syncs")),
            sync_errors=int(sum(count for _, count in errors)),
            sync_seconds=get("sync_seconds"),
            checkpoints=int(get("checkpoints")),
            checkpoint_errors=int(get("checkpoint_errors")),
            checkpoint_seconds=get("checkpoint_seconds"),
            errors=errors,
        )

    @property
    def shadow_bytes(self) -> int:
        """Bytes of the shadow WAL of the generation in use, as far as was looked at."""
        return self._upkeep.shadow_bytes

    @property
    def shadow(self) -> ShadowWAL:
        return self._current.shadow

    @property
    def page_size(self) -> int:
        """The page size of the file that was open last, 0 if none was."""
        return self._opening.page_size

    @property
    def was_killed(self) -> bool:
        """True if the last engine that had the lock did not end in good order."""
        return self._custody.was_killed

    @property
    def stands_by(self) -> bool:
        """True while another engine has the database, and this one waits for its end."""
        return self._custody.stands_by

    @property
    def locked(self) -> bool:
        """True while the engine lock of this database is ours."""
        return self._custody.lock is not None

    @property
    def cursor(self) -> WALCursor | None:
        """How far the current life of the WAL was copied, or None before its first commit and while not open."""
        opened = self._opened
        return opened.copier.cursor if opened is not None and opened.copier is not None else None

    @property
    def last_look(self) -> tuple[Path, tuple[int, int, int]] | None:
        """The path of the WAL, and how the last sync saw it (WALCopier.seen).

        None if the next sync has more to do than copy.
        """
        opened = self._opened
        if opened is None or opened.copier is None or not self.is_quiet or opened.images:
            return None
        seen = opened.copier.seen
        return (opened.wal_path, seen) if seen is not None else None

    @property
    def look_again_seconds(self) -> float | None:
        """How soon to sync again since frames were found that may come to count; None if there were none."""
        opened = self._opened
        return opened.copier.look_again_seconds if opened is not None and opened.copier is not None else None

    @property
    def is_quiet(self) -> bool:
        """True while the database is ours, and nobody asked for a new generation."""
        return self.locked and not self._current.wanted

    @property
    def size(self) -> int:
        """Bytes of the database file as the last sync saw it; 0 while it is not open."""
        opened = self._opened
        return opened.files.written.size if opened is not None else 0

    @property
    def device(self) -> int:
        """The device of the file that is open, 0 if none is."""
        opened = self._opened
        return opened.identity[0] if opened is not None else 0

    @property
    def is_in_place(self) -> bool:
        """True while the files are as the last sync saw them, and the lock file keeps others away. Waits for nobody."""
        opened, lock = self._opened, self._custody.lock
        if opened is None or lock is None or not lock.is_in_place:
            return False
        status = os.stat(self.path)  # noqa: PTH116 (links are followed, as SQLite does)
        same = (status.st_dev, status.st_ino) == opened.identity and Written.of(status) == opened.files.written
        return same and status.st_nlink == opened.files.names and opened.wal_index.is_in_place()

    @property
    def _opened(self) -> OpenDatabase | None:
        return self._opening.opened

    @property
    def _wal_bytes(self) -> int:
        opened = self._opened
        return opened.copier.wal_bytes if opened is not None and opened.copier is not None else self.health.wal_bytes

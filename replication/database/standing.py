"""Where one database stands: what any thread may ask of it at any time, waiting for nobody.

Each answer is right for one instant; two of them may be of two instants. It leaves to Database to change anything.
"""

import os
from collections.abc import Callable
from pathlib import Path

from replication.database.arrivals import Arrivals
from replication.database.current import CurrentGeneration
from replication.database.custody import Custody
from replication.database.health import Health
from replication.database.held import Held
from replication.database.opening import Opening
from replication.database.origin import Origin
from replication.database.shadow_wal import ShadowWAL
from replication.database.source_files import Written
from replication.database.tail import Mark
from replication.events import Emit
from replication.position import Position


class Standing:
    """The parts of a database, and what they tell."""

    def __init__(self, path: Path, meta_path: Path, emit: Emit, clock: Callable[[], float]) -> None:
        self.path = path
        self.meta_path = meta_path
        self.health = Health()
        self._emit = emit
        self._clock = clock
        self._custody = Custody(path, meta_path)
        self._current = CurrentGeneration(self._custody, emit, clock)
        self._opening = Opening(self._custody, self._current, emit, clock)

    def name_control(self, path: str) -> None:
        """Where its engine can be asked, for whoever finds the lock; before that is taken."""
        self._custody.control = path

    @property
    def position(self) -> Position | None:
        """The last commit copied; None until the database was opened."""
        return self._current.position

    @property
    def origin(self) -> Origin:
        """How the generation in use began."""
        return self._current.origin

    @property
    def generations(self) -> tuple[str, ...]:
        """Generations with local WAL, oldest first, the current one last."""
        return self._current.names

    @property
    def arrivals(self) -> Arrivals:
        return self._current.arrivals

    @property
    def shadow(self) -> ShadowWAL:
        return self._current.shadow

    @property
    def page_size(self) -> int:
        """Bytes of a page of the file that was held last, 0 if none was."""
        return self._opening.page_size

    @property
    def was_killed(self) -> bool:
        """True if whoever had the lock before did not let go in good order."""
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
    def mark(self) -> Mark | None:
        """How far the current life of the WAL was followed; None before the first commit, or while not open."""
        held = self._held
        return held.follower.mark if held is not None and held.follower is not None else None

    @property
    def last_look(self) -> tuple[Path, tuple[int, int, int]] | None:
        """The WAL, and how the last sync saw it (Follower.seen); None if the next has more to do than to copy."""
        held = self._held
        if held is None or held.follower is None or not self.is_quiet or held.images:
            return None
        seen = held.follower.seen
        return (held.wal_path, seen) if seen is not None else None

    @property
    def look_again_seconds(self) -> float | None:
        """How soon to sync again since frames were found that may come to count; None if there were none."""
        held = self._held
        return held.follower.look_again_seconds if held is not None and held.follower is not None else None

    @property
    def is_quiet(self) -> bool:
        """True while the database is ours, and nobody asked for a new generation."""
        return self.locked and not self._current.wanted

    @property
    def size(self) -> int:
        """Bytes of the database file as the last sync saw it; 0 while it is not held."""
        held = self._held
        return held.files.written.size if held is not None else 0

    @property
    def device(self) -> int:
        """The file system of the file that is held, 0 if none is."""
        held = self._held
        return held.identity[0] if held is not None else 0

    @property
    def is_in_place(self) -> bool:
        """True while the files are as the last sync saw them, and the lock file keeps others away. Waits for nobody."""
        held, lock = self._held, self._custody.lock
        if held is None or lock is None or not lock.is_in_place:
            return False
        status = os.stat(self.path)  # noqa: PTH116 (links are followed, as SQLite does)
        same = (status.st_dev, status.st_ino) == held.identity and Written.of(status) == held.files.written
        return same and status.st_nlink == held.files.names and held.wal_index.is_in_place()

    @property
    def _held(self) -> Held | None:
        return self._opening.held

    @property
    def _wal_bytes(self) -> int:
        held = self._held
        return held.follower.wal_bytes if held is not None and held.follower is not None else self.health.wal_bytes

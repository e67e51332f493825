"""The generation in use of one database: where it began, how far it was copied, and which older ones are kept here.

It promises that a generation goes on only with an unbroken copy of what came before, and that a new one is in use
only once all that the WAL holds was copied into it. It leaves to the caller to find out whether it may go on, and to
take hold of the database. Used under the lock of its database; the attributes may be read by any thread.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from replication.counts import Counts
from replication.database.arrivals import Arrivals
from replication.database.continuity import Begin, Continue, last_commit
from replication.database.exclusive_use import Custody
from replication.database.open_database import OpenDatabase
from replication.database.wal_copier import ContinuityLostError, WALCopier
from replication.errors import LocalFileError
from replication.events import Emit
from replication.local.generation_info import GenerationInfo
from replication.local.shadow_wal import ShadowWAL
from replication.local.unwritten import is_unchanged
from replication.permissions import Ownership
from replication.position import Position
from replication.steps import reached


class CurrentGeneration:
    """The generations of a database in its local folder, and the one in use."""

    def __init__(self, custody: Custody, emit: Emit, clock: Callable[[], float]) -> None:
        self.shadow = ShadowWAL(custody.meta_path, Ownership())
        self.position: Position | None = None
        """The end of the last commit copied, or None until the database was opened."""
        self.generation_info = GenerationInfo("", "", "", "")
        self.names: tuple[str, ...] = ()
        """Generations with local WAL, oldest first, the current one last."""
        self.arrivals = Arrivals()
        self.counts = Counts()
        """What was done for this database since the program began: the fields of DatabaseTotals but for the errors."""
        self.wanted = ""
        """Why a new generation must begin; "" while none must."""
        self._custody = custody
        self._emit = emit
        self._clock = clock

    @property
    def _meta_path(self) -> Path:
        return self._custody.meta_path

    def go_on(self, decision: Continue, opened: OpenDatabase, handed: bool) -> Begin | None:
        """Continue a generation. Return None, or why a new one must begin if that turns out not to be possible.

        With `handed` a reader of ours was there before the last copy: all of a life that ends has been copied.
        """
        self.generation_info = GenerationInfo.load(self._meta_path, decision.generation)
        copier = WALCopier(
            self.shadow, opened.wal_path, opened.wal_index, decision.generation, decision.index, decision.cursor
        )
        try:
            if handed:
                copier.copy()
            else:
                copier.copy_one_life()
            opened.check_files()
        except ContinuityLostError as lost:
            # What this copy brought is as uncertain as the file it belongs to.
            self.shadow.seal(decision.generation, decision.index, decision.cursor.offset)
            return Begin(str(lost))
        self._follow(opened, copier)
        self._emit("info", "generation continues", position=str(self.position))
        return None

    def go_on_unwritten(self, opened: OpenDatabase, handed: bool) -> bool:
        """Continue a generation in which nothing was ever committed, if the database's content is still the same.

        With `handed` a reader of ours was there at a moment when that was so, and the file is the same, so what the WAL
        holds is new.
        """
        generation = self.shadow.current_generation()
        if generation is None or self.shadow.indexes(generation) or self.wanted:
            return False
        copier = opened.copier = WALCopier(self.shadow, opened.wal_path, opened.wal_index, generation)
        same = handed or (not copier.wal_holds_anything() and self._is_unchanged(opened))
        if not same:
            opened.copier = None
            return False
        self.generation_info = GenerationInfo.load(self._meta_path, generation)
        self._follow(opened, copier)
        self._emit("info", "generation continues", position=str(self.position))
        return True

    def begin(self, reason: str, opened: OpenDatabase) -> None:
        """Start a generation at index 0 with what the WAL holds; its snapshots are the replicas' business."""
        previous = self.shadow.current_generation() or ""
        left = self._trim(previous) if previous else None
        generation = secrets.token_hex(8)
        # The reason stays until all of it is there, for the next try would find another one.
        self.wanted = reason
        self.shadow.make_generation(generation)
        reached("generation: folder made")
        try:
            copier = WALCopier(self.shadow, opened.wal_path, opened.wal_index, generation)
            copier.copy()
            opened.check_files()
            reached("generation: first frames copied")
            self.shadow.use_generation(generation)
            reached("generation: in use")
        except BaseException:
            with suppress(LocalFileError):
                self.shadow.remove_generation(generation)
            raise
        known = GenerationInfo.load(self._meta_path, previous)
        self.generation_info = GenerationInfo.now(generation, reason, known, left)
        self.generation_info.save(self._meta_path)
        reached("generation: origin saved")
        self.wanted = ""
        self._follow(opened, copier)
        self._emit("info", "generation begins", generation=generation, reason=reason)

    def copy(self, opened: OpenDatabase) -> None:
        """Copy what was committed. If that fails, what was copied before counts."""
        copier = opened.copier
        if copier is None:
            return
        before = copier.position
        try:
            opened.copy()
        finally:
            if copier.position != before:
                self._publish(copier)

    def _follow(self, opened: OpenDatabase, copier: WALCopier) -> None:
        opened.copier = copier
        assert self._custody.lock is not None
        written = opened.files.written
        self._custody.lock.describe(opened.identity[1], copier.wal_inode, (written.size, written.modified_ns))
        older = (name for name in self.shadow.generations() if name != copier.generation)
        self.names = (*older, copier.generation)
        self._publish(copier)
        self.copy(opened)

    def _publish(self, copier: WALCopier) -> None:
        self.position = copier.position
        self.arrivals.add(self.position, self._clock())
        self.counts.add("wal_bytes", copier.copied_bytes)
        copier.copied_bytes = 0

    def _trim(self, generation: str) -> Position | None:
        """Cut what a crash tore off the last file of an older generation, so that its size can be trusted.

        Return where it ends now; None if nothing of it is here.
        """
        indexes = self.shadow.indexes(generation)
        if not indexes:
            return None
        cursor = last_commit(self.shadow.file(generation, indexes[-1]))
        end = cursor.offset if cursor is not None else 0
        self.shadow.seal(generation, indexes[-1], end)
        return Position(generation, indexes[-1], end)

    def _is_unchanged(self, opened: OpenDatabase) -> bool:
        image = opened.image(self.shadow)
        return is_unchanged(image.position, image.chunks(), self._custody.path, self._meta_path)

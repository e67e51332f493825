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
from replication.database.custody import Custody
from replication.database.follower import ContinuityLostError, Follower
from replication.database.held import Held
from replication.database.origin import Origin
from replication.database.shadow_wal import ShadowWAL
from replication.database.unwritten import is_unchanged
from replication.errors import LocalFileError
from replication.events import Emit
from replication.permissions import Ownership
from replication.position import Position
from replication.steps import reached


class CurrentGeneration:
    """What of the history of a database is in its local folder, and the generation that goes on."""

    def __init__(self, custody: Custody, emit: Emit, clock: Callable[[], float]) -> None:
        self.shadow = ShadowWAL(custody.meta_path, Ownership())
        self.position: Position | None = None
        """The last commit copied; None until the database was opened."""
        self.origin = Origin("", "", "", "")
        self.names: tuple[str, ...] = ()
        """Generations with local WAL, oldest first, the current one last."""
        self.arrivals = Arrivals()
        self.counts = Counts()
        """Of this database since the program began: the fields of DatabaseTotals, but for the errors."""
        self.wanted = ""
        """Why a new one must begin; "" while none must."""
        self._custody = custody
        self._emit = emit
        self._clock = clock

    @property
    def _meta_path(self) -> Path:
        return self._custody.meta_path

    def go_on(self, decision: Continue, held: Held, handed: bool) -> Begin | None:
        """Continue a generation; if that turns out not to be possible, why a new one must begin.

        With `handed` a reader of ours was there before the last copy: all of a life that ends has been copied.
        """
        self.origin = Origin.load(self._meta_path, decision.generation)
        follower = Follower(
            self.shadow, held.wal_path, held.wal_index, decision.generation, decision.index, decision.mark
        )
        try:
            if handed:
                follower.copy()
            else:
                follower.copy_one_life()
            held.check_files()
        except ContinuityLostError as lost:
            # What came with this copy is proven no more than the file it belongs to.
            self.shadow.seal(decision.generation, decision.index, decision.mark.offset)
            return Begin(str(lost))
        self._follow(held, follower)
        self._emit("info", "generation continues", position=str(self.position))
        return None

    def go_on_unwritten(self, held: Held, handed: bool) -> bool:
        """Continue a generation in which nothing was ever committed, if the database's content is still the same.

        With `handed` a reader of ours was there when that was so, and the file is the same: what the WAL holds is new.
        """
        generation = self.shadow.current_generation()
        if generation is None or self.shadow.indexes(generation) or self.wanted:
            return False
        follower = held.follower = Follower(self.shadow, held.wal_path, held.wal_index, generation)
        same = handed or not follower.wal_holds_anything()
        if not same or not (handed or is_unchanged(held.image(self.shadow), self._custody.path, self._meta_path)):
            held.follower = None
            return False
        self.origin = Origin.load(self._meta_path, generation)
        self._follow(held, follower)
        self._emit("info", "generation continues", position=str(self.position))
        return True

    def begin(self, reason: str, held: Held) -> None:
        """Start a generation at index 0 with what the WAL holds; its snapshots are the replicas' business."""
        previous = self.shadow.current_generation() or ""
        if previous:
            self._trim(previous)
        generation = secrets.token_hex(8)
        # Until all of it is there the reason stands, for the next try would find another.
        self.wanted = reason
        self.shadow.make_generation(generation)
        reached("generation: folder made")
        try:
            follower = Follower(self.shadow, held.wal_path, held.wal_index, generation)
            follower.copy()
            held.check_files()
            reached("generation: first frames copied")
            self.shadow.use_generation(generation)
            reached("generation: in use")
        except BaseException:
            with suppress(LocalFileError):
                self.shadow.remove_generation(generation)
            raise
        self.origin = Origin.now(generation, reason, Origin.load(self._meta_path, previous))
        self.origin.save(self._meta_path)
        reached("generation: origin saved")
        self.wanted = ""
        self._follow(held, follower)
        self._emit("info", "generation begins", generation=generation, reason=reason)

    def copy(self, held: Held) -> None:
        """Copy what was committed; what was copied before something failed counts."""
        follower = held.follower
        if follower is None:
            return
        before = follower.position
        try:
            held.copy()
        finally:
            if follower.position != before:
                self._publish(follower)

    def _follow(self, held: Held, follower: Follower) -> None:
        held.follower = follower
        assert self._custody.lock is not None
        written = held.files.written
        self._custody.lock.describe(held.identity[1], follower.wal_inode, (written.size, written.modified_ns))
        older = (name for name in self.shadow.generations() if name != follower.generation)
        self.names = (*older, follower.generation)
        self._publish(follower)
        self.copy(held)

    def _publish(self, follower: Follower) -> None:
        self.position = follower.position
        self.arrivals.add(self.position, self._clock())
        self.counts.add("wal_bytes", follower.copied_bytes)
        follower.copied_bytes = 0

    def _trim(self, generation: str) -> None:
        """Cut what a crash tore off the last file of an older generation, so that its size can be trusted."""
        indexes = self.shadow.indexes(generation)
        if indexes:
            mark = last_commit(self.shadow.file(generation, indexes[-1]))
            self.shadow.seal(generation, indexes[-1], mark.offset if mark is not None else 0)

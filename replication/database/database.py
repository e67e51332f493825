"""One source database: its pin, its shadow WAL, and the position they have reached.

It promises that no commit is skipped (promise 2): while it holds the database every commit reaches the shadow
WAL in order, and where that cannot be proven a new generation begins, with its reason. It changes nothing in the
database (promise 4). It leaves to the caller when to sync, and what becomes of the shadow WAL.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from replication.database import advice, room
from replication.database.checkpoint import CheckpointPolicy
from replication.database.health import Health
from replication.database.image import Image
from replication.database.open_database import OpenDatabase
from replication.database.room import CANNOT_COPY
from replication.database.source_files import REPLACED, WRITTEN
from replication.database.standing import Standing
from replication.database.wal_copier import ContinuityLostError
from replication.errors import DatabaseError, DatabaseLockedError, LocalFileError, ReplicationError, words_of
from replication.events import Emit
from replication.local.backlog import Backlog, limit_of
from replication.position import Position
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.pin import CheckpointResult, PinLostError
from replication.status import DatabaseState
from replication.steps import reached


class Database(Standing):
    """For one engine. `sync`, `image` and `close` take one lock; any thread may read what Standing has."""

    def __init__(
        self,
        path: Path,
        meta_path: Path,
        policy: CheckpointPolicy,
        emit: Emit,
        clock: Callable[[], float] = time.time,
        max_backlog_bytes: int | None = None,
    ) -> None:
        super().__init__(path, meta_path, emit, clock)
        self.max_backlog_bytes = max_backlog_bytes
        """How much WAL may wait for one replica, as it was configured."""
        self.policy = policy
        self._lock = threading.RLock()

    # -- who has it -------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Take the engine lock early, if the database exists; raise DatabaseLockedError if another engine has it."""
        with self._lock:
            # exists() is False as well where the folder may not be read.
            if not self.locked and os.path.isfile(self.path) and self._status() is not None:  # noqa: PTH113
                self._current.shadow = self._custody.take()

    def stand_by(self, holder: DatabaseLockedError) -> None:
        """Wait for the end of the engine that has the lock: nothing else is done until `take_over` is true."""
        with self._lock:
            self._custody.stand_by()
            self.health = Health(
                state="waiting",
                error=f"{self.path} is replicated by litestream-tui, pid {holder.holder}; taken over at its end",
            )

    def take_over(self) -> bool:
        """True once the lock is ours, or nothing is left to wait for: then the next sync says why."""
        with self._lock:
            if not self._custody.may_take_over():
                return False
            try:
                if self.stands_by:
                    self.lock()
            except DatabaseLockedError:
                return False
            except ReplicationError:
                pass  # the next sync meets it again, and shows it
            if not self.locked:
                self._custody.end_standing_by()
            return True

    def announce_end(self) -> None:
        """Say that this engine is about to let go, to one that stands by."""
        # A sync that hangs has the lock of this object, and is not waited for.
        self._custody.announce_end()

    def let_go(self) -> None:
        """Let go of the database, so that other programs may have it. The next sync opens it anew."""
        with self._lock:
            if self.stands_by:
                return
            self.close()
            # Another engine may have gone further meanwhile; where it stands is read anew.
            self._current.position = None
            self.health = Health()

    def close(self) -> None:
        """Make the shadow WAL durable and let go of the database. Its WAL stays for the next start."""
        with self._lock, ExitStack() as always:
            # Whatever fails here, the database is let go of.
            always.callback(self._custody.release_claim)
            always.callback(self._custody.release_lock)
            always.callback(self._opening.let_go)
            always.callback(self._custody.end_standing_by)
            handed_to = self._copy_for_successor() if self._opened is not None else None
            if self._opened is not None and self._opened.copier is not None:
                with suppress(LocalFileError):
                    self._opened.copier.make_durable()
                    reached("shadow: durable at the end")
                self._opening.describe(self._opened, str(self._opened.copier.position), handed_to)

    # -- copying ----------------------------------------------------------------------------------------------------

    def sync(self) -> float | None:
        """Copy what was committed, checkpoint if one is due; return the time (of `clock`) to look again, if any.

        A database that does not exist yet is waited for, in state "waiting". Raises DatabaseError and
        LocalFileError. Nothing is lost by an error, since the pin stays, and the next sync goes on.
        """
        with self._lock:
            if self.stands_by:
                return None
            began = self._clock()  # what is committed by then is copied
            try:
                self._check_lock()
                if self._opened is None and not self._open():
                    return None
                with self._continuity():
                    opened = self._current_hold()
                    opened.check_files()
                    if self._current.wanted:
                        raise ContinuityLostError(self._current.wanted)
                    self._current.copy(opened)
                    if opened.due(self.policy, self._clock()):
                        self._run_checkpoint()
                if self._opened is None:
                    return None
                self._opening.describe(self._opened)
            except Exception as failed:  # whatever it is: the status says that nothing is copied
                error = advice.unusable(failed, self.path) if isinstance(failed, OSError) else failed
                wal_bytes = self._wal_bytes
                failing = self._opened
                if failing is not None and room.is_held_too_long(failing, error, self.backlog_limit, self._current):
                    room.give_up_wal(failing, self._opening)
                state: DatabaseState = "busy" if isinstance(error, DatabaseBusyError) else "error"
                self.health = replace(self.health, state=state, error=words_of(error), wal_bytes=wal_bytes)
                raise error from None
            opened, now = self._opened, self._clock()
            words = self._other_names(opened) or advice.passed_by(self.path, opened)
            state = "error" if words else "ok"
            self.health = replace(self.health, state=state, error=words, last_sync=began, wal_bytes=self._wal_bytes)
            return opened.next_time(self.policy, now)

    def checkpoint(self) -> CheckpointResult | None:
        """Checkpoint now, whatever the policy says. Return None while an image is open or the database is not."""
        with self._lock:
            result = None
            if self._opened is not None and not self._opened.images:
                with self._continuity():
                    # If the file or the WAL is another by now, the two do not fit, and SQLite would see damage where
                    # there is none.
                    self._opened.check_files()
                    self._current.copy(self._opened)
                    result = self._run_checkpoint()
            return result

    def request_generation(self, reason: str) -> None:
        """Begin a new generation with the next sync: a replica found that it cannot go on with this one."""
        self._current.wanted = reason

    @contextmanager
    def image(self) -> Iterator[Image]:
        """A block with the exact database at its newest commit. Checkpoints of ours wait for its end, if they can."""
        with self._lock:
            opened = self._current_hold()
            with self._continuity():
                opened.check_files()
                self._current.copy(opened)
            opened = self._current_hold()
            image = opened.image(self.shadow, lambda: self._check_image(opened))
            opened.images.append(image)
        try:
            yield image
        finally:
            with self._lock:
                opened.images.remove(image)
                image.close()

    # -- what is kept of it -----------------------------------------------------------------------------------------

    def end(self, here: Position, generation: str, index: int) -> int:
        """The offset at which the commits of one shadow file end. `here` is `position` as it was read before."""
        if (generation, index) == (here.generation, here.index):
            return here.offset
        return self.shadow.size(generation, index)

    @property
    def backlog_limit(self) -> int:
        """How many bytes of WAL may wait for one replica. 0 means that only the disk limits it."""
        return limit_of(self.max_backlog_bytes, self.size)

    @property
    def to_be_cleaned(self) -> bool:
        """True once there is something to `clean` since it was called last, whatever the replicas do."""
        return self._upkeep.is_due(self._opened)

    def backlogs(self, positions: Sequence[Position | None]) -> list[Backlog]:
        """What waits in the shadow WAL for replicas at these positions, one each. None is one that is not known."""
        with self._lock:
            return self._upkeep.backlogs(positions, self._waits_for_room)

    def end_images(self) -> None:
        """End the images for which too much waits: no snapshot is worth the application's disk."""
        with self._lock:
            if self._opened is not None:
                self._upkeep.end_images(self._opened, self.backlog_limit)

    def clean(self, replicas: Sequence[Position | None]) -> None:
        """Remove shadow WAL that none of these replicas needs, nor an image, but for the index before the one in use.

        Of a replica whose position is None nothing is known: it may need all that is there.
        """
        with self._lock:
            self._upkeep.clean(replicas, self._opened, self._waits_for_room)

    # -- the lock is held in all that follows -----------------------------------------------------------------------

    def _open(self) -> bool:
        """Open the database and go on with its generation, or begin one. Return False if it does not exist yet."""
        if (status := self._status()) is None:
            return False
        if self._waits_for_room:
            room.ask_for_wal(self.path, self.meta_path, self.policy.pages_min, self.page_size)
        self._opening.open(status, self.lock)
        return True

    def _status(self) -> os.stat_result | None:
        """The database file's status, or None while there is nothing to replicate, which is reported once."""
        found = advice.status_of(self.path)
        if not isinstance(found, str):
            return found
        words = advice.waiting(found, was_replicated=self.shadow.current_generation() is not None)
        if self.health.state != "waiting":
            self._emit("warning", f"database {words}")
        self.health = Health(state="waiting", error=f"{self.path} {words}")
        return None

    def _check_lock(self) -> None:
        """Start over with a local folder that was removed: its lock keeps no other engine away, its WAL is gone."""
        lock = self._custody.lock
        if lock is not None and not lock.is_in_place:
            self._opening.let_go()
            self._custody.release_lock()
            what = self._custody.what_became_of_the_path() or "local folder removed"
            self._current.wanted = f"{what}, while replicating"

    def _current_hold(self) -> OpenDatabase:
        if self._opened is None:
            raise DatabaseError(f"{self.path} is not open: the next sync looks at it again")
        return self._opened

    @contextmanager
    def _continuity(self) -> Iterator[None]:
        """A block in which a new generation is asked for if something shows that the current one cannot go on."""
        try:
            yield
        except ContinuityLostError as lost:
            # Kept until a generation has begun: what was found now may not show at the next try.
            reason = (self._custody.what_became_of_the_path() if str(lost) == REPLACED else "") or str(lost)
            self._current.wanted = reason
            opened = self._opened
            if opened is not None and opened.copier is not None:
                opened.copier.end_generation()
                if opened.lost_its_file:
                    self._opening.leave(opened)
                elif str(lost) == WRITTEN:
                    opened.let_go_of_a_foreign_file()
            self._opening.let_go()
            if self._status() is None:
                return
            try:
                self._current.begin(reason, self._opening.open_pinned())
            except ContinuityLostError as again:
                self._opening.let_go()
                raise DatabaseError(f"{self.path} changed while it was opened ({again}); trying again") from None
            except BaseException:
                self._opening.let_go()
                raise

    def _run_checkpoint(self) -> CheckpointResult:
        opened = self._current_hold()
        now = self._clock()
        try:
            with self.counts.timed("checkpoint"):
                result = opened.checkpoint(now, lambda: self._current.copy(opened))
        except PinLostError:
            self._opening.let_go()
            raise
        self.health = self.health.after_checkpoint(result, now, opened.blocked_count, opened.put_off)
        self._emit(
            "debug",
            "checkpoint",
            frames=result.log_frames,
            backfilled=result.backfilled_frames,
            writers_waited_ms=round(result.barrier_seconds * 1000, 1),
        )
        return result

    def _check_image(self, opened: OpenDatabase) -> None:
        """At the end of an image: what was read is right if the files still are the ones that were followed."""
        with self._lock:
            if self._opened is not opened:
                raise DatabaseError(f"{self.path} was let go of while a snapshot was read; the snapshot is taken again")
            try:
                opened.check_files()
            except ContinuityLostError as lost:
                self._current.wanted = str(lost)
                raise DatabaseError(
                    f"{self.path}: {lost} while a snapshot was read; a new generation begins with another one"
                ) from None

    def _copy_for_successor(self) -> int | None:
        """The token of the engine that takes over, if it reads the database by now and all was copied after that."""
        token = self._custody.wait_for_reader()
        if token is not None:
            try:
                opened = self._current_hold()
                opened.check_files()
                self._current.copy(opened)
            except (ContinuityLostError, DatabaseError, LocalFileError, OSError):
                # The next engine finds out by itself what became of the files, as after any other end.
                return None
            reached("handover: copied")
        return token

    def _other_names(self, opened: OpenDatabase) -> str:
        words = advice.other_names(self.path, opened)
        if words and self.health.error != words:
            self._emit("warning", "the database file has other names", names=opened.files.names)
        return words

    @property
    def _waits_for_room(self) -> bool:
        """True while the WAL was let go of for lack of space: what is here of the generation is of no more use."""
        return self._opened is None and self._current.wanted == CANNOT_COPY

"""One source database: its hold, its shadow WAL, and the position they have reached.

It promises that no commit is skipped (promise 2): while it holds the database every commit reaches the shadow
WAL in order, and where that cannot be proven a new generation begins, with its reason. It changes nothing in the
database (promise 4). It leaves to the caller when to sync, and what becomes of the shadow WAL.
"""

import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from replication import space
from replication.database.arrivals import Arrivals
from replication.database.backlog import INDEXES_KEPT, Backlog, ShadowSizes, limit_of
from replication.database.checkpoint import CheckpointPolicy
from replication.database.claim import Claim
from replication.database.continuity import Begin, Continue, decide, last_commit
from replication.database.follower import ContinuityLostError, Follower, LeftWAL, WALTooLongError
from replication.database.handover import Successor
from replication.database.health import Health
from replication.database.held import Held
from replication.database.image import Image
from replication.database.lock import EngineLock
from replication.database.origin import Origin
from replication.database.place import Place
from replication.database.shadow_wal import ShadowWAL
from replication.database.source_files import REPLACED, SHM_REMOVED, WRITTEN, Written
from replication.database.tail import Mark
from replication.database.unwritten import is_unchanged
from replication.errors import DatabaseError, DatabaseLockedError, LocalFileError, ReplicationError
from replication.nofollow import check_path, without_links
from replication.permissions import Ownership
from replication.position import Position
from replication.space import Disk
from replication.sqlite.connection import check_is_database
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.hold import CheckpointResult, HoldLostError, empty_wal
from replication.sqlite.openers import openers_of_removed
from replication.steps import reached

CLEANED_BYTES = 1 << 20
"""While an image is read, what it costs is looked at after so much WAL."""
ROOM_PAGES_MAX = 1000
"""Room for indexes of so many pages, and no more, is waited for before a WAL is held again."""
_PAGE_BYTES = 4096
CANNOT_COPY = "wal could not be copied for lack of space, and was let go of"

Emit = Callable[..., None]
"""Called as emit(level, message, **attributes)."""
READER_WAIT_SECONDS_MAX = 1.0
"""How long after its end was announced a holder waits for who takes over to begin to read."""


class Database:
    """Not shared between engines. `sync`, `image` and `close` take one lock; the attributes may be read by any."""

    def __init__(
        self,
        path: Path,
        meta_path: Path,
        policy: CheckpointPolicy,
        emit: Emit,
        clock: Callable[[], float] = time.time,
        max_backlog_bytes: int | None = None,
    ) -> None:
        self.path = path
        self.meta_path = meta_path
        self.health = Health()
        self.position: Position | None = None
        """The last commit copied; None until the database was opened."""
        self.origin = Origin("", "", "", "")
        self.page_size = 0
        self.generations: tuple[str, ...] = ()
        """Generations with local WAL, oldest first, the current one last."""
        self.arrivals = Arrivals()
        self.max_backlog_bytes = max_backlog_bytes
        """How much WAL may wait for one replica, as it was configured."""
        self.shadow = ShadowWAL(meta_path, Ownership())
        self._policy = policy
        self._emit = emit
        self._clock = clock
        self._lock = threading.RLock()
        self._engine_lock: EngineLock | None = None
        self._claim: Claim | None = None
        self._held: Held | None = None
        self._wanted_generation = ""
        self._left_wal: LeftWAL | None = None
        """The WAL of a file that is no longer there."""
        self._place: Place | None = None
        """Where it was when it was locked last."""
        self._successor: Successor | None = None
        """Us, while another engine has the lock, and until our own hold is there."""
        self.was_killed = False
        """True if whoever had the lock before did not let go in good order."""
        self._reader_deadline = 0.0
        """Until when, of time.monotonic, who takes over is waited for."""
        self._sizes = ShadowSizes()
        self._cleaned: Position | None = None
        """Where copying stood when shadow WAL was removed last."""
        self._lowest_kept: dict[str, int] = {}
        """The lowest index that a replica needed then, of the generation in use: what is before it is gone."""
        self._left_file: tuple[tuple[int, int], Written] | None = None
        """That file, if it was seen to go: it may come back, as with a volume that is mounted again."""

    @property
    def stands_by(self) -> bool:
        """True while another engine has the database, and this one waits for its end."""
        return self._successor is not None and self._engine_lock is None

    @property
    def locked(self) -> bool:
        """True while the engine lock of this database is ours."""
        return self._engine_lock is not None

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
        return self._engine_lock is not None and not self._wanted_generation

    @property
    def device(self) -> int:
        """The file system of the file that is held, 0 if none is."""
        held = self._held
        return held.identity[0] if held is not None else 0

    @property
    def is_in_place(self) -> bool:
        """True while the files are as the last sync saw them, and the lock file keeps others away. Waits for nobody."""
        held, lock = self._held, self._engine_lock
        if held is None or lock is None or not lock.is_in_place:
            return False
        status = os.stat(self.path)  # noqa: PTH116 (links are followed, as SQLite does)
        same = (status.st_dev, status.st_ino) == held.identity and Written.of(status) == held.files.written
        return same and status.st_nlink == held.files.names and held.wal_index.is_in_place()

    def lock(self) -> None:
        """Take the engine lock early, if the database exists; raise DatabaseLockedError if another engine has it."""
        with self._lock:
            if self._engine_lock is None and os.path.isfile(self.path):  # noqa: PTH113 (false where no look is allowed)
                if self._status() is None:
                    return
                self._claim_file()
                try:
                    if not self.meta_path.exists():
                        # A path that was mistyped shall not get a folder beside it.
                        check_is_database(self.path)
                    self.shadow = ShadowWAL(self.meta_path, Ownership.of(self.path))
                    self.shadow.make()
                    taken = self._engine_lock = EngineLock.take(self.meta_path, self.path)
                    self.was_killed = taken.previous_inode is not None and not taken.previous_end
                except BaseException:
                    self._release_claim()
                    raise
                with suppress(OSError):
                    self._place = Place.of(self.path)
                self.shadow.sweep()

    def stand_by(self, holder: DatabaseLockedError) -> None:
        """Wait for the end of the engine that has the lock: nothing else is done until `take_over` is true."""
        with self._lock:
            self._successor = Successor(without_links(self.path), self.meta_path)
            self.health = Health(
                state="waiting",
                error=f"{self.path} is replicated by litestream-tui, pid {holder.holder}; taken over at its end",
            )

    def take_over(self) -> bool:
        """True once the lock is ours, or there is nothing to wait for any more, which the next sync tells."""
        with self._lock:
            if self._successor is None or not self._successor.look():
                return self._successor is None
            try:
                self.lock()
            except DatabaseLockedError:
                return False
            except ReplicationError:
                pass  # the next sync meets it again, and shows it
            if self._engine_lock is None:
                self._end_standing_by()
            return True

    def announce_end(self) -> None:
        """Say that this engine is about to let go, to one that stands by."""
        # A sync that hangs has the lock of this object, and is not waited for.
        self._reader_deadline = time.monotonic() + READER_WAIT_SECONDS_MAX
        if (lock := self._engine_lock) is not None:
            lock.announce_end()

    def sync(self) -> float | None:
        """Copy what was committed, checkpoint if one is due; return the time (of `clock`) to look again, if any.

        A database that does not exist yet is waited for, in state "waiting". Raises DatabaseError and
        LocalFileError; nothing is lost by it, since the WAL stays held, and the next sync goes on.
        """
        with self._lock:
            if self.stands_by:
                return None
            try:
                self._check_lock()
                if self._held is None and not self._open():
                    return None
                with self._continuity():
                    held = self._current()
                    held.check_files()
                    if self._wanted_generation:
                        raise ContinuityLostError(self._wanted_generation)
                    self._copy()
                    if held.due(self._policy, self._clock()):
                        self._run_checkpoint()
                if self._held is None:
                    return None
                self._describe_files(self._held)
            except (DatabaseError, LocalFileError, OSError) as failed:
                error = failed if not isinstance(failed, OSError) else _unusable(failed, self.path)
                if self._held is not None and self._is_held_too_long(self._held, error):
                    self._give_up_wal(self._held)
                state = "busy" if isinstance(error, DatabaseBusyError) else "error"
                self.health = replace(self.health, state=state, error=str(error))
                raise error from None
            now = self._clock()
            words = self._other_names(self._held) or self._passed_by(self._held)
            self.health = replace(self.health, state="error" if words else "ok", error=words, last_sync=now)
            return self._held.next_time(self._policy, now)

    def _ask_for_room(self) -> None:
        """Raise LocalFileError while a copy of the WAL has no room: to hold it only to find that out lets it grow."""
        with suppress(FileNotFoundError):
            size = os.stat(f"{without_links(self.path)}-wal").st_size  # noqa: PTH116
            # Each index that is kept, and the one that comes: else it would be let go of again at once.
            pages = (INDEXES_KEPT + 1) * min(self._policy.pages_min, ROOM_PAGES_MAX)
            lives = pages * (self.page_size or _PAGE_BYTES)
            space.ask(self.meta_path, size + lives, f"The {CANNOT_COPY}. To replicate again", "")

    def _is_held_too_long(self, held: Held, error: Exception) -> bool:
        """True if the WAL must not be held any longer although it was not copied, and no image is in the way.

        While it cannot be copied nobody can restart it, and it grows on the disk of the application.
        """
        if isinstance(error, LocalFileError):
            with suppress(OSError):
                waiting = Backlog(held.wal_path.stat().st_size)
                why = waiting.too_much(self.backlog_limit, Disk.of(held.wal_path.parent))
                if not why:
                    return False
                for image in held.images:
                    image.ended = why
                self._wanted_generation = CANNOT_COPY
        elif not isinstance(error, WALTooLongError):
            return False
        return not held.images

    def _give_up_wal(self, held: Held) -> None:
        """Let the WAL be restarted although not all of it was copied."""
        all_is_in_the_file = False
        # The disk may be too full for that as well: then SQLite does it in its own time.
        with suppress(DatabaseError):
            all_is_in_the_file = held.backfill_what_is_not_copied()
        self._let_go()
        if all_is_in_the_file:
            # The next sync begins a generation; else the last commits would wait for another one.
            with suppress(DatabaseError):
                empty_wal(self.path)

    def checkpoint(self) -> CheckpointResult | None:
        """Checkpoint now, whatever the policy says; None while an image is open or nothing is held."""
        with self._lock:
            result = None
            if self._held is not None and not self._held.images:
                with self._continuity():
                    # Beside another WAL, or another file, what SQLite sees may be a damaged database, which it is not.
                    self._held.check_files()
                    self._copy()
                    result = self._run_checkpoint()
            return result

    def request_generation(self, reason: str) -> None:
        """Begin a new generation with the next sync: a replica found that it cannot go on with this one."""
        self._wanted_generation = reason

    @contextmanager
    def image(self) -> Iterator[Image]:
        """The exact database at its newest commit; until the block ends checkpoints of ours wait, if they can."""
        with self._lock:
            held = self._current()
            with self._continuity():
                held.check_files()
                self._copy()
            held = self._current()
            image = held.image(self.shadow, lambda: self._check_image(held))
            held.images.append(image)
        try:
            yield image
        finally:
            with self._lock:
                held.images.remove(image)
                image.close()

    def _check_image(self, held: Held) -> None:
        """At the end of an image: what was read is right if the files still are the ones that were followed."""
        with self._lock:
            if self._held is not held:
                raise DatabaseError(f"{self.path} was let go of while a snapshot was read; the snapshot is taken again")
            try:
                held.check_files()
            except ContinuityLostError as lost:
                self._wanted_generation = str(lost)
                raise DatabaseError(
                    f"{self.path}: {lost} while a snapshot was read; a new generation begins with another one"
                ) from None

    def let_go(self) -> None:
        """Let go of the database, which others may have then; the next sync takes hold of it anew."""
        with self._lock:
            if self.stands_by:
                return
            self.close()
            # Whoever has the database meanwhile may go further; where it stands is read anew.
            self.position = None
            self.health = Health()

    def close(self) -> None:
        """Let go of the database; the WAL stays for the next start. The shadow WAL is made durable first."""
        with self._lock, ExitStack() as always:
            # Whatever fails of it, nothing stays held.
            always.callback(self._release_claim)
            always.callback(self._release_engine_lock)
            always.callback(self._let_go)
            always.callback(self._end_standing_by)
            handed_to = self._copy_for_successor() if self._held is not None else None
            if self._held is not None and self._held.follower is not None:
                with suppress(LocalFileError):
                    self._held.follower.make_durable()
                    reached("shadow: durable at the end")
                self._describe_files(self._held, str(self._held.follower.position), handed_to)

    def end(self, here: Position, generation: str, index: int) -> int:
        """The end of what is committed in one shadow file, `here` being `position` as read before."""
        if (generation, index) == (here.generation, here.index):
            return here.offset
        return self.shadow.size(generation, index)

    @property
    def size(self) -> int:
        """Bytes of the database file as the last sync saw it; 0 while it is not held."""
        held = self._held
        return held.files.written.size if held is not None else 0

    @property
    def backlog_limit(self) -> int:
        """How many bytes of WAL may wait for one replica; 0 is no limit but the disk's."""
        return limit_of(self.max_backlog_bytes, self.size)

    @property
    def to_be_cleaned(self) -> bool:
        """True once there is something to `clean` since it was called last, whatever the replicas do."""
        here, cleaned, held = self.position, self._cleaned, self._held
        if here is None or cleaned is None:
            return here is not None
        if (here.generation, here.index) != (cleaned.generation, cleaned.index):
            return True
        return held is not None and bool(held.images) and here.offset >= cleaned.offset + CLEANED_BYTES

    def backlogs(self, places: Sequence[Position | None]) -> list[Backlog]:
        """What of the shadow WAL waits for replicas that stand at these places; None: of which that is not known."""
        with self._lock:
            here = self.position
            if here is None:
                return [Backlog(0) for _ in places]
            self._sizes.update(self.shadow, self.generations, here)
            kept = 0 if self._waits_for_room else INDEXES_KEPT
            return [self._sizes.backlog(place, self.generations, here, kept) for place in places]

    @property
    def _waits_for_room(self) -> bool:
        """True while the WAL was let go of for lack of space: what is here of the generation is of no more use."""
        return self._held is None and self._wanted_generation == CANNOT_COPY

    def end_images(self) -> None:
        """End the images for which too much waits: no snapshot is worth the application's disk."""
        with self._lock:
            here, held = self.position, self._held
            if here is None or held is None or not held.images:
                return
            self._sizes.update(self.shadow, self.generations, here)
            for image in held.images:
                size = self._sizes.backlog(image.position, self.generations, here).size
                # No checkpoint runs meanwhile: of the index in use there are two copies, the WAL and ours.
                size += 2 * (here.offset - (image.position.offset if image.position.index == here.index else 0))
                if why := Backlog(size).too_much(self.backlog_limit, Disk.of(self.meta_path)):
                    image.ended = why

    def clean(self, replicas: Sequence[Position | None]) -> None:
        """Remove shadow WAL that none of these replicas needs, nor an image, but for the index before the one in use.

        Of a replica whose position is None nothing is known: it may need all that is there.
        """
        with self._lock:
            here = self.position
            positions = [position for position in replicas if position is not None]
            if here is None:
                return
            self._cleaned = here
            if len(positions) < len(replicas):
                return
            self.arrivals.forget(positions)
            if self._held is not None:
                # Segments go on while an image is read, which has pages of its commit, and of all since, from here.
                positions += [image.position for image in self._held.images]
            needed = {position.generation for position in positions} | {here.generation}
            while self.generations and self.generations[0] not in needed:
                self.shadow.remove_generation(self.generations[0])
                self.generations = self.generations[1:]
            if all(position.generation == here.generation for position in positions):
                lowest = min([here.index, *(position.index for position in positions)])
                if self._waits_for_room and all(position == here for position in positions):
                    # Every replica has it, and nothing more comes to it.
                    self.shadow.remove_below(here.generation, here.index + 1)
                elif lowest > self._lowest_kept.get(here.generation, -1):
                    self.shadow.remove_below(here.generation, lowest - 1)
                    self._sizes.forget_below(here.generation, lowest - 1)
                    self._lowest_kept = {here.generation: lowest}

    def _copy_for_successor(self) -> int | None:
        """Who takes over, if it reads the database by now and all was copied after that."""
        token = self._engine_lock.wait_for_reader(self._reader_deadline) if self._engine_lock is not None else None
        if token is not None:
            try:
                self._current().check_files()
                self._copy()
            except (ContinuityLostError, DatabaseError, LocalFileError, OSError):
                # It finds out by itself what became of the files, as after any other end.
                return None
            reached("handover: copied")
        return token

    def _end_standing_by(self) -> None:
        if self._successor is not None:
            self._successor.close()
            self._successor = None

    # -- opening and beginning: the lock is held in all that follows ----------------------------------------------

    def _open(self) -> bool:
        """Take hold of the database and go on with its generation, or begin one; False if it does not exist yet."""
        if (status := self._status()) is None:
            return False
        if self._waits_for_room:
            self._ask_for_room()
        try:
            self.shadow = ShadowWAL(self.meta_path, Ownership.of(self.path))
            self.lock()
            if self._engine_lock is None:
                raise DatabaseError(f"{self.path} was removed while it was opened; trying again")
            previous_inode = self._engine_lock.previous_inode
            known, end = self._engine_lock.previous_written, self._engine_lock.previous_end
            reader = self._successor.token if self._successor is not None else None
            handed = reader is not None and reader == self._engine_lock.handed_to
            if previous_inode not in (None, status.st_ino) and self._left_wal is None:
                self._left_wal = LeftWAL.of(self.shadow, self._engine_lock.previous_wal_inode)
            held = self._take_hold()
            decision: Continue | Begin | None = decide(self.shadow, held.wal_path, self.page_size, handed)
            if previous_inode not in (None, status.st_ino):
                decision = Begin("database file replaced while not replicating")
            if isinstance(decision, Continue) and not held.files.were_left_alone(
                Written(*known) if known is not None else None,
                decision.mark,
                self.shadow.file(decision.generation, decision.index - 1),
                exact=not handed and end == f"{decision.generation}/{decision.index:08x}:{decision.mark.offset}",
            ):
                decision = Begin(f"{WRITTEN}, while not replicating")
            if self._wanted_generation:
                decision = Begin(self._wanted_generation)
            if isinstance(decision, Continue):
                decision = self._go_on(decision, held, handed)
            elif self._go_on_unwritten(held, handed and known is not None and Written(*known) == held.files.written):
                decision = None
            if isinstance(decision, Begin):
                self._begin(decision.reason, held)
        except ContinuityLostError as lost:
            self._let_go()
            raise DatabaseError(f"{self.path} changed while it was opened ({lost}); trying again") from None
        except WALTooLongError:
            # Whoever syncs lets go of it, after what the WAL needs to be restarted.
            raise
        except BaseException:
            self._let_go()
            raise
        finally:
            self._end_standing_by()
        return True

    def _status(self) -> os.stat_result | None:
        """The database file's status, or None, told once, while there is nothing to replicate."""
        try:
            status = self.path.stat()
            # Whoever put a link there might make root replicate what only root may read.
            check_path(self.path)
        except FileNotFoundError:
            what = "does not exist"
        except OSError as error:
            raise DatabaseError(f"{self.path} cannot be read: {error.strerror}") from None
        else:
            if not stat.S_ISREG(status.st_mode):
                raise DatabaseError(f"{self.path} is not a plain file; name the file of a SQLite database")
            if status.st_size:
                return status
            what = "is empty"
        if self.shadow.current_generation() is None:
            words = f"{what} yet, waiting for it"
        elif what == "is empty":
            words = "was emptied; replication goes on with the next database at this path"
        else:
            words = "was removed; replication goes on with the next database at this path"
        if self.health.state != "waiting":
            self._emit("warning", f"database {words}")
        self.health = Health(state="waiting", error=f"{self.path} {words}")
        return None

    def _claim_file(self) -> None:
        """Claim the file that the path leads to now, in place of the one before. Raises DatabaseLockedError."""
        status = self.path.stat()
        if self._claim is not None:
            if self._claim.identity == (status.st_dev, status.st_ino):
                return
            self._release_claim()
        self._claim = Claim.take(self.path)

    def _release_engine_lock(self) -> None:
        if self._engine_lock is not None:
            lock, self._engine_lock = self._engine_lock, None
            lock.release()

    def _release_claim(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _check_lock(self) -> None:
        """Start over with a meta folder that was removed: its lock keeps no other engine away, its WAL is gone."""
        if self._engine_lock is not None and not self._engine_lock.is_in_place:
            self._let_go()
            self._release_engine_lock()
            what = self._what_became_of_its_place() or "local folder removed"
            self._wanted_generation = f"{what}, while replicating"

    def _what_became_of_its_place(self) -> str:
        """What is another link, volume or folder than the one that was locked; "" if none is."""
        with suppress(OSError):
            return self._place.became(Place.of(self.path)) if self._place is not None else ""
        return ""

    def _current(self) -> Held:
        if self._held is None:
            raise DatabaseError(f"{self.path} is not open")
        return self._held

    def _take_hold(self) -> Held:
        """Pin the reader, unless SQLite would mix the file with the WAL of another."""
        wal_path = Path(f"{without_links(self.path)}-wal")
        if self._left_wal is not None and self._left_wal.is_at(wal_path) and not self._came_back():
            raise DatabaseError(
                f"{self.path} was replaced, but {wal_path.name} still belongs to the file before, and SQLite would mix "
                f"the two; if a restored or copied file was put there, stop the application and remove "
                f"{wal_path.name} and {wal_path.name[:-4]}-shm beside it"
            )
        self._left_wal = self._left_file = None
        if self._wanted_generation == SHM_REMOVED and (users := openers_of_removed(Path(f"{str(wal_path)[:-4]}-shm"))):
            # With a -shm of ours in its place what they have committed would not count, even once they are gone.
            raise DatabaseError(
                f"{self.path}-shm was removed, and {users[0]} still goes by it, so that nobody else sees its commits. "
                "Restart it: then they count, and replication begins a new generation"
            )
        self._claim_file()
        self._held = Held.take(self.path, self._clock())
        if not self._held.files.hold_what_was_copied_back():
            self._leave_foreign_wal(wal_path)
        self.page_size = self._held.page_size
        if self._held.switched:
            self._emit("info", "database switched to WAL mode")
        return self._held

    def _came_back(self) -> bool:
        """True if the file at the path is the one that was there before it went: its WAL is its own."""
        status = self.path.stat()
        return self._left_file == ((status.st_dev, status.st_ino), Written.of(status))

    def _leave_foreign_wal(self, wal_path: Path) -> None:
        """Another file was put under the WAL, and SQLite passes over the frames that were copied back: empty it.

        Frames that were not copied back are read over that file by everybody; to write them into it is not for us.
        """
        self._wanted_generation = self._wanted_generation or WRITTEN
        self._current().let_go_of_a_foreign_file()
        self._let_go()
        self._held = Held.take(self.path, self._clock())
        if not self._held.files.hold_what_was_copied_back():
            raise DatabaseError(
                f"{self.path} was written to by another program than SQLite, as when a copy is put over it, and "
                f"{wal_path.name} still holds commits of the file before, which SQLite mixes with it. Stop the "
                f"application; to keep the file as it was put there, remove {wal_path.name} and "
                f"{wal_path.name[:-4]}-shm. Replication then begins a new generation"
            )

    def _other_names(self, held: Held) -> str:
        """What to say if the file has more names than one; commits by this one are replicated all the same."""
        if held.files.names == 1:
            return ""
        words = (
            f"{self.path} has {held.files.names} names (hard links). Each name has a -wal of its own, and commits that "
            "an application makes by another name are not replicated: let all use this one, and remove the others"
        )
        if self.health.error != words:
            self._emit("warning", "the database file has other names", names=held.files.names)
        return words

    def _passed_by(self, held: Held) -> str:
        """What to say if somebody commits without telling the -shm that is there."""
        if held.follower is None or not held.follower.passed_by:
            return ""
        return (
            f"{held.wal_path} gets commits that are not counted in {self.path.name}-shm: an application goes on with "
            "one that was removed. Restart it; until then nobody else sees its commits, and they are not replicated"
        )

    def _describe_files(self, held: Held, end: str = "", handed_to: int | None = None) -> None:
        """Write down what the next start compares the files with.

        `end` is where copying has come to, at the end, and `handed_to` who reads since before that.
        """
        written, lock = (held.files.written.size, held.files.written.modified_ns), self._engine_lock
        if held.follower is not None and lock is not None and (end or lock.previous_written != written):
            # Without it the next start may begin a generation for nothing; nothing is lost by that.
            with suppress(OSError):
                lock.describe(held.identity[1], held.follower.wal_inode, written, end, handed_to)

    def _go_on(self, decision: Continue, held: Held, handed: bool) -> Begin | None:
        """Continue a generation; if that turns out not to be possible, why a new one must begin.

        With `handed` a reader of ours was there before the last copy: all of a life that ends has been copied.
        """
        self.origin = Origin.load(self.meta_path, decision.generation)
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

    def _go_on_unwritten(self, held: Held, handed: bool) -> bool:
        """Continue a generation in which nothing was ever committed, if the database's content is still the same.

        With `handed` a reader of ours was there when that was so, and the file is the same: what the WAL holds is new.
        """
        generation = self.shadow.current_generation()
        if generation is None or self.shadow.indexes(generation) or self._wanted_generation:
            return False
        follower = held.follower = Follower(self.shadow, held.wal_path, held.wal_index, generation)
        same = handed or not follower.wal_holds_anything()
        if not same or not (handed or is_unchanged(held.image(self.shadow), self.path, self.meta_path)):
            held.follower = None
            return False
        self.origin = Origin.load(self.meta_path, generation)
        self._follow(held, follower)
        self._emit("info", "generation continues", position=str(self.position))
        return True

    def _begin(self, reason: str, held: Held) -> None:
        """Start a generation at index 0 with what the WAL holds; its snapshots are the replicas' business."""
        previous = self.shadow.current_generation() or ""
        if previous:
            self._trim(previous)
        generation = secrets.token_hex(8)
        # Until all of it is there the reason stands, for the next try would find another.
        self._wanted_generation = reason
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
        self.origin = Origin.now(generation, reason, Origin.load(self.meta_path, previous))
        self.origin.save(self.meta_path)
        reached("generation: origin saved")
        self._wanted_generation = ""
        self._follow(held, follower)
        self._emit("info", "generation begins", generation=generation, reason=reason)

    def _trim(self, generation: str) -> None:
        """Cut what a crash tore off the last file of an older generation, so that its size can be trusted."""
        indexes = self.shadow.indexes(generation)
        if indexes:
            mark = last_commit(self.shadow.file(generation, indexes[-1]))
            self.shadow.seal(generation, indexes[-1], mark.offset if mark is not None else 0)

    def _follow(self, held: Held, follower: Follower) -> None:
        held.follower = follower
        assert self._engine_lock is not None
        written = held.files.written
        self._engine_lock.describe(held.identity[1], follower.wal_inode, (written.size, written.modified_ns))
        older = (name for name in self.shadow.generations() if name != follower.generation)
        self.generations = (*older, follower.generation)
        self._publish(follower.position)
        self._copy()

    def _let_go(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            held.close()

    # -- one pass -------------------------------------------------------------------------------------------------

    @contextmanager
    def _continuity(self) -> Iterator[None]:
        """A block that begins a new generation if it finds that the current one cannot go on."""
        try:
            yield
        except ContinuityLostError as lost:
            # Kept until a generation has begun: what was found now may not show at the next try.
            reason = (self._what_became_of_its_place() if str(lost) == REPLACED else "") or str(lost)
            self._wanted_generation = reason
            held = self._held
            if held is not None and held.follower is not None:
                held.follower.end_generation()
                if held.lost_its_file:
                    self._left_wal = held.follower.left_wal()
                    self._left_file = (held.identity, held.files.written)
                elif str(lost) == WRITTEN:
                    held.let_go_of_a_foreign_file()
            self._let_go()
            if self._status() is None:
                return
            try:
                self._begin(reason, self._take_hold())
            except ContinuityLostError as again:
                self._let_go()
                raise DatabaseError(f"{self.path} changed while it was opened ({again}); trying again") from None
            except BaseException:
                self._let_go()
                raise

    def _copy(self) -> None:
        held = self._current()
        follower = held.follower
        if follower is None:
            return
        before = follower.position
        try:
            held.copy()
        finally:
            if follower.wal_bytes != self.health.wal_bytes:
                self.health = replace(self.health, wal_bytes=follower.wal_bytes)
            if follower.position != before:
                self._publish(follower.position)

    def _publish(self, position: Position) -> None:
        self.position = position
        self.arrivals.add(position, self._clock())

    def _run_checkpoint(self) -> CheckpointResult:
        held = self._current()
        now = self._clock()
        try:
            result = held.checkpoint(now, self._copy)
        except HoldLostError:
            self._let_go()
            raise
        done = now if result.complete else self.health.last_checkpoint
        words = f"{result.backfilled_frames} of {result.log_frames} frames backfilled"
        if result.busy:
            words = f"put off: {held.put_off or 'a writer or another checkpoint was busy'}"
        elif not result.complete:
            words += ", the rest is held by another reader"
        self.health = replace(
            self.health, last_checkpoint=done, checkpoint_blocked=held.blocked_count, checkpoint_words=words
        )
        self._emit(
            "debug",
            "checkpoint",
            frames=result.log_frames,
            backfilled=result.backfilled_frames,
            writers_waited_ms=round(result.barrier_seconds * 1000, 1),
        )
        return result


def _unusable(error: OSError, path: Path) -> DatabaseError:
    where = error.filename or path
    remedy = "give this user access and replication goes on"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        remedy = "raise the limit of this process (ulimit -n)"
    return DatabaseError(f"{where} cannot be read: {error.strerror}; {remedy}")

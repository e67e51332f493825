"""Snapshots of one destination, and the two locks by which segments go on while one is written.

Its promise: nothing of a generation is sent before its first snapshot is stored, and a later snapshot is begun only
when all WAL up to its commit is stored. So whenever the program ends, what is there is restorable, and recover() finds
where to go on. It leaves to the caller when to write one, and errors.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from replication.errors import (
    ObjectExistsError,
    PausedError,
    PlaceLostError,
    StorageError,
)
from replication.events import Emit
from replication.local import soundness, unwritten
from replication.local.generation_info import GenerationInfo
from replication.permissions import mode_beside
from replication.position import Position
from replication.replica.ordered import Order
from replication.replica.permit import Always, Permit
from replication.replica.source import Image, SourceDatabase
from replication.replica.upload_meter import UploadMeter
from replication.replica.wal03.anew import LeftBehind
from replication.replica.wal03.compare import DivergedError, held_by
from replication.replica.wal03.lineage import lineage
from replication.replica.wal03.parts import Parts
from replication.replica.wal03.recovery import recover
from replication.replica.wal03.remembered import forget, remember
from replication.replica.wal03.upload import local_files
from replication.steps import reached
from replication.storage.wal03.names import generation_prefix, snapshot_name
from replication.storage.wal03.notes import SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient

FIRST_BYTES_MAX = 1 << 20
"""A first snapshot up to this size is written by the thread that sends segments: it takes no longer than one may."""
MENDED = (DivergedError, PlaceLostError)
"""The errors that `_mend` can do something about."""


class Snapshots(LeftBehind):
    """Two threads may use it at once: one sends, the other has a duty.

    Two locks see to that. `_duty` is held through anything long that writes or removes, and is always taken first.
    `_lock` belongs to the position: a duty takes it to learn what was sent, and to say what it stored, and holds it
    through no long request of its own.
    """

    def __init__(
        self, name: str, client: ReplicaClient, database: SourceDatabase, emit: Emit, permit: Permit | None = None
    ) -> None:
        super().__init__(Parts(name, client, database, emit, permit or Always(), lambda: time.monotonic()))
        self.unproven = False
        """True if the replica is to be listed once, since a generation began there."""
        self.snapshot_time = 0.0
        """When the newest snapshot was written, in seconds since the epoch; 0 if it is not known."""
        self.snapshot_at = 0.0
        """When the newest snapshot was written, of time.monotonic."""
        self._problems = soundness.recall(database.meta_path)
        """What SQLite's check says of the database itself, as far as it is known."""
        self._duty = threading.Lock()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._snapshots = UploadMeter(self._meter.uploads)
        self._wanted_after: int | None = None
        """The index that must end before the snapshot that was asked for can be written, or None."""
        self._unfinished: tuple[str, ...] | None = None
        """Generations in which a run that was killed may have left uploads in parts; None while that is not known."""

    @property
    def snapshot_wanted(self) -> bool:
        """True if a snapshot that waited for an index to begin can be written."""
        after, here = self._wanted_after, self._database.position
        return after is not None and here is not None and here.index != after

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A block in which the position is ours alone. Raises PausedError if no work may begin, or go on."""
        with self._permit.working(), self._lock, local_files():
            # The thread that had the lock before may have hung, and the database be paused since.
            self._permit.check()
            yield

    @contextmanager
    def _duty_turn(self, order: Order | None = None) -> Iterator[None]:
        """A block in which no other duty of this replica is under way. Raises as `_turn` does, and as `order` does."""
        with self._permit.working(), (order or Order()).turn(self._duty), local_files():
            self._permit.check()
            if self._unfinished:
                with self._lock:
                    self._sweep_uploads()
            yield

    def _look_for_unfinished(self) -> None:
        """Note where a run that was killed may have left uploads, before any of that is cleaned away."""
        if self._unfinished is None and self._database.position is not None:
            self._unfinished = tuple(self._database.shadow.generations()) if self._database.was_killed else ()

    def _sweep_uploads(self) -> None:
        """Abort uploads in parts that a run which was killed has left: until then they are billed.

        Only those of generations that were in our local folder: nobody but us has begun them. Both locks are held, so
        that none is under way.
        """
        if self.position is None:
            return
        generations, self._unfinished = self._unfinished or (), ()
        aborted = 0
        with suppress(StorageError):  # A rule of the bucket may do it; it is no reason not to go on.
            for generation in generations:
                aborted += self.client.storage.abort_unfinished(generation_prefix(generation))
        if aborted:
            self._emit("info", "uploads that were cut off when this program was killed were removed", uploads=aborted)

    # -- of a duty: `_duty` is held, `_lock` is not ----------------------------------------------------------------

    def _send_all(self) -> None:
        """Send what is committed, the first snapshot of its generation before it."""
        with self._lock:
            self._send()
        if self.begins:
            self._begin()
            with self._lock:
                self._send()

    def _send_up_to(self, commit: Position) -> bool:
        """Make sure that a commit has arrived. Return False if the replica is not where it could."""
        with self._lock:
            self._send(commit)
            here = self.position
            # A pause, or another generation, may have come between.
            return here is not None and here.generation == commit.generation and here >= commit

    def _begin(self) -> None:
        """The large first snapshot that sending waits for. `_duty` is held, `_lock` is not."""
        with self._database.image() as image, self._beginning_at(image.position):
            try:
                stored = self._store_snapshot(image, self._snapshots)
            except ObjectExistsError:
                with self._lock:
                    self._meet_snapshot(image.position.generation)
            else:
                with self._lock:
                    self._begun(image.position, stored, self._snapshots)

    @contextmanager
    def _beginning_at(self, commit: Position) -> Iterator[None]:
        """A block in which the WAL from that commit on is kept, for the snapshot of which nobody else knows yet."""
        self._beginning = commit
        try:
            yield
        finally:
            self._beginning = None

    def _snapshot(self, anew: bool = False, order: Order | None = None) -> str:
        """A snapshot in a generation that is under way, never at the cost of a restore point.

        A later snapshot of one index has the name of the earlier one, and would take its place, and with it every
        commit between the two. So it is only ever created: where the index has one, it waits for the next index.
        With `anew` it need not follow others: they were lost.

        All WAL up to its commit is stored before it, and what follows goes on while it is written.
        """
        position = self.position
        if position is None:
            return "waiting for the database"
        if not anew and not self.client.snapshots(position.generation):
            # Emptied behind our back, or listed late: which of them, and what is to be done, is found by looking.
            with self._lock:
                self._state = self._state.unknown()
            return "the replica has no snapshot of this generation any more; what it holds is looked up anew"
        with self._database.image() as image:
            here = image.position
            if here.generation == position.generation:
                # Asked for by name, since a listing may be late.
                same = held_by(self.client, self._database, self.name, snapshot_name(here.generation, here.index))
                if same == here:
                    self._wanted_after = None
                    return "the newest snapshot holds the newest commit already"
                if same is None:
                    if not self._send_up_to(here):
                        return "what the replica holds is looked up anew; the snapshot comes after that"
                    try:
                        stored = self._store_snapshot(image, self._snapshots, breaks_off=True, order=order)
                    except ObjectExistsError:
                        # The answer was lost, or the object is another program's: the next try finds out.
                        return "a snapshot of this index is there already"
                    with self._lock:
                        self._stored(here, stored, self._snapshots)
                    self._wanted_after = None
                    return f"snapshot {here.index:08x} written"
        # A complete checkpoint lets the next commit begin an index.
        self._wanted_after = here.index
        self._database.checkpoint()
        return "a snapshot will be written with the next commit, which begins a new index"

    def _store_snapshot(
        self, image: Image, meter: UploadMeter, breaks_off: bool = False, order: Order | None = None
    ) -> int:
        """Write an image.

        Return the bytes stored. With `breaks_off` nothing waits for it, and the end of the engine ends it.
        """
        position = image.position
        # A generation may have begun since the image was made.
        generation_info = self._database.generation_info
        if generation_info.generation != position.generation:
            generation_info = GenerationInfo(position.generation, "", "", "")
        before = lineage(self.client, generation_info, self._left_at, self._others.parted_from(generation_info))
        note = SnapshotNote(
            position=position,
            pages=image.pages,
            page_size=image.page_size,
            mode=mode_beside(self._database.path) & 0o777,
            time=datetime.now(UTC),
            reason=generation_info.reason,
            previous=before.previous,
            earlier=before.earlier,
            beside=before.beside,
            begins=before.begins,
            problems=tuple(soundness.noted(self._problems).splitlines()),
            lefts=before.lefts,
            reached=before.reached,
            frame=self._database.shadow.frame_mark(
                position.generation, position.index, position.offset, image.page_size
            ),
            writer=self._writer,
        )
        self._emit("info", "write snapshot", position=str(position), size=image.size)
        self._others.writing(name := snapshot_name(position.generation, position.index))
        meter.started(name, image.size)
        began = time.monotonic()
        chunks = self._counted(image.chunks(), meter, breaks_off, order or Order())
        sums: list[str] = []
        at_start = position.index == 0 and position.offset == 0
        forget(self._database.meta_path, self.name)
        try:
            stored = self.client.write_snapshot(
                position.generation, position.index, chunks, note, create=True, summed=sums.append if at_start else None
            )
        except BaseException:
            meter.gave_up()
            raise
        reached("replica: snapshot stored")
        remember(self._database.meta_path, self.name, position, stored)
        for checksum in sums:
            unwritten.remember(self._database.meta_path, position, self._database.path, checksum)
        self._emit(
            "info",
            "snapshot written",
            position=str(position),
            elapsed=f"{time.monotonic() - began:.3f}s",
            stored=stored,
        )
        return stored

    def _counted(self, chunks: Iterator[bytes], meter: UploadMeter, breaks_off: bool, order: Order) -> Iterator[bytes]:
        for chunk in chunks:
            self._permit.check()
            if breaks_off and self._ending.is_set():
                raise PausedError(f"{meter.progress.object_name} was broken off, for the program ends")
            meter.sent(len(chunk))
            order.sent(meter.progress.object_bytes, meter.progress.object_total_bytes)
            yield chunk

    # -- the position: `_lock` is held in all that follows --------------------------------------------------------

    def _begin_generation(self) -> None:
        """The first snapshot: WAL of its index follows from the start, and must reach what the snapshot holds."""
        with self._database.image() as image:
            if image.size > FIRST_BYTES_MAX:
                self.begins = image.position.generation
                return
            with self._beginning_at(image.position):
                try:
                    stored = self._store_snapshot(image, self._meter)
                except ObjectExistsError:
                    self._meet_snapshot(image.position.generation)
                    return
                self._begun(image.position, stored, self._meter)

    def _begun(self, position: Position, stored: int, meter: UploadMeter) -> None:
        """The first snapshot of a generation is stored: now its WAL may follow."""
        self._stored(position, stored, meter)
        self._state = self._state.begun(position)
        self.begins = ""
        self.unproven = True
        if self.left is not None:
            # Before the image lets go of the WAL, which is kept for this replica from now on.
            self._has_begun(self.left)

    def _stored(self, position: Position, stored: int, meter: UploadMeter) -> None:
        """The snapshot of `position` is in the replica."""
        self._finished(meter, stored)
        if self.position is None or self.position.generation == position.generation:
            self._since.snapshot(position, stored)
        self._snapshot_is_from(time.time())

    def _meet_snapshot(self, generation: str) -> None:
        """A first snapshot is there that we do not know of: go on from it if it is ours, with its answer lost."""
        found = recover(self.client, self._database, self.name, generation)
        if found is None:
            raise StorageError(
                f"{self.client.address} does not list a snapshot of {generation} that is there: its listings are late, "
                "and are waited for"
            )
        self.begins = ""
        self._found(found)

    def _snapshot_is_from(self, when: float) -> None:
        self.snapshot_time = when
        self.snapshot_at = time.monotonic() - max(0.0, time.time() - when)

    def _mend(self, error: Exception) -> None:
        """What follows from an error beside the next try: another history is left for a new generation."""
        if isinstance(error, DivergedError):
            # Said loudly if it is another program's doing.
            self._others.tell(error, self.position)
            self._restart(str(error))
        elif isinstance(error, PlaceLostError):
            # What is there by the next try is looked at anew: nothing but what we wrote proves it to be ours.
            self._state = self._state.unknown()
            raise error

    def _restart(self, reason: str) -> None:
        """This generation cannot be continued here: the database begins another, and we start over with it."""
        self._emit("warning", "a new generation is needed", reason=reason)
        self._state = self._state.unknown()
        self.begins = ""
        self._wanted_after = None
        self._database.request_generation(reason)

    def _restart_from(self, generation: str, reason: str) -> None:
        """As `_restart`, for a duty's finding, unless another generation has begun meanwhile. `_lock` is not held."""
        with self._lock:
            if self._database.generation_info.generation == generation:
                self._restart(reason)

"""One destination of one database: it carries snapshots and WAL there, at its own pace.

It promises that what the replica holds is at any moment restorable to a commit: the snapshot of a generation
goes first, then segments in order without a gap, and what an old generation still has to send goes before a new
one begins. And that it writes over nothing of another program that goes on with the same history (promise 8): an
object is created, and where one is already its bytes must be ours.
It leaves to the caller when to run, and what to do about errors: all of them are raised.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from replication.database import unwritten
from replication.database.database import Database, Emit
from replication.database.image import Image
from replication.database.origin import Origin
from replication.errors import (
    CorruptObjectError,
    DatabaseError,
    IntegrityCheckError,
    LocalFileError,
    ObjectExistsError,
    ObjectNotFoundError,
    PausedError,
    PlaceLostError,
    RestoreCancelledError,
    RestoreError,
    StorageError,
)
from replication.permissions import mode_beside
from replication.position import Position
from replication.replica.compare import DivergedError, check_snapshot, compare
from replication.replica.disowned import disown, disowned
from replication.replica.lineage import lineage
from replication.replica.neighbours import Neighbours, alive_since
from replication.replica.recovery import Recovered, noted_position, recover
from replication.replica.remembered import forget, remember
from replication.replica.retention import Holdings, expired, snapshot_needed
from replication.replica.upload import cut, local_files, read_range
from replication.replica.validation import restored_digest, source_digest
from replication.replica.writer import Writer, writer_words
from replication.status import UPLOADS_MAX, Upload, Verification
from replication.steps import reached
from replication.storage.container import Note
from replication.storage.names import segment_name, snapshot_name
from replication.storage.replica_client import ReplicaClient

NOTE_VERSION = 1
OTHERS_SHOWN_MAX = 5
"""Generations of others that a warning names."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is under way and what was done: replaced as a whole, so that any thread may read it."""

    object_name: str = ""
    object_bytes: int = 0
    object_total_bytes: int = 0
    objects_written: int = 0
    bytes_written: int = 0
    last_upload: float = 0.0
    snapshot_time: float = 0.0


class Replica:
    """Used by one thread at a time, which its lock sees to; `position` and `progress` may be read by any."""

    def __init__(self, name: str, client: ReplicaClient, database: Database, emit: Emit) -> None:
        self.name = name
        self.client = client
        self.position: Position | None = None
        """Everything before it is in the replica; None until it was looked up there."""
        self.progress = Progress()
        self.uploads: deque[Upload] = deque(maxlen=UPLOADS_MAX)
        """The last objects written."""
        self.verified: Verification | None = None
        self._upload_began = 0.0
        self._sick = False
        """What was restored last is what SQLite calls damaged."""
        self._database = database
        self._emit = emit
        self._lock = threading.Lock()
        self._floor = 0
        self._tried: tuple[Position | None, int] = (None, 0)
        """The segment that was tried last: where it begins, and the offset where it ends."""
        self._paused = threading.Event()
        self._look_again = False
        """Others may have written here since the position was found."""
        self._neighbours = Neighbours()
        self._first_object = ""
        """The first that was written in this run."""
        self._written: set[str] = set()
        """The generations that were written to in this run."""
        self._writer = Writer.here()
        self._alarm = ""
        """Who else goes on with our history, in words."""
        self._parted: set[str] = set()
        """Generations that another program goes on with."""
        self._beside = ""
        """Who else writes here, in words."""
        self._wanted_after: int | None = None
        """A snapshot waits for an index after this one."""

    @property
    def warning(self) -> str:
        """What a person should know of others who write here, or nothing."""
        return self._alarm or self._beside

    def sync(self) -> bool:
        """Send everything that is pending; True if anything was written.

        Raises StorageError, and whatever the database or the shadow WAL raise; the next call goes on.
        """
        with self._lock, local_files():
            before = self.progress.objects_written
            try:
                self._send()
                here = self._database.position
                if self._wanted_after is not None and here is not None and here.index != self._wanted_after:
                    self._snapshot()
            except DivergedError as diverged:
                self._diverged(diverged)
            except PausedError:
                self.progress = replace(self.progress, object_name="", object_bytes=0, object_total_bytes=0)
            except PlaceLostError:
                # What is there by the next try is looked at anew: nothing but what we wrote proves it to be ours.
                self.position = None
                raise
            return self.progress.objects_written > before

    def pause(self) -> None:
        """Send nothing from now on; what is being written is broken off, and waited for. Others may write here then."""
        self._paused.set()
        with self._lock:
            self._look_again = True

    def resume(self) -> None:
        """Send again, from a position that is looked up anew."""
        self._paused.clear()

    def snapshot(self) -> str:
        """Write a snapshot of the newest commit; in words, what became of it. Raises as `sync` does."""
        with self._lock, local_files():
            try:
                self._send()
                return self._snapshot()
            except DivergedError as diverged:
                self._diverged(diverged)
                return "a new generation begins with a snapshot"

    def enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        """Remove what the retention window does not need; the number of objects removed. Raises StorageError."""
        with self._lock, local_files():
            try:
                return self._enforce_retention(retention_seconds, now)
            except DivergedError as diverged:
                self._diverged(diverged)
                return 0

    def verify(self, cancel: threading.Event) -> Verification:
        """Restore the newest commit from the replica and compare; after a difference a new generation begins.

        A verification that could not be done is an outcome too: nothing is raised but defects.
        """
        began = time.monotonic()
        position: Position | None = None
        outcome: Literal["ok", "failed", "inconclusive"] = "inconclusive"
        try:
            position, outcome, words = self._compare(cancel)
        except (StorageError, DatabaseError, LocalFileError, RestoreCancelledError) as error:
            words = str(error)
        result = Verification(self.name, outcome, words, position, time.monotonic() - began, time.time())
        self.verified = result
        level = {"ok": "info", "failed": "error", "inconclusive": "warning"}[outcome]
        self._emit(level, "verified", outcome=outcome, result=words, position=str(position or ""))
        if outcome == "failed" and not self._sick:
            with self._lock:
                self._restart(f"verification of replica {self.name} failed")
        return result

    def _compare(self, cancel: threading.Event) -> tuple[Position | None, Literal["ok", "failed", "inconclusive"], str]:
        self._sick = False
        with self._lock, local_files():
            try:
                # First its snapshot, if it has none of this generation: that would be of a later commit.
                self._send()
                position, digest = source_digest(self._database)
                self._send(position)
            except DivergedError as diverged:
                self._diverged(diverged)
                return None, "inconclusive", f"a new generation is needed: {diverged}"
            if self.position is None or self.position.generation != position.generation:
                return position, "inconclusive", "a new generation began meanwhile"
        # Without the lock: what is uploaded meanwhile comes after the position.
        try:
            restored = restored_digest(self.client, position, self._database.meta_path, cancel)
        except RestoreCancelledError:
            raise
        except IntegrityCheckError as error:
            # Then the source is sick too, or all but its pages: another snapshot of it would mend nothing.
            self._sick = True
            return position, "failed", str(error)
        except RestoreError as error:
            return position, "failed", str(error)
        if restored != digest:
            return position, "failed", "what was restored differs from the database at the same commit"
        return position, "ok", "restored, checked, and equal to the database"

    # -- sending: the lock is held in all that follows ------------------------------------------------------------

    def _send(self, until: Position | None = None) -> None:
        """Send what is committed, across indexes and generations, or up to a position of the current one.

        What is committed meanwhile is left for the next time, lest a busy writer be followed commit by commit.
        """
        database = self._database
        here = self._end(until)
        while here is not None and not self._paused.is_set():
            if self._look_again:
                self._look_again, self.position = False, None
            if self.position is None:
                if self._end(None) is None:
                    return
                self._look_up()
                here = self._end(until)
                continue
            position = self.position
            end = database.end(here, position.generation, position.index)
            if position.offset < end:
                self._send_segment(position, end)
            elif position.generation == here.generation:
                if position.index >= here.index:
                    return
                if not end:
                    raise DivergedError(
                        f"replica {self.name} is at index {position.index:08x}, of which no shadow wal is left"
                    )
                self._enter_index(position)
            elif end and database.shadow.size(position.generation, position.index + 1):
                self._enter_index(position)
            elif until is not None:
                return
            else:
                self._enter_generation(position)
                # The segment to come must reach what the new snapshot holds, which is later than before.
                here = self._end(None)

    def _end(self, until: Position | None) -> Position | None:
        """How far to send now: as far as was copied, unless it is said; None while the database is let go of."""
        return until or self._database.position

    def _look_up(self, after: str = "") -> None:
        """Find where the replica stands, in the oldest generation later than `after` that it has begun."""
        database = self._database
        older = database.generations[:-1]
        for generation in older[older.index(after) + 1 :] if after in older else older:
            try:
                found = recover(self.client, database, self.name, generation)
            except DivergedError as diverged:
                self._tell_of_another(diverged)
                self._emit("warning", "rest of an old generation not sent", generation=generation, reason=str(diverged))
                continue
            if found is not None:
                self._found(found)
                return
        self._go_on_with(database.generations[-1])

    def _enter_index(self, position: Position) -> None:
        self._end_index(position)
        self.position = Position(position.generation, position.index + 1, 0)
        self._floor = 0

    def _enter_generation(self, end: Position) -> None:
        """All of an old generation is sent: go on with a later one that was begun here, or with the newest.

        Only of the newest can a snapshot be taken.
        """
        old = end.generation
        try:
            self._end_index(end)
        except DivergedError as found:
            # Another one begins here as it is.
            self._tell_of_another(found)
        self._emit("info", "old generation is whole in the replica", generation=old)
        reached("replica: old generation whole")
        self.position = None
        self._look_up(old)

    def _end_index(self, position: Position) -> None:
        """Nothing of ours follows `position` in its index: put an end mark there, an object without content.

        Another program that goes on in this index would write under that very name, and one that did so before is
        found by it. So no two can part where an index or a generation ends.
        """
        if position.offset:
            try:
                stored = self.client.write_segment(position, (), self._note(position), create=True)
            except ObjectExistsError:
                self._meet(position)
                return
            reached("replica: index ended")
            self.progress = replace(
                self.progress,
                objects_written=self.progress.objects_written + 1,
                bytes_written=self.progress.bytes_written + stored,
            )

    def _meet(self, position: Position) -> int | None:
        """Where what is there under the name of the segment at `position` ends; None if it is torn.

        Raises DivergedError if it is not of our history.
        """
        here = self._database.position
        if here is None:
            raise PausedError(f"{self._database.path} was paused while {segment_name(position)} was written")
        return compare(self.client, self._database, self.name, here, position)

    def _go_on_with(self, generation: str) -> None:
        """Continue the newest generation where the replica stands in it, or begin it there."""
        found = recover(self.client, self._database, self.name, generation)
        if found is None:
            self._begin_generation()
        else:
            self._found(found)

    def _found(self, found: Recovered) -> None:
        self.client.storage.accept_place()
        self.position, self._floor = found.position, found.floor
        self.progress = replace(self.progress, snapshot_time=found.snapshot_time)
        self._emit("info", "replica position", position=str(found.position))

    def _send_segment(self, position: Position, end: int) -> None:
        database = self._database
        path = database.shadow.path(position.generation, position.index)
        tried, stop = self._tried
        if tried != position or not self._floor <= stop <= end:
            stop = cut(path, position.offset, end, self._floor)
        # A store may carry out an upload long after its answer was lost, and after its retry. So a segment is
        # tried again just as it was, though more may have been committed since.
        self._tried = (position, stop)
        self._started(segment_name(position), stop - position.offset)
        note = self._note(position)
        try:
            chunks = read_range(path, position.offset, stop, self._sent)
            stored = self.client.write_segment(position, chunks, note, create=True)
        except ObjectExistsError:
            there = self._meet(position)
            if there is not None:
                self._arrived(position, there)
                return
            # What is torn is no object of anybody's.
            chunks = read_range(path, position.offset, stop, self._sent)
            stored = self.client.write_segment(position, chunks, note)
        reached("replica: segment stored")
        self.position = replace(position, offset=stop)
        self._floor = 0
        self._finished(stored)
        self._emit("debug", "segment written", position=str(position), size=stop - position.offset, stored=stored)

    def _arrived(self, position: Position, end: int) -> None:
        """The segment at `position` was there: one of ours whose answer was lost, or what we had before a clone."""
        if end < self._floor:
            raise DivergedError(f"replica {self.name} lacks WAL that its newest snapshot holds")
        self.position = replace(position, offset=end)
        self._floor = 0
        self.progress = replace(self.progress, object_name="", object_bytes=0, object_total_bytes=0)
        self._emit("debug", "segment was there already", position=str(position), size=end - position.offset)

    def _note(self, position: Position) -> Note:
        """What a segment says of itself."""
        note: dict[str, str | int] = {"v": NOTE_VERSION, **self._writer.note()}
        if position.offset == 0:
            # Only so can a reader tell that an object is in its place, and that the end of an index is missing.
            note["position"] = str(position)
            size = self._database.shadow.size
            before = size(position.generation, position.index - 1) if position.index else 0
            if before:
                note["previous"] = str(Position(position.generation, position.index - 1, before))
        return note

    def _enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        position = self.position
        if position is None:
            return 0
        client = self.client
        holdings = [Holdings(name, client.snapshots(name), client.segments(name)) for name in client.generations()]
        # A disk that is away has not lost its snapshots, and one that goes while it is listed neither.
        client.storage.check_place()
        if not any(held.generation == position.generation and held.snapshots for held in holdings):
            if client.snapshots(position.generation):
                return 0
            client.storage.check_place()
            self._restart(f"replica {self.name} lost its snapshots")
            return 0
        if snapshot_needed(holdings, position.generation, now, retention_seconds):
            self._send()
            self._snapshot()
        others = self._look_for_others(holdings)
        forget = expired(holdings, position.generation, now, retention_seconds, others)
        removed = len(forget.objects)
        if forget.objects:
            client.delete(forget.objects)
            reached("retention: objects removed")
        for generation in forget.generations:
            removed += client.delete_generation(generation)
            reached("retention: generation removed")
        if removed:
            self._emit(
                "info", "retention enforced", objects_removed=removed, generations_removed=len(forget.generations)
            )
        return removed

    def _look_for_others(self, holdings: Sequence[Holdings]) -> set[str]:
        """Tell of somebody else who writes here, once for each change; the generations that are theirs."""
        origin = self._database.origin
        ours = {origin.generation, origin.previous, *origin.earlier, *self._database.generations, *self._written}
        theirs = disowned(self._database.meta_path)
        ours -= theirs.keys()
        if self._neighbours.look(holdings, ours, self._first_object):
            names = ", ".join(self._neighbours.found[:OTHERS_SHOWN_MAX])
            self._beside = names and (
                f"another program writes to {self.client.address} as well (generation {names}); restores may find "
                "either database there, so give each a path of its own"
            )
            self._emit("warning", "others write to this replica", generations=names or "none any more")
        others = {*self._neighbours.found, *(name for name, certain in theirs.items() if certain)}
        with suppress(ValueError):
            others |= alive_since(holdings, ours, datetime.fromisoformat(origin.began))
        return others

    # -- snapshots ------------------------------------------------------------------------------------------------

    def _begin_generation(self) -> None:
        """The first snapshot: WAL of its index follows from the start, and must reach what the snapshot holds."""
        with self._database.image() as image:
            try:
                self._write_snapshot(image, create=True)
            except ObjectExistsError:
                self._meet_snapshot(image.position.generation)
                return
            self.position = replace(image.position, offset=0)
            self._floor = image.position.offset

    def _meet_snapshot(self, generation: str) -> None:
        """A first snapshot is there that we do not know of: go on from it if it is ours, with its answer lost."""
        found = recover(self.client, self._database, self.name, generation)
        if found is None:
            raise StorageError(
                f"{self.client.address} does not list a snapshot of {generation} that is there: its listings are late, "
                "and are waited for"
            )
        self._found(found)

    def _snapshot(self) -> str:
        """A snapshot in a generation that is under way, never at the cost of a restore point.

        A later snapshot of one index has the name of the earlier one and would take its place, and with it every
        commit between the two; so without an older snapshot to fall back on, it waits for the next index.
        """
        position = self.position
        if position is None:
            return "waiting for the database"
        existing = self.client.snapshots(position.generation)
        if not existing:
            # Emptied behind our back, or listed late: which of them, and what is to be done, is found by looking.
            self.position = None
            return "the replica has no snapshot of this generation any more; what it holds is looked up anew"
        with self._database.image() as image:
            here = image.position
            if here.generation == position.generation:
                # Asked for by name, since a listing may be late.
                same = self._ours(snapshot_name(here.generation, here.index))
                if same == here:
                    return "the newest snapshot holds the newest commit already"
                older = any(item.index < here.index and self._holds(item.name) for item in existing)
                if same is None or (same != "unknown" and older):
                    self._send(here)
                    self._write_snapshot(image, create=same is None)
                    self._wanted_after = None
                    return f"snapshot {here.index:08x} written"
        # A complete checkpoint lets the next commit begin an index.
        self._wanted_after = here.index
        self._database.checkpoint()
        return "a snapshot will be written with the next commit, which begins a new index"

    def _holds(self, snapshot: str) -> Position | Literal["unknown"] | None:
        """The commit that a snapshot holds, which its note may not tell; None if there is no such snapshot."""
        try:
            return noted_position(self.client, snapshot) or "unknown"
        except CorruptObjectError:
            return "unknown"
        except ObjectNotFoundError:
            return None

    def _ours(self, snapshot: str) -> Position | Literal["unknown"] | None:
        """As `_holds`, of a snapshot that may be written over: it must be proven to be of our history.

        Raises DivergedError if it is of another.
        """
        try:
            note = self.client.read_note(snapshot)
            return (note and check_snapshot(self.client, self._database, self.name, snapshot, note)) or "unknown"
        except CorruptObjectError:
            return "unknown"
        except ObjectNotFoundError:
            return None

    def _write_snapshot(self, image: Image, *, create: bool) -> None:
        position = image.position
        # A generation may have begun since the image was made.
        origin = self._database.origin
        if origin.generation != position.generation:
            origin = Origin(position.generation, "", "", "")
        note: dict[str, str | int] = {
            "v": NOTE_VERSION,
            **self._writer.note(),
            "position": str(position),
            "pages": image.pages,
            "page_size": image.page_size,
            "frame": self._database.shadow.frame_mark(
                position.generation, position.index, position.offset, image.page_size
            ),
            "mode": mode_beside(self._database.path) & 0o777,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "reason": origin.reason,
            **lineage(self.client, origin),
        }
        if theirs := self._parted_from(origin):
            note["beside"] = " ".join(theirs)
        self._emit("info", "write snapshot", position=str(position), size=image.size)
        self._started(snapshot_name(position.generation, position.index), image.size)
        began = time.monotonic()
        chunks = self._counted(image.chunks())
        forget(self._database.meta_path, self.name)
        stored = self.client.write_snapshot(position.generation, position.index, chunks, note, create=create)
        reached("replica: snapshot stored")
        remember(self._database.meta_path, self.name, position, stored)
        self._finished(stored)
        if position.index == 0 and position.offset == 0:
            # The snapshot is stored, whether or not the store gives these few bytes back.
            with suppress(StorageError):
                checksum = self.client.read_checksum(snapshot_name(position.generation, position.index), stored)
                unwritten.remember(self._database.meta_path, position, self._database.path, checksum)
        self.progress = replace(self.progress, snapshot_time=time.time())
        self._emit(
            "info",
            "snapshot written",
            position=str(position),
            elapsed=f"{time.monotonic() - began:.3f}s",
            stored=stored,
        )

    def _diverged(self, found: DivergedError) -> None:
        """Say so, loudly if it is another program's doing, and start over."""
        self._tell_of_another(found)
        self._restart(str(found))

    def _tell_of_another(self, found: DivergedError) -> None:
        """Another program goes on with our history, by what was found; said once of each generation."""
        position, generation = self.position, found.foreign.partition("/")[2].partition("/")[0]
        if generation and generation not in self._parted:
            self._parted.add(generation)
            where, who = self.client.address, writer_words(found.other, self._writer)
            self._alarm = (
                f"another program goes on with the same history in {where}: {found.foreign} was written by {who}, and "
                "is not what this database has. It was left as it is, and this program goes on with a new generation. "
                + (
                    "The volume, virtual machine or local folder was copied: stop one of the two, or give it a path "
                    "of its own; until then restores may find either database there"
                    if position is not None
                    else "If the volume, virtual machine or local folder was copied, stop one of the two, or give it "
                    "a path of its own. If this database was set back to an older copy of it, all is well"
                )
            )
            disown(self._database.meta_path, self.name, generation, self._alarm, certain=position is not None)
            # At the start it may as well be what this database was set back from, by a backup or a loss of power.
            certain = position is not None
            words = "another program writes the same history" if certain else "the replica holds another history"
            self._emit("error" if certain else "warning", words, object=found.foreign, warning=self._alarm)

    def _parted_from(self, origin: Origin) -> list[str]:
        """The generations before this one that another program goes on with, so that this is not simply the newer."""
        theirs = disowned(self._database.meta_path)
        return [name for name in (origin.previous, *origin.earlier) if name in theirs]

    def _restart(self, reason: str) -> None:
        """This generation cannot be continued here: the database begins another, and we start over with it."""
        self._emit("warning", "a new generation is needed", reason=reason)
        self.position = None
        self._wanted_after = None
        self._database.request_generation(reason)

    # -- progress -------------------------------------------------------------------------------------------------

    def _started(self, name: str, total: int) -> None:
        self._written.add(name.split("/")[1])
        self._upload_began = time.monotonic()
        self.progress = replace(self.progress, object_name=name, object_bytes=0, object_total_bytes=total)

    def _sent(self, size: int) -> None:
        if self._paused.is_set():
            # Later it could take the place of what somebody else has written under that name.
            raise PausedError(f"{self._database.path} was paused while {self.progress.object_name} was written")
        self.progress = replace(self.progress, object_bytes=self.progress.object_bytes + size)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._sent(len(chunk))
            yield chunk

    def _finished(self, stored: int) -> None:
        progress, now = self.progress, time.time()
        self._first_object = self._first_object or progress.object_name
        took = time.monotonic() - self._upload_began
        self.uploads.append(Upload(progress.object_name, progress.object_total_bytes, stored, now, took))
        self.progress = replace(
            progress,
            object_name="",
            object_bytes=0,
            object_total_bytes=0,
            objects_written=progress.objects_written + 1,
            bytes_written=progress.bytes_written + stored,
            last_upload=now,
        )

"""One destination of one database: it carries snapshots and WAL there, at its own pace.

It promises that what the replica holds is at any moment restorable to a commit: the snapshot of a generation
goes first, then segments in order without a gap, and what an old generation still has to send goes before a new
one begins. And that it writes over nothing of another program that goes on with the same history (promise 8): an
object is created, and where one is already its bytes must be ours.
It leaves to the caller when to run, and what to do about errors: all of them are raised.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from replication.database import soundness, unwritten
from replication.database.database import Database, Emit
from replication.database.image import Image
from replication.database.origin import Origin
from replication.errors import (
    CorruptObjectError,
    DatabaseError,
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
from replication.replica.anew import LeftBehind
from replication.replica.compare import DivergedError, check_snapshot
from replication.replica.holdings import Holdings
from replication.replica.keeping import Standing
from replication.replica.lineage import lineage
from replication.replica.numbers import Number
from replication.replica.permit import Always, Permit
from replication.replica.progress import Progress
from replication.replica.recovery import recover
from replication.replica.remembered import forget, remember
from replication.replica.sender import NOTE_VERSION
from replication.replica.upload import local_files
from replication.replica.validation import restored_digest, source_digest
from replication.status import Upload, Verification
from replication.steps import reached
from replication.storage.names import generation_prefix, snapshot_name
from replication.storage.replica_client import ReplicaClient


class Replica(LeftBehind):
    """Used by one thread at a time, which its lock sees to; `position` and `progress` may be read by any."""

    def __init__(
        self, name: str, client: ReplicaClient, database: Database, emit: Emit, permit: Permit | None = None
    ) -> None:
        super().__init__(name, client, database, emit, permit or Always(), lambda: time.monotonic())
        self.verified: Verification | None = None
        self.unproven = False
        """The place is to be listed once, for a generation began there."""
        self._problems = soundness.recall(database.meta_path)
        """What SQLite's check says of the database itself, as far as it is known."""
        self.snapshot_at = 0.0
        """When the newest snapshot was written, of time.monotonic; counts while progress.snapshot_time is known."""
        self._lock = threading.Lock()
        self._wanted_after: int | None = None
        """A snapshot waits for an index after this one."""
        self._swept = False
        """What a run that was killed may have left of uploads was looked for."""

    @property
    def warning(self) -> str:
        """What a person should know of others who write here, or of the database itself; or nothing."""
        return self._others.warning or soundness.words(self._problems)

    @property
    def progress(self) -> Progress:
        """What is under way and what was done."""
        return self._meter.progress

    @property
    def uploads(self) -> Sequence[Upload]:
        """The last objects written."""
        return self._meter.uploads

    @property
    def standing(self) -> Standing:
        """Whether the newest position is restorable, and when that was shown last."""
        return self._keeping.standing

    def remember(self, standing: Standing) -> None:
        """What an earlier run has found out."""
        self._keeping.standing = standing

    def sync(self) -> bool:
        """Send everything that is pending; True if anything was written.

        Raises StorageError, and whatever the database or the shadow WAL raise; the next call goes on.
        """
        before = self.progress.objects_written
        with suppress(PausedError), self._turn():
            try:
                self._send()
                self._sweep_uploads()
                here = self._database.position
                if self._wanted_after is not None and here is not None and here.index != self._wanted_after:
                    self._snapshot()
            except DivergedError as diverged:
                self._diverged(diverged)
            except PlaceLostError:
                # What is there by the next try is looked at anew: nothing but what we wrote proves it to be ours.
                self.position, self.failing = None, True
                raise
            except StorageError:
                self.failing = True
                raise
            self.failing = False
        return self.progress.objects_written > before

    def let_go(self) -> None:
        """Nothing is under way here, and others may write from now on: where it stands is looked up anew after that."""
        with self._lock:
            self.position = None

    def snapshot(self) -> str:
        """Write a snapshot of the newest commit; in words, what became of it. Raises as `sync` does."""
        with self._turn():
            try:
                self._send()
                return self._snapshot()
            except DivergedError as diverged:
                self._diverged(diverged)
                return "a new generation begins with a snapshot"

    def prove(self) -> None:
        """List what a generation that has just begun has here; it must be restorable. Raises as `sync` does."""
        with self._turn():
            try:
                if self.position is not None:
                    self._prove(self._keeping.look(self.position.generation), removed_by_rule=False)
            except DivergedError as diverged:
                self._diverged(diverged)

    def enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        """Prove that the newest position is restorable, then remove what the retention window does not need.

        `now` is what the host believes, which is asked only where the store cannot tell. Without a retention nothing is
        removed. Returns the number of objects removed. Raises StorageError.
        """
        with self._turn():
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
        if outcome == "failed":
            # One that is let go of may have been changed by others, which the next verification tells.
            with suppress(PausedError), self._turn():
                self._restart(f"verification of replica {self.name} failed")
        return result

    def _compare(self, cancel: threading.Event) -> tuple[Position | None, Literal["ok", "failed", "inconclusive"], str]:
        with self._turn():
            try:
                # First its snapshot, if it has none of this generation: that would be of a later commit.
                self._send()
                original = source_digest(self._database)
                position = original.position
                self._send(position)
            except DivergedError as diverged:
                self._diverged(diverged)
                return None, "inconclusive", f"a new generation is needed: {diverged}"
            if self.position is None or self.position.generation != position.generation:
                return position, "inconclusive", "a new generation began meanwhile"
        # Without the lock: what is uploaded meanwhile comes after the position.
        try:
            restored, problems = restored_digest(self.client, original, self._database.meta_path, cancel)
        except RestoreCancelledError:
            raise
        except RestoreError as error:
            return position, "failed", str(error)
        if restored != original.digest:
            return position, "failed", "what was restored differs from the database at the same commit"
        self._problems = problems
        soundness.remember(self._database.meta_path, problems)
        if problems:
            # Another generation would mend nothing: the application's own database is so.
            words = f"restored, and equal to the database, which itself fails SQLite's check: {'; '.join(problems)}"
            return position, "ok", words
        return position, "ok", "restored, checked, and equal to the database"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A block in which the replica is ours alone; raises PausedError where nothing may begin, or go on."""
        with self._permit.working(), self._lock, local_files():
            # Whoever had it before may have hung, and the database be paused since.
            self._permit.check()
            try:
                yield
            except PausedError:
                self._meter.gave_up()
                raise

    # -- duties: the lock is held in all that follows; sending is in sender.py ------------------------------------

    def _enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        keeping = self._keeping
        if self.position is None:
            # Others may have written and removed here meanwhile: the next sync looks.
            return 0
        holdings = self._prove(keeping.look(), removed_by_rule=retention_seconds <= 0)
        position = self.position
        if not holdings or position is None:
            return 0
        others = self._others.look(holdings)
        if keeping.newest_is_old(holdings, position.generation, retention_seconds, now):
            self._send()
            self._snapshot()
            # What goes is decided on a listing of all that was written.
            holdings = self._prove(keeping.look(), removed_by_rule=False)
            position = self.position
            if not holdings or position is None:
                return 0
            others |= self._others.look(holdings)
        return keeping.forget(holdings, position, retention_seconds, others, now)

    def _prove(self, holdings: list[Holdings], removed_by_rule: bool) -> list[Holdings]:
        """These holdings if they show the newest position to be restorable; else nothing, and it is mended.

        Whatever made it unrestorable, a snapshot of what is here now does, or else a generation that begins with one.
        """
        position, keeping = self.position, self._keeping
        if position is None:
            return []
        proof = keeping.prove(holdings, position, removed_by_rule)
        if proof is None:
            return []
        self.unproven = False
        if proof.restorable:
            return holdings
        if self._database.generations[-1:] != (position.generation,):
            # Another one has begun already: its first snapshot comes now.
            self._send()
            return []
        if proof.by_snapshot:
            self._send()
            self._snapshot(anew=True)
            if self.position is not None:
                again = keeping.look(self.position.generation)
                mended = keeping.prove(again, self.position)
                if mended is None or mended.restorable:
                    return []
        self._restart(f"replica {self.name} {proof.reason}")
        return []

    def _sweep_uploads(self) -> None:
        """Abort uploads in parts that a run which was killed has left: they are billed until somebody does.

        Only those of generations that are in our local folder: nobody but us has begun them, and none is under way.
        """
        if self._swept or self.position is None:
            return
        self._swept = True
        if not self._database.was_killed:
            return
        aborted = 0
        with suppress(StorageError):  # A rule of the bucket may do it; it is no reason not to go on.
            for generation in self._database.shadow.generations():
                aborted += self.client.storage.abort_unfinished(generation_prefix(generation))
        if aborted:
            self._emit("info", "uploads that were cut off when this program was killed were removed", uploads=aborted)

    # -- snapshots ------------------------------------------------------------------------------------------------

    def _begin_generation(self) -> None:
        """The first snapshot: WAL of its index follows from the start, and must reach what the snapshot holds."""
        with self._database.image() as image:
            self._beginning = image.position
            try:
                self._write_snapshot(image)
            except ObjectExistsError:
                self._meet_snapshot(image.position.generation)
                return
            finally:
                self._beginning = None
            self.position = replace(image.position, offset=0)
            self._floor = image.position.offset
            self._number = Number()
            self.unproven = True
            # Before the image lets go of the WAL, which is kept for this replica from now on.
            self.left = None

    def _snapshot_is_from(self, when: float) -> None:
        self._meter.snapshot(when)
        self.snapshot_at = time.monotonic() - max(0.0, time.time() - when)

    def _meet_snapshot(self, generation: str) -> None:
        """A first snapshot is there that we do not know of: go on from it if it is ours, with its answer lost."""
        found = recover(self.client, self._database, self.name, generation)
        if found is None:
            raise StorageError(
                f"{self.client.address} does not list a snapshot of {generation} that is there: its listings are late, "
                "and are waited for"
            )
        self._found(found)

    def _snapshot(self, anew: bool = False) -> str:
        """A snapshot in a generation that is under way, never at the cost of a restore point.

        A later snapshot of one index has the name of the earlier one, and would take its place, and with it every
        commit between the two. So it is only ever created: where the index has one, it waits for the next index.
        With `anew` it need not follow others: they were lost.
        """
        position = self.position
        if position is None:
            return "waiting for the database"
        if not anew and not self.client.snapshots(position.generation):
            # Emptied behind our back, or listed late: which of them, and what is to be done, is found by looking.
            self.position = None
            return "the replica has no snapshot of this generation any more; what it holds is looked up anew"
        with self._database.image() as image:
            here = image.position
            if here.generation == position.generation:
                # Asked for by name, since a listing may be late.
                same = self._ours(snapshot_name(here.generation, here.index))
                if same == here:
                    self._wanted_after = None
                    return "the newest snapshot holds the newest commit already"
                if same is None:
                    self._send(here)
                    try:
                        self._write_snapshot(image)
                    except ObjectExistsError:
                        # Its answer was lost, or it is another's: the next try finds out.
                        return "a snapshot of this index is there already"
                    self._wanted_after = None
                    return f"snapshot {here.index:08x} written"
        # A complete checkpoint lets the next commit begin an index.
        self._wanted_after = here.index
        self._database.checkpoint()
        return "a snapshot will be written with the next commit, which begins a new index"

    def _ours(self, snapshot: str) -> Position | Literal["unknown"] | None:
        """The commit that a snapshot of our history holds, which its note may not tell; None if there is none.

        Raises DivergedError if it is of another history.
        """
        try:
            note = self.client.read_note(snapshot)
            return (note and check_snapshot(self.client, self._database, self.name, snapshot, note)) or "unknown"
        except CorruptObjectError:
            return "unknown"
        except ObjectNotFoundError:
            return None

    def _write_snapshot(self, image: Image) -> None:
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
        if self._problems:
            note["check"] = soundness.noted(self._problems)
        if theirs := self._others.parted_from(origin):
            note["beside"] = " ".join(dict.fromkeys([*theirs, *str(note.get("beside", "")).split()]))
        self._emit("info", "write snapshot", position=str(position), size=image.size)
        self._started(snapshot_name(position.generation, position.index), image.size)
        began = time.monotonic()
        chunks = self._counted(image.chunks())
        forget(self._database.meta_path, self.name)
        stored = self.client.write_snapshot(position.generation, position.index, chunks, note, create=True)
        reached("replica: snapshot stored")
        remember(self._database.meta_path, self.name, position, stored)
        self._finished(stored)
        self._keeping.expected.snapshot(position)
        if position.index == 0 and position.offset == 0:
            # The snapshot is stored, whether or not the store gives these few bytes back.
            with suppress(StorageError):
                checksum = self.client.read_checksum(snapshot_name(position.generation, position.index), stored)
                unwritten.remember(self._database.meta_path, position, self._database.path, checksum)
        self._meter.snapshot(time.time())
        self.snapshot_at = time.monotonic()
        self._emit(
            "info",
            "snapshot written",
            position=str(position),
            elapsed=f"{time.monotonic() - began:.3f}s",
            stored=stored,
        )

    def _diverged(self, found: DivergedError) -> None:
        """Say so, loudly if it is another program's doing, and start over."""
        self._others.tell(found, self.position)
        self._restart(str(found))

    def _restart(self, reason: str) -> None:
        """This generation cannot be continued here: the database begins another, and we start over with it."""
        self._emit("warning", "a new generation is needed", reason=reason)
        self.position = None
        self._wanted_after = None
        self._database.request_generation(reason)

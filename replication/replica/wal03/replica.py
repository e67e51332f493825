"""One destination of one database: it carries snapshots and WAL there, at its own pace.

It promises that what the replica holds is at any moment restorable to a commit: the snapshot of a generation
goes first, then segments in order without a gap, and what an old generation still has to send goes before a new
one begins. And that it writes over nothing of another program that goes on with the same history (promise 8): an
object is created, and where one is already its bytes must be ours. What takes long (snapshots, proofs, retention,
verification) keeps no segment waiting but those of a generation whose first snapshot is not stored yet.
It leaves to the caller when to run, and what to do about errors: all of them are raised.
"""

from contextlib import suppress
from datetime import datetime

from replication.errors import (
    PausedError,
    PlaceLostError,
    StorageError,
)
from replication.local import soundness
from replication.position import Position
from replication.replica.destination import Standing
from replication.replica.ordered import Order
from replication.replica.upload_meter import UploadProgress, together
from replication.replica.wal03.holdings import Holdings
from replication.replica.wal03.keeping import PROBES_MAX
from replication.replica.wal03.snapshots import MENDED
from replication.replica.wal03.taken import lost_behind
from replication.replica.wal03.verifying import Verifying
from replication.status import ReplicaTotals, Upload


class Replica(Verifying):
    """One destination in this layout.

    One thread sends while another has a duty; any may read `position` and `progress`.
    """

    @property
    def kind(self) -> str:
        """The kind of its store."""
        return self.client.storage.type

    @property
    def address(self) -> str:
        """Where it is, for people, without secrets."""
        return self.client.address

    @property
    def warning(self) -> str:
        """What a person should know of others who write here, or of the database itself; or nothing."""
        return self._others.warning or soundness.words(self._problems)

    @property
    def progress(self) -> UploadProgress:
        """What is under way and what was done; of two objects under way the snapshot."""
        return together(self._snapshots.progress, self._meter.progress)

    @property
    def totals(self) -> ReplicaTotals:
        """What was done since the program began."""
        requests = self.client.storage.requests
        return ReplicaTotals(
            wal_bytes=self._meter.wal_bytes,
            verifications=self._verifications.all(),
            requests=requests.counts.all(),
            request_bytes=requests.sizes.all(),
        )

    @property
    def sending(self) -> str:
        """The segment that is under way beside a snapshot, or nothing."""
        return self._meter.progress.object_name if self._snapshots.progress.object_name else ""

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The last objects written."""
        return self._meter.uploads.all()

    @property
    def standing(self) -> Standing:
        """Whether the newest position is restorable, and when that was shown last."""
        return self._keeping.standing

    def remember(self, standing: Standing) -> None:
        """What an earlier run has found out."""
        self._keeping.standing = standing

    def sync(self) -> bool:
        """Send everything that is pending, whatever it takes.

        Return True if anything was written. Raises as `send` does.
        """
        wrote = self.send()
        if self.begins and self.begin():
            self.send()
            wrote = True
        if self.snapshot_wanted:
            self.snapshot()
            wrote = True
        return wrote

    def send(self) -> bool:
        """Send what is committed, but no large first snapshot, which `begins` tells of.

        Return True if anything was written.

        Raises StorageError, and whatever the database or the shadow WAL raise; the next call goes on.
        """
        before = self._meter.progress.objects_written
        with suppress(PausedError), self._turn():
            try:
                self._look_for_unfinished()
                self._send()
                if self._unfinished and self._duty.acquire(blocking=False):
                    try:
                        self._sweep_uploads()
                    finally:
                        self._duty.release()
            except PausedError:
                self._meter.gave_up()
            except MENDED as error:
                self.failing = isinstance(error, PlaceLostError)
                self._mend(error)
            except StorageError:
                self.failing = True
                raise
            else:
                # Whether the store takes a large snapshot, `begin` finds out.
                self.failing = self.failing and bool(self.begins)
        return self._meter.progress.objects_written > before

    def begin(self) -> bool:
        """Write the large first snapshot that `send` has left, if it has.

        Return True if it is stored. Raises as `send` does.
        """
        with suppress(PausedError), self._duty_turn():
            if not self.begins:
                return False
            try:
                self._begin()
            except MENDED as error:
                self.failing = isinstance(error, PlaceLostError)
                with self._lock:
                    self._mend(error)
                return False
            except StorageError:
                self.failing = True
                raise
            self.failing = False
            return True
        return False

    def let_go(self) -> None:
        """Forget the position, since others may write from now on. Nothing is under way here."""
        with self._lock:
            self._state, self.begins = self._state.unknown(), ""

    def end(self) -> None:
        """Begin no duty any more, and break off a snapshot that nothing waits for: the engine closes."""
        self._ending.set()

    def interrupt(self) -> None:
        """Break off what hangs at the store: there is no more time."""
        self.client.storage.interrupt()

    def close(self) -> None:
        """Let go of the store."""
        self.client.storage.close()

    def snapshot(self, order: Order | None = None) -> str:
        """Write a snapshot of the newest commit. Return what became of it, in words.

        Raises as `send` does, and RestoreCancelledError.
        """
        with self._duty_turn(order):
            try:
                self._send_all()
                return self._snapshot(order=order)
            except MENDED as error:
                with self._lock:
                    self._mend(error)
                return "a new generation begins with a snapshot"

    def prove(self) -> None:
        """List what a generation that has just begun has here; it must be restorable. Raises as `send` does."""
        with self._duty_turn():
            try:
                position, holdings = self._listed(whole=False)
                if position is not None:
                    self._prove(position, holdings, removed_by_rule=False)
            except MENDED as error:
                with self._lock:
                    self._mend(error)

    def enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        """Prove that the newest position is restorable, then remove what the retention window does not need.

        `now` is what the host believes, which is asked only where the store cannot tell. Without a retention nothing is
        removed. Returns the number of objects removed. Raises StorageError.
        """
        with self._duty_turn():
            try:
                return self._enforce_retention(retention_seconds, now)
            except MENDED as error:
                with self._lock:
                    self._mend(error)
                return 0

    # -- duties: `_duty` is held in all that follows, `_lock` is not ----------------------------------------------

    def _enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        keeping = self._keeping
        position, holdings = self._listed()
        # Others may have written and removed here meanwhile: the next sync looks.
        if position is None or not self._prove(position, holdings, removed_by_rule=retention_seconds <= 0):
            return 0
        others = self._look_at_others(holdings)
        if keeping.newest_is_old(holdings, position, retention_seconds, now):
            self._send_all()
            self._snapshot()
            # What goes is decided on a listing of all that was written.
            position, holdings = self._listed()
            if position is None or not self._prove(position, holdings, removed_by_rule=False):
                return 0
            others |= self._look_at_others(holdings)
        return keeping.forget(holdings, position, retention_seconds, others, now)

    def _listed(self, whole: bool = True) -> tuple[Position | None, list[Holdings]]:
        """Where the replica stood, and a listing made after that: of the whole replica, or of its generation alone.

        Segments go on meanwhile, so that the listing may show more than the position, and never less.
        """
        with self._lock:
            position = self.position
            if position is None:
                return None, []
            self._expect_what_was_stored()
            self._keeping.clock.about_to_look()
        return position, self._keeping.look("" if whole else position.generation)

    def _expect_what_was_stored(self) -> None:
        """Expect a listing made from now on to show what was stored. `_lock` is held."""
        since, expected = self._since, self._keeping.expected
        if self._looked_up:
            self._looked_up = False
            self._keeping.look_anew()
        expected.add(since)
        since.forget()

    def _look_at_others(self, holdings: list[Holdings]) -> set[str]:
        with self._lock:
            return self._others.look(holdings)

    def _prove(self, position: Position, holdings: list[Holdings], removed_by_rule: bool) -> list[Holdings]:
        """Return these holdings if they show the position to be restorable; else mend it and return nothing.

        Whatever made it unrestorable, a snapshot of what is here now does, or else a generation that begins with one.
        """
        expected = self._keeping.expected
        changed = [name for held in holdings for name in expected.other_size(held)]
        if changed:
            self._emit("warning", "an object is not the one that was stored", object=changed[0])
            changed += [name for held in holdings for name in expected.unexpected(held, position)]
            # A copy that stopped leaves its hole behind the last name that it took.
            segments = sorted({item.name for held in holdings for item in held.segments} & set(changed))
            lost = self._look_up_anew(holdings, segments[-PROBES_MAX:])
            self._send_all()
            now_at, again = self._listed(whole=False)
            if now_at is not None and now_at.generation == position.generation:
                for place in lost:
                    expected.segment(place)
                # A snapshot that still has another size was compared: it is a copy's, of the history that both have.
                self._prove_as_listed(now_at, again, removed_by_rule)
            # What goes is decided on a listing of what was compared.
            return []
        return self._prove_as_listed(position, holdings, removed_by_rule)

    def _look_up_anew(self, holdings: list[Holdings], changed: list[str]) -> list[Position]:
        """Compare what is there under the names `changed`, and what came last, as if we began here.

        Somebody removed what was there, and a copy of us wrote in its place. Return where WAL of ours is lost by that.
        """
        with self._lock:
            self._state = self._state.unknown()
            taken = [lost_behind(self.client, self._database, self.name, held, changed) for held in holdings]
            return [place for places in taken for place in places]

    def _prove_as_listed(self, position: Position, holdings: list[Holdings], removed_by_rule: bool) -> list[Holdings]:
        """As _prove, where all objects are as they were stored, or were compared with what is here."""
        keeping = self._keeping
        proof = keeping.prove(holdings, position, removed_by_rule)
        if proof is None:
            return []
        with self._lock:
            if self.position is not None and self.position.generation == position.generation:
                self.unproven = False
        if proof.restorable:
            return holdings
        if self._database.generations[-1:] != (position.generation,):
            # Another one has begun already: its first snapshot comes now.
            self._send_all()
            return []
        if proof.by_snapshot:
            self._send_all()
            self._snapshot(anew=True)
            now_at, again = self._listed(whole=False)
            if now_at is not None:
                mended = keeping.prove(again, now_at)
                if mended is None or mended.restorable:
                    return []
        self._restart_from(position.generation, f"replica {self.name} {proof.reason}")
        return []

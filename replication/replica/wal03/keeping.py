"""What a replica does at the interval of the retention check: prove that it is restorable, and forget what is too old.

Both are decided on one listing, taken after everything that was written. Its promise: nothing is removed that the
window needs, which is checked on paper before each request to remove, and nothing at all while the newest position is
not proven. It leaves to the caller to mend what is lost.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from replication.errors import CorruptObjectError, NotListedError, ObjectNotFoundError
from replication.events import Emit
from replication.position import Position
from replication.replica.destination import Standing
from replication.replica.store_clock import StoreClock
from replication.replica.wal03.compare import diverged
from replication.replica.wal03.holdings import Holdings, HoldingsReader
from replication.replica.wal03.proof import Expected, Proof, prove
from replication.replica.wal03.retention import expired, lost_of_window, snapshot_needed
from replication.steps import reached
from replication.storage.wal03.replica_client import ReplicaClient
from replication.storage.wal03.succession import Succession

PROBES_MAX = 16
"""Objects that one look asks for by name, of each kind: missing from the listing, or perhaps damaged."""
LATE_LOOKS_MAX = 3
"""After so many looks in a row with a late listing, listings are called broken: a restore would miss objects too."""


class Keeping:
    """Used by one thread at a time; `standing` may be read by any."""

    def __init__(self, name: str, client: ReplicaClient, emit: Emit, monotonic: Callable[[], float]) -> None:
        self.standing = Standing()
        self.expected = Expected()
        self.clock = StoreClock()
        self._name = name
        self._client = client
        self._emit = emit
        self._monotonic = monotonic
        self._reader = HoldingsReader(client)
        self._succession = Succession(client)
        self._late_looks = 0
        self._torn: dict[str, int] = {}
        """Objects that were found to be damaged, with the size that they have."""

    def look_anew(self) -> None:
        """Others may have written and removed since the last look: nothing of what is there is known."""
        self.expected.forget()
        self._succession.forget()

    def look(self, generation: str = "") -> list[Holdings]:
        """List the place, or only one generation, found as a restore finds it. Raises StorageError, PlaceLostError."""
        if generation:
            found = [self._reader.of(generation)] if generation in self._client.generations() else []
        else:
            found = self._reader.all()
        # A disk that is away has not lost anything, and one that goes while it is listed neither.
        self._client.storage.check_place()
        return self._without_torn(found)

    def _without_torn(self, holdings: Sequence[Holdings]) -> list[Holdings]:
        """What can be read, as far as sizes tell: what is empty, or of another size than it had, is read to see."""
        suspects = [name for held in holdings for name in self.expected.other_size(held)]
        suspects += [name for held in holdings for name in held.empty]
        if not suspects and not self._torn:
            return list(holdings)
        sizes = {name: size for held in holdings for name, size in held.sizes.items()}
        listed = {held.generation for held in holdings}
        self._torn = {
            name: size
            for name, size in self._torn.items()
            if sizes.get(name) == size or name.split("/")[1] not in listed
        }
        asked = [name for name in suspects if name not in self._torn][:PROBES_MAX]
        found = {name: sizes[name] for name in asked if self._is_torn(name)}
        if found:
            self._emit("error", "objects are damaged", objects=len(found), first=next(iter(found)))
        self._torn |= found
        return [held.unreadable(self._torn.keys()) for held in holdings]

    def _is_torn(self, name: str) -> bool:
        try:
            for _ in self._client.read(name):
                pass
        except CorruptObjectError:
            return True
        except ObjectNotFoundError:
            return False
        return False

    def prove(self, holdings: Sequence[Holdings], position: Position, removed_by_rule: bool = False) -> Proof | None:
        """Find out whether the newest position is restorable.

        Return None if the listing is late, which the next look will tell.

        With `removed_by_rule` a rule of the store is expected to remove what is old. Raises StorageError, also if
        listings stay late; DivergedError if another program's WAL is in the place of what was sent.
        """
        listed = next((held for held in holdings if held.generation == position.generation), None)
        held = listed or Holdings(position.generation, (), ())
        for lost in self._succession.look(held.generation, held.snapshots, held.segments):
            self.expected.segment(lost)
        if name := self._succession.foreign:
            raise diverged(self._client, name, f"replica {self._name} holds other WAL than what was sent there")
        proof = prove(held, position, self.expected)
        # None of them may be there: one that is says that this listing is late.
        asked = list(dict.fromkeys([*proof.missing[:PROBES_MAX], *proof.absent[:PROBES_MAX]]))
        late = next((name for name in asked if name not in self._torn and self._is_there(name)), "")
        self._late_looks = self._late_looks + 1 if late else 0
        if late:
            self._emit("debug", "listing is late", object=late)
            self._succession.forget()
            if self._late_looks >= LATE_LOOKS_MAX:
                raise NotListedError(
                    f"{self._client.address} does not list {late}, which is there, after {self._late_looks} looks. "
                    "A restore finds what it needs by listings (ListObjectsV2 with prefix and delimiter), so nothing "
                    "can be restored from here until they show it. Look for what the store says of them, or use another"
                )
            return None
        self._client.storage.check_place()
        if not proof.restorable or (proof.absent and not self.standing.broken):
            # What is absent after a loss was mended was reported with it.
            self._tell_of_loss(proof, removed_by_rule)
        if proof.restorable:
            if self.standing.broken:
                self._emit("info", "restorable again", position=str(position))
            self.standing = Standing(time.time(), "", self.standing.lost)
            self.expected.adopt(held)
        return proof

    def newest_is_old(self, holdings: Sequence[Holdings], position: Position, seconds: float, now: datetime) -> bool:
        """True if a snapshot is needed so that anything could ever be removed."""
        time_there = self._now(holdings, now)
        sent = _sent(holdings, position)
        return time_there is not None and snapshot_needed(sent, position.generation, time_there, seconds)

    def forget(
        self,
        holdings: Sequence[Holdings],
        position: Position,
        seconds: float,
        others: Collection[str],
        now: datetime,
    ) -> int:
        """Remove what the window does not need. Return the number of objects removed. Raises StorageError.

        What is listed after `position` makes nothing old: a copy of the database that is further, and was not met yet,
        has put it there, or we have since.
        """
        time_there = self._now(holdings, now)
        if time_there is None:
            return 0
        sent = _sent(holdings, position)
        left = [held for held in sent if held.generation not in others]
        gone: set[str] = set()
        removed = generations = 0
        for removal in expired(sent, position.generation, time_there, seconds, others):
            lost = lost_of_window(left, removal.names, time_there, seconds)
            if lost is not None:
                self._emit(
                    "error", "retention stopped: removing more would lose a commit inside the window", at=str(lost)
                )
                break
            names = set(removal.names)
            left = [held.without(names) for held in left]
            gone |= names
            if removal.generation == position.generation:
                # Before it is asked for: of what fails half-way some is gone.
                self.expected.adopt(
                    next(held.without(gone) for held in holdings if held.generation == position.generation)
                )
            self._client.delete(removal.names)
            reached("retention: generation removed" if removal.whole else "retention: objects removed")
            removed += len(names)
            generations += removal.whole
        if removed:
            self._emit("info", "retention enforced", objects_removed=removed, generations_removed=generations)
        return removed

    def _now(self, holdings: Sequence[Holdings], host: datetime) -> datetime | None:
        times = {item.name: item.created for held in holdings for item in held.segments}
        times |= {item.name: item.created for held in holdings for item in held.snapshots}
        return self.clock.now(times, self._monotonic(), host)

    def _is_there(self, name: str) -> bool:
        """True if an object is there, whatever a listing says, and could be used."""
        try:
            self._client.note_fields(name)
        except (ObjectNotFoundError, CorruptObjectError):
            return False
        return True

    def _tell_of_loss(self, proof: Proof, removed_by_rule: bool) -> None:
        """Say which restore points are lost; once of each."""
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        since = self.standing.proven
        last = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if since else "never before"
        if proof.restorable:
            count = f"{proof.absent[0]}" + (f" and {len(proof.absent) - 1} more" if len(proof.absent) > 1 else "")
            how = "is damaged" if proof.absent[0] in self._torn else "was removed"
            lost = f"found {when}: {count} {how}, and the restore points that need it are lost"
            if not removed_by_rule:
                self.standing = Standing(since, "", lost)
            level = "info" if removed_by_rule else "warning"
            self._emit(level, "objects were removed by somebody else", objects=len(proof.absent), lost=lost)
            return
        points = f"all restore points up to {proof.position}"
        if proof.end is not None:
            points = f"the restore points after {proof.end} up to {proof.position}"
        broken = f"not restorable: replica {self._name} {proof.reason}. Lost are {points}; last shown whole: {last}"
        if broken != self.standing.broken:
            self._emit("error", "not restorable", reason=proof.reason, lost=points, last_proof=last)
        self.standing = Standing(since, broken, f"found {when}: {points} are lost, as the replica {proof.reason}")


def _sent(holdings: Sequence[Holdings], position: Position) -> list[Holdings]:
    """What is there of our history as far as we have sent it."""
    return [held.until(position) if held.generation == position.generation else held for held in holdings]

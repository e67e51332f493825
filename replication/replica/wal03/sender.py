"""Sending what is committed: segments in order without a gap, across indexes and generations.

It promises to write over nothing of another program that goes on with the same history (promise 8): an object is
created, and where one is already its bytes must be ours. It knows neither locks nor snapshots; replica.py has both.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

from replication.errors import CorruptObjectError, ObjectExistsError, PausedError
from replication.position import Position
from replication.replica.upload_meter import UploadMeter
from replication.replica.wal03.compare import DivergedError, compare, diverged
from replication.replica.wal03.keeping import Keeping
from replication.replica.wal03.left import Left
from replication.replica.wal03.others import Others
from replication.replica.wal03.parts import Parts
from replication.replica.wal03.proof import Expected
from replication.replica.wal03.recovery import Recovered, recover
from replication.replica.wal03.remembered import last_stored
from replication.replica.wal03.send_state import SendState
from replication.replica.wal03.upload import cut, frame_indexer, read_range, seen
from replication.steps import reached
from replication.storage.wal03.names import segment_name
from replication.storage.wal03.notes import SegmentNote
from replication.storage.wal03.numbers import Number
from replication.storage.writer import Writer


class Sender(ABC):
    """Used by one thread at a time, which its subclass sees to; `position` may be read by any."""

    def __init__(self, parts: Parts) -> None:
        self.name = parts.name
        self.client = parts.client
        self._database = parts.database
        self._emit = parts.emit
        self._permit = parts.permit
        self._monotonic = parts.monotonic
        self.left: Left | None = None
        """What was written down when its WAL was given up, until it has begun anew; else None."""
        self._beginning: Position | None = None
        """The commit of the first snapshot, while that is being written."""
        self._state = SendState()
        self._met: SegmentNote | None = None
        """The note of the object that was there already under a name that was to be written."""
        self._left_at: Position | None = None
        """The end of the older generation that was sent whole here last."""
        self.begins = ""
        """A generation that begins here with a large snapshot, which is left to another thread: until it is
        stored none of its WAL is sent."""
        self._writer = Writer.here()
        self._meter = UploadMeter()
        self._others = Others(parts.name, parts.client.address, parts.database, self._writer, parts.emit)
        self._keeping = Keeping(parts.name, parts.client, parts.emit, parts.monotonic)
        self._since = Expected()
        """What was stored since a proof last asked for a listing: that listing need not show it, the next one must."""
        self._looked_up = False
        """True if the position was looked up since then: others may have written and removed meanwhile."""

    @property
    def position(self) -> Position | None:
        """Everything before it is in the replica; None until it was looked up there."""
        return self._state.position

    @abstractmethod
    def _begin_generation(self) -> None:
        """Write the first snapshot of the newest generation, and go on from it; or set `begins`, if it is large."""

    @abstractmethod
    def _begin_anew(self) -> None:
        """What this replica lacks is gone: go on with a snapshot."""

    @abstractmethod
    def _snapshot_is_from(self, when: float) -> None:
        """The newest snapshot was found to be of that time, in seconds since the epoch."""

    def _send(self, until: Position | None = None) -> None:
        """Send what is committed, across indexes and generations, or up to a position of the current one.

        What is committed meanwhile is left for the next time, lest a busy writer be followed commit by commit.
        """
        database = self._database
        here = self._end(until)
        while here is not None:
            self._permit.check()
            if self.begins:
                return
            if self.position is None or self.left is not None:
                if self._end(None) is None:
                    return
                if self.left is not None:
                    self._begin_anew()
                else:
                    self._look_up()
                here = self._end(until)
                continue
            position = self.position
            end = database.end(here, position.generation, position.index)
            if position.generation != here.generation and self._send_of_old(position, end):
                # If the rest of the old one was left, the next has begun with a snapshot that is later than before.
                here = self._end(until)
                continue
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
            elif until is not None:
                return
            else:
                self._enter_generation(position)
                # The segment to come must reach what the new snapshot holds, which is later than before.
                here = self._end(None)

    def _send_of_old(self, position: Position, end: int) -> bool:
        """Send something of an old generation. Return False once only its end is left.

        What another program went on with stays as it is.
        """
        try:
            if position.offset < end:
                self._send_segment(position, end)
            elif end and self._database.shadow.size(position.generation, position.index + 1):
                self._enter_index(position)
            else:
                return False
        except DivergedError as found:
            self._leave_rest(position.generation, found)
        return True

    def _leave_rest(self, generation: str, found: DivergedError) -> None:
        self._others.tell(found, self.position)
        self._emit("warning", "rest of an old generation not sent", generation=generation, reason=str(found))
        self._state = self._state.unknown()
        self._look_up(generation)

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
                self._others.tell(diverged, self.position)
                self._emit("warning", "rest of an old generation not sent", generation=generation, reason=str(diverged))
                continue
            if found is not None:
                self._found(found)
                return
        self._go_on_with(database.generations[-1])

    def _enter_index(self, position: Position) -> None:
        self._end_index(position)
        self._state = self._state.next_index(position)

    def _enter_generation(self, end: Position) -> None:
        """All of an old generation is sent: go on with a later one that was begun here, or with the newest.

        Only of the newest can a snapshot be taken.
        """
        # What its snapshot holds more than this was there, and is gone.
        self._left_at = end if not self._state.floor else None
        try:
            self._end_index(end, self._database.generations[-1])
        except DivergedError as found:
            # Another one begins here as it is.
            self._left_at = None
            self._others.tell(found, self.position)
        self._emit("info", "old generation is whole in the replica", generation=end.generation)
        reached("replica: old generation whole")
        self._state = self._state.unknown()
        self._look_up(end.generation)

    def _end_index(self, position: Position, left_for: str = "") -> None:
        """Nothing of ours follows `position` in its index: put an end mark there, an object without content.

        Another program that goes on in this index would write under that very name, and one that did so before is
        found by it. So no two can part where an index or a generation ends: the mark says whether the generation was
        left there, for another one.
        """
        if position.offset:
            note = replace(self._note(position), left=left_for)
            try:
                stored = self.client.write_segment(position, (), note, create=True)
            except ObjectExistsError:
                if self._meet_mark(position, left_for):
                    self._state = self._state.marked(self._number_after_met())
                    return
                # What is torn is no object of another program.
                stored = self.client.write_segment(position, (), note)
            reached("replica: index ended")
            self._state = self._state.marked(self._number_at(position).following)
            self._meter.count_unlisted(stored)

    def _meet_mark(self, position: Position, left_for: str) -> bool:
        """False if what is there in the place of an end mark is torn.

        Raises DivergedError if its writer went on from there in another way than we do.
        """
        there = self._meet(position)
        if there != position.offset:
            return there is not None
        name = segment_name(position)
        try:
            note = self.client.segment_note(name)
        except CorruptObjectError:
            return False
        left = note is not None and note.left
        if left and not left_for:
            raise diverged(self.client, name, f"replica {self.name} says that this generation was left here")
        if left_for and not left:
            raise diverged(self.client, name, f"replica {self.name} says that this generation goes on from here")
        return True

    def _meet(self, position: Position) -> int | None:
        """Where what is there under the name of the segment at `position` ends; None if it is torn.

        Raises DivergedError if it is not of our history.
        """
        here = self._database.position
        if here is None:
            raise PausedError(f"{self._database.path} was paused while {segment_name(position)} was written")
        self._met = None

        def met(note: SegmentNote | None) -> None:
            self._met = note

        return compare(self.client, self._database, self.name, here, position, met)

    def _go_on_with(self, generation: str) -> None:
        """Continue the newest generation where the replica stands in it, or begin it there."""
        found = recover(self.client, self._database, self.name, generation)
        if found is None:
            self._begin_generation()
        else:
            self._found(found)

    def _found(self, found: Recovered) -> None:
        self.client.storage.accept_place()
        self._state = self._state.found(found.position, found.floor, found.number)
        # Others may have written and removed since the last look. What was stored from here last must be there.
        self._since.begin(found.position.generation, last_stored(self._database.meta_path, self.name))
        self._looked_up = True
        self._snapshot_is_from(found.snapshot_time)
        self._meter.recall(found.newest)
        self._emit("info", "replica position", position=str(found.position))

    def _send_segment(self, position: Position, end: int) -> None:
        database = self._database
        shadow = database.shadow.file(position.generation, position.index)
        floor, stop = self._state.floor, self._state.end_tried(position)
        if stop is None or not floor <= stop <= end:
            stop = cut(shadow, position.offset, end, floor)
        # A store may carry out an upload long after its answer was lost, and after its retry. So a segment is
        # tried again just as it was, though more may have been committed since.
        self._state = self._state.trying(position, stop)
        self._others.writing(name := segment_name(position))
        self._meter.started(name, stop - position.offset)
        note = replace(self._note(position), seen=seen(database.arrivals, position, stop, self._monotonic()))
        try:
            frames = frame_indexer(shadow, position.offset, stop)
            chunks = read_range(shadow, position.offset, stop, self._sent, frames)
            stored = self.client.write_segment(position, chunks, note, create=True, frames=frames)
        except ObjectExistsError:
            there = self._meet(position)
            if there is not None:
                self._arrived(position, there)
                return
            # What is torn is no object of another program.
            frames = frame_indexer(shadow, position.offset, stop)
            chunks = read_range(shadow, position.offset, stop, self._sent, frames)
            stored = self.client.write_segment(position, chunks, note, frames=frames)
        reached("replica: segment stored")
        self._state = self._state.reached(replace(position, offset=stop), self._number_at(position).following)
        self._finished(self._meter, stored, stop - position.offset)
        self._since.segment(position, stored)
        self._emit("debug", "segment written", position=str(position), size=stop - position.offset, stored=stored)

    def _arrived(self, position: Position, end: int) -> None:
        """The segment at `position` was there: one of ours whose answer was lost, or what we had before a clone."""
        if end < self._state.floor:
            raise DivergedError(f"replica {self.name} lacks WAL that its newest snapshot holds")
        self._state = self._state.reached(replace(position, offset=end), self._number_after_met())
        self._meter.gave_up()
        self._since.segment(position)
        self._emit("debug", "segment was there already", position=str(position), size=end - position.offset)

    def _note(self, position: Position) -> SegmentNote:
        """What a segment says of itself."""
        note = SegmentNote(self._writer, self._number_at(position))
        if position.offset:
            return note
        # Only so can a reader tell that an object is in its place, and that the end of an index is missing.
        note = replace(note, position=position)
        shadow, generation, index = self._database.shadow, position.generation, position.index - 1
        before = shadow.size(generation, index) if position.index else 0
        if not before:
            return note
        # The WAL of a copy may end there as well.
        mark = shadow.frame_mark(generation, index, before)
        return replace(note, previous=Position(generation, index, before), frame=mark)

    # -- numbers: what tells that an object is missing between two others ------------------------------------------

    def _number_at(self, position: Position) -> Number:
        """The number of what is to be written at `position`."""
        number = self._state.number
        if number is None:
            number = Number.beginning((position.index, position.offset))
            self._state = self._state.marked(number)
        return number

    def _number_after_met(self) -> Number | None:
        number = self._met.number if self._met is not None else None
        return number.following if number is not None else None

    # -- progress -------------------------------------------------------------------------------------------------

    def _sent(self, size: int) -> None:
        # Later it could take the place of what another program has written under that name.
        self._permit.check()
        self._meter.sent(size)

    def _finished(self, meter: UploadMeter, stored: int, wal_bytes: int = 0) -> None:
        name = meter.progress.object_name
        self._others.wrote(name)
        self._keeping.clock.wrote(name, self._monotonic())
        meter.finished(stored, wal_bytes)

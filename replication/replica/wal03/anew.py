"""A replica for which too much waited: its WAL is let go of, and it begins anew with a snapshot of the same generation.

What waits on the application's disk is bounded (promise 6), and nobody else pays for it: the generation goes on, and
other replicas notice nothing. The one that was let go of has a hole in its history, between its last commit and the
snapshot with which it goes on. No restore gets across the hole, since indexes are missing in it.

Its promise: no history of another program is continued (promise 8). The WAL by which the replica could be compared is
gone; so where it stood is written down first, with the checksum of what may have arrived since, and the place after
that is taken by an end mark before the snapshot is written. A program that wrote there meanwhile is found by that. It
leaves to the caller when to run.
"""

import secrets
import time
from contextlib import suppress
from dataclasses import replace

from replication.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError
from replication.position import Position
from replication.replica.lag import EndedSizes
from replication.replica.wal03.compare import DivergedError, diverged
from replication.replica.wal03.left import Left, SegmentEnd, read_left, write_left
from replication.replica.wal03.parts import Parts
from replication.replica.wal03.sender import Sender
from replication.sqlite.format import FRAME_HEADER_SIZE
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import segment_name, snapshot_name

SAVED_SECONDS_MIN = 10.0
"""Where a replica stands is written down no more often than this."""
END_TRIES = 2
"""Tries to put the end mark: an upload whose answer was lost may arrive between a look and a write."""


class LeftBehind(Sender):
    """A sender that can be left behind. `leave_behind` and `save_position` may be called from any thread."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        saved = read_left(parts.database.meta_path, parts.name)
        self.left = saved if saved is not None and saved.since else None
        self._sizes = EndedSizes(parts.database.shadow.size)
        self.failing = False
        """The last try ended with an error of the store."""
        self._saved = saved
        """What is written down of where it stands; `since` is 0 while nothing was let go of."""
        self._saved_at = 0.0

    @property
    def needed_from(self) -> Position | None:
        """From where on the replica needs the shadow WAL, as far as that is known."""
        return self.position or self._beginning or (self._saved.position if self._saved is not None else None)

    @property
    def is_left_behind(self) -> bool:
        """True if no WAL is kept for the replica any more: it will begin anew."""
        return self.left is not None

    def pending(self, here: Position, position: Position | None) -> int:
        """Bytes of WAL that the replica lacks at its `position`; of older generations what is certain to be sent."""
        if position is None:
            return here.offset
        if self.left is not None:
            return max(1, here.offset)  # what it lacks is gone: a snapshot goes in its place
        try:
            return self._sizes.pending_bytes(here, position)
        except OSError:
            return max(1, here.offset)  # a status needs an answer, whatever cannot be read just now

    @property
    def lost(self) -> str:
        """What it costs that the replica was left behind, in words; "" if it was not."""
        left = self.left
        if left is None:
            return ""
        # A replica whose store answers was only slower than the application.
        when = " once its store answers" if self.failing else ""
        return (
            f"set to begin anew with a snapshot{when}: {left.why}. It will have no restore point "
            f"between {_last(left.position)} and then; other replicas are not concerned"
        )

    def save_position(self) -> None:
        """Write down where it stands, for a later run that may have to let go of it without having reached it."""
        now, known = self._monotonic(), self._saved
        if self.position is None or (known is not None and known.position == self.position):
            return
        if not self._saved_at or now > self._saved_at + SAVED_SECONDS_MIN:
            self._saved_at = now
            self._save_left(self._standing("", 0.0))

    def forget_position(self) -> None:
        """Called when it lacks nothing: remove what was written down, which is out of date."""
        if self._saved is not None and self.position is not None:
            self._save_left(None)

    def leave_behind(self, why: str) -> None:
        """Nothing of the shadow WAL is kept for it from now on: it is to begin anew."""
        left = self._standing(why, time.time())
        self._save_left(left)
        self.left = left
        self._emit("warning", "replica is set to begin anew", lost=self.lost, last_restore_point=_last(left.position))

    def _standing(self, why: str, since: float) -> Left:
        state = self._state
        position = state.position
        if position is None:
            known = self._saved
            return Left(since, why, known.position, known.arrived) if known is not None else Left(since, why)
        arrived, stop = None, state.end_tried(position)
        if stop is not None:
            # The answer may have been lost, so that the segment is there all the same.
            checksum = self._frame(replace(position, offset=stop))
            arrived = SegmentEnd(stop, checksum) if checksum else None
        return Left(since, why, position, arrived)

    def _frame(self, end: Position) -> str:
        return self._database.shadow.frame_mark(end.generation, end.index, end.offset, self._database.page_size)

    def _save_left(self, left: Left | None) -> None:
        self._saved = left
        write_left(self._database.meta_path, self.name, left)

    # -- beginning anew: the lock is held in all that follows -----------------------------------------------------

    def _begin_anew(self) -> None:
        left, database = self.left, self._database
        assert left is not None
        if self.position is not None and self.position != left.position:
            # What was under way when it was let go of has arrived.
            left = self.left = replace(self._standing(left.why, left.since), token=left.token)
            self._save_left(left)
        position = left.position
        newest = database.generations[-1]
        if position is not None and self._is_still_here(position):
            # The store came back before any WAL was removed.
            self._forget_left()
            return
        if position is None or position.generation != newest:
            self._leave(position, newest)
        else:
            self._leap(left, position)
        if self.left is not None and self.position is not None and not self.begins:
            # The replica goes on from a snapshot that was there.
            self._has_begun(left)

    def _has_begun(self, left: Left) -> None:
        """The replica is as any other again, with a hole in its history before its position."""
        assert self.position is not None
        self._tell(left, self.position)
        self._forget_left()

    def _forget_left(self) -> None:
        self.left = None
        self._save_left(None)

    def _is_still_here(self, position: Position) -> bool:
        """True if all WAL from `position` on is there."""
        database = self._database
        newest, shadow = database.generations[-1], database.shadow
        return position.generation == newest and shadow.size(newest, position.index) >= max(1, position.offset)

    def _leave(self, position: Position | None, newest: str) -> None:
        """What an older generation had to send is gone: go on with one that was begun here, or with the newest."""
        if position is not None:
            with suppress(DivergedError):
                # Another program wrote there? A newer generation takes over in any case.
                self._end_index(position, newest)
        self._state = self._state.unknown()
        self._look_up(position.generation if position is not None else "")

    def _leap(self, left: Left, position: Position) -> None:
        """End the history of this replica where it stands, and begin it anew, in the same generation."""
        database, generation = self._database, position.generation
        snapshots, segments = self.client.contents(generation)
        if not snapshots or snapshots[-1].index > position.index:
            # Emptied, or begun anew before a crash: the snapshot is compared with what is here.
            self._state = self._state.unknown()
            self._look_up()
            return
        end = left.arrived.offset if left.arrived is not None else position.offset
        last = segments[-1] if segments else None
        if last is not None and (last.index, last.offset) > (position.index, end):
            raise diverged(self.client, last.name, f"replica {self.name} has WAL after {position} that is not ours")
        here = database.position
        if here is None:
            return
        if here.index <= position.index:
            raise DivergedError(f"replica {self.name} is at {position}, of which no shadow wal is left")
        self.client.storage.accept_place()
        self._end_history(left, position)
        self._check_free(replace(here, offset=0))
        self._begin_generation()

    def _check_free(self, first: Position) -> None:
        """Raise DivergedError if the replica already has WAL of the snapshot's index: another program wrote it."""
        with suppress(ObjectNotFoundError):
            self.client.read_head(segment_name(first), 1)
            raise diverged(self.client, segment_name(first), f"replica {self.name} has WAL of {first} that is not ours")

    def _end_history(self, left: Left, position: Position) -> None:
        """Put an end mark with a token that only we know where the replica ends, so that nobody goes on there."""
        if not left.token:
            left = self.left = replace(left, token=secrets.token_hex(8))
            self._save_left(left)
        for _ in range(END_TRIES):
            if left.arrived is not None and self._has_arrived(position, left.arrived):
                position = replace(position, offset=left.arrived.offset)
            if not position.offset:
                # The index before it has its mark already.
                return
            note = replace(self._note(position), left=position.generation, anew=left.token)
            try:
                self._meter.count_unlisted(self.client.write_segment(position, (), note, create=True))
            except ObjectExistsError:
                # An earlier try of ours, or the segment that was tried last has just arrived.
                if self._has_token(position, left.token):
                    return
            else:
                return
        raise self._not_ours(position)

    def _has_token(self, end: Position, token: str) -> bool:
        with suppress(CorruptObjectError, ObjectNotFoundError):
            note = self.client.segment_note(segment_name(end))
            return note is not None and note.anew == token
        return False

    def _has_arrived(self, start: Position, arrived: SegmentEnd) -> bool:
        """True if the segment at `start` is the one that was tried last. Raises DivergedError if it is another."""
        size = self._database.page_size + FRAME_HEADER_SIZE
        end, tail = start.offset, b""
        try:
            with closing_iterator(self.client.read(segment_name(start))) as pieces:
                for piece in pieces:
                    end += len(piece)
                    tail = (tail + piece)[-size:]
        except ObjectNotFoundError:
            return False
        except CorruptObjectError:
            raise self._not_ours(start) from None
        if end == start.offset:
            return False
        if (end, tail[8:24].hex()) != (arrived.offset, arrived.checksum):
            raise self._not_ours(start)
        return True

    def _not_ours(self, end: Position) -> DivergedError:
        why = f"replica {self.name} has WAL after {end} that is not known to be ours"
        return diverged(self.client, segment_name(end), why)

    def _tell(self, left: Left, now: Position) -> None:
        """Say which restore points this replica will never have."""
        first = replace(now, offset=self._state.floor or now.offset)
        lost = f"no restore points between {_last(left.position)} and {first}: {left.why}"
        self._keeping.standing = replace(self._keeping.standing, lost=lost)
        self._emit("warning", "replica has begun anew", snapshot=snapshot_name(now.generation, now.index), lost=lost)


def _last(position: Position | None) -> str:
    return str(position) if position is not None else "the last that it has"

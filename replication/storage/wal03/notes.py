"""What an object says of itself beyond its name: one type for snapshots, one for segments, each written and read here.

A note is a few fields before the content, under a checksum of their own (container.py). It comes from outside: what
does not make sense is not believed, and an object without a note that is believed is treated as Litestream's, which
promises less. Unknown fields are passed over, so that later versions may add some: every reader looks at the first
4,096 bytes of an object, of which the note of a segment takes 1,300 at most, and usually 150. Another `v` is only for
what earlier versions would get wrong.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from replication.errors import CorruptObjectError
from replication.position import OFFSET_LIMIT_BYTES, Position, positions_in
from replication.sqlite.format import PAGE_SIZES, WAL_HEADER_SIZE, align
from replication.storage.note_fields import NoteFields
from replication.storage.wal03.names import snapshot_name
from replication.storage.wal03.numbers import Number
from replication.storage.writer import Writer
from replication.times import time_from

VERSION = 1
PAGES_MAX = 0xFFFFFFFE
"""The most pages that SQLite allows in a database."""
MARK_DIGITS = 32
"""Characters of a frame mark: a frame's salts and checksum in hex, which prove all WAL before it."""
_SEEN = re.compile(r"([0-9]{1,10}):([0-9]{1,13})", re.ASCII)
SEEN_MAX = 32
"""Copies that a segment notes; of more every second one is left out, so that a commit counts as a later one does."""
REACHED_MAX = 8
"""Generations of which the note of a snapshot says how far they had come."""
_AGE_MS_MAX = 1 << 40
_PERMISSIONS = 0o777


@dataclass(frozen=True, slots=True)
class SegmentNote:
    """What our segments say of themselves.

    `number` is that among the objects of the generation. The first segment of an index has its own `position`, and
    where the one before ended: `previous`, the last frame of which has the mark `frame`, or "". In an end mark `left`
    names the generation that was left there, or is "", and `anew` is a sign that only its writer knows.

    `seen` tells when commits were seen: offsets up to which everything was, and how many milliseconds before the object
    was sent, by a clock that nobody sets. So the time of the store, less that, is not before the commit: whatever the
    clock of the host said.
    """

    writer: Writer | None = None
    number: Number | None = None
    position: Position | None = None
    previous: Position | None = None
    frame: str = ""
    left: str = ""
    anew: str = ""
    seen: tuple[tuple[int, int], ...] = ()

    def fields(self) -> NoteFields:
        """As it is stored."""
        found: dict[str, str | int] = {
            "v": VERSION,
            **(self.writer.fields() if self.writer else {}),
            **(self.number.fields() if self.number else {}),
        }
        texts = {"position": self.position, "previous": self.previous}
        found |= {key: str(value) for key, value in texts.items() if value is not None}
        seen = " ".join(f"{offset}:{age}" for offset, age in self.seen)
        words = {"frame": self.frame, "left": self.left, "anew": self.anew, "seen": seen}
        return found | {key: word for key, word in words.items() if word}


@dataclass(frozen=True, slots=True)
class SnapshotNote:
    """What our snapshots say of themselves: the exact commit they hold, and where they come from.

    `mode` has the permission bits of the source or is None; `previous` is the generation before or "", and `earlier`
    are some before that one. `beside` are those of them that another program was seen to go on with. `begins` if
    nothing of the generation was in the replica before. `problems` are what SQLite's check was known to find in the
    source then. `lefts` are the first places past where older generations were left, and `reached` those past what
    others had in this replica: a program that wrote there did so later. `frame` is the mark of the last frame that it
    holds (restore/signs.py), "" without any, and None in what earlier versions wrote.
    """

    position: Position
    pages: int
    page_size: int
    mode: int | None
    time: datetime | None
    reason: str
    previous: str
    earlier: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    begins: bool = False
    problems: tuple[str, ...] = ()
    lefts: tuple[Position, ...] = ()
    reached: tuple[Position, ...] = ()
    frame: str | None = None
    writer: Writer | None = None

    @property
    def before(self) -> set[str]:
        """The generations known to be older than that of this snapshot."""
        return {self.previous, *self.earlier} - {"", self.position.generation}

    def fields(self) -> NoteFields:
        """As it is stored."""
        found: dict[str, str | int] = {
            "v": VERSION,
            **(self.writer.fields() if self.writer else {}),
            "position": str(self.position),
            "pages": self.pages,
            "page_size": self.page_size,
            "reason": self.reason,
            "previous": self.previous,
            "earlier": " ".join(self.earlier),
        }
        found |= {"frame": self.frame} if self.frame is not None else {}
        found |= {"mode": self.mode} if self.mode is not None else {}
        found |= {"time": self.time.isoformat(timespec="milliseconds")} if self.time is not None else {}
        found |= {"begins": 1} if self.begins else {}
        lists = {
            "beside": " ".join(self.beside),
            "lefts": " ".join(map(str, self.lefts)),
            "reached": " ".join(map(str, self.reached)),
            "check": "\n".join(self.problems),
        }
        return found | {key: text for key, text in lists.items() if text}


@dataclass(frozen=True, slots=True)
class Unbelieved:
    """A note that is there and is not used; `why`, for people."""

    why: str


_NoteT = TypeVar("_NoteT", SegmentNote, SnapshotNote)


def believed(found: _NoteT | Unbelieved | None) -> _NoteT | None:
    """The note that is used, if any."""
    return None if isinstance(found, Unbelieved) else found


def read_segment_note(fields: NoteFields | None) -> SegmentNote | Unbelieved | None:
    """The note of a segment; None if it has none."""
    if fields is None:
        return None
    if fields.get("v") != VERSION:
        return _another_version(fields)
    frame = _text(fields, "frame")
    return SegmentNote(
        writer=Writer.noted(fields),
        number=Number.noted(fields),
        position=_position(_text(fields, "position")),
        previous=_position(_text(fields, "previous")),
        frame=frame if len(frame) == MARK_DIGITS else "",
        left=_text(fields, "left"),
        anew=_text(fields, "anew"),
        seen=_seen(_text(fields, "seen")),
    )


def read_snapshot_note(name: str, fields: NoteFields | None) -> SnapshotNote | Unbelieved | None:
    """The note of the snapshot called `name`; None if it has none.

    It is believed if every part that a restore leans on makes sense. Raises CorruptObjectError if it is that of another
    snapshot, whose content is of another commit.
    """
    if fields is None:
        return None
    if fields.get("v") != VERSION:
        return _another_version(fields)
    position = _position(_text(fields, "position"))
    if position is None:
        return Unbelieved("it does not say which commit the snapshot holds")
    if snapshot_name(position.generation, position.index) != name:
        raise CorruptObjectError(name, f"its note says that it is the snapshot of {position}")
    pages, page_size, mode = fields.get("pages"), fields.get("page_size"), fields.get("mode")
    if not isinstance(pages, int) or not 0 < pages <= PAGES_MAX or page_size not in PAGE_SIZES:
        return Unbelieved("no database has the size that it says")
    if position.offset >= OFFSET_LIMIT_BYTES or not _is_frame_end(position.offset, int(page_size)):
        return Unbelieved(f"no frame ends at {position}")
    return SnapshotNote(
        position=position,
        pages=pages,
        page_size=int(page_size),
        mode=mode & _PERMISSIONS if isinstance(mode, int) else None,
        time=time_from(_text(fields, "time")),
        reason=_text(fields, "reason"),
        previous=_text(fields, "previous"),
        earlier=tuple(_text(fields, "earlier").split()),
        beside=tuple(_text(fields, "beside").split()),
        begins=bool(fields.get("begins")),
        problems=tuple(_text(fields, "check").splitlines()),
        lefts=positions_in(_text(fields, "lefts")),
        reached=positions_in(_text(fields, "reached")),
        frame=_text(fields, "frame") if "frame" in fields else None,
        writer=Writer.noted(fields),
    )


def thinned(seen: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return as many of these as a note has room for, the last of them always."""
    found = list(seen)
    while len(found) > SEEN_MAX:
        # From the end on: what is left out counts as the one after it.
        found = found[::-1][::2][::-1]
    return tuple(found)


def _seen(text: str) -> tuple[tuple[int, int], ...]:
    """Those that are told; none if anything of it makes no sense."""
    found: list[tuple[int, int]] = []
    for word in text.split()[: SEEN_MAX + 1]:
        match = _SEEN.fullmatch(word)
        offset, age = (int(match[1]), int(match[2])) if match else (0, _AGE_MS_MAX)
        if not (found[-1][0] if found else 0) < offset < OFFSET_LIMIT_BYTES or age >= _AGE_MS_MAX:
            return ()
        found.append((offset, age))
    return tuple(found) if len(found) <= SEEN_MAX else ()


def _another_version(fields: NoteFields) -> Unbelieved:
    return Unbelieved(f"its version is {str(fields.get('v', 'not there'))[:20]}, and this program knows {VERSION}")


def _text(fields: NoteFields, key: str) -> str:
    return str(fields.get(key, ""))


def _position(text: str) -> Position | None:
    with suppress(ValueError):
        return Position.parse(text)
    return None


def _is_frame_end(offset: int, page_size: int) -> bool:
    """True for 0, the end of the WAL header, and the end of each frame."""
    return offset == 0 or (offset >= WAL_HEADER_SIZE and align(offset, page_size) == offset)

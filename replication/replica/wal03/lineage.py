"""Which generations came before ours, as our snapshots note it: those that we know, and those that the replica has.

A host that was replaced, or a local folder that was lost, leaves nobody who knows what came before. So a program that
begins a generation in a replica reads what is there, and names all of it as older: then the notes give the order, and
no clock has to. Each later snapshot of the generation repeats that, since retention removes the first one.

Beside the order three things are noted, by which a restore can tell that an older generation was gone on with:

    beside     older generations that another program goes on with. They are ours, if the replica was found to hold
               WAL there that we did not write (`parted`); or a copy's, in the replica, that names one of ours as
               older (`_of_copies`). That program may be alive
    lefts      of generations that our own program left: the first place behind what it had written
    reached    of generations in this replica: the first place behind what anybody had written

What lies past such a place later tells a restore that somebody else went on (restore/wal03/gone_on.py), whatever the
clock of the store says, and whether or not the local folder was lost.

    in the replica    A |---c--|P                 has no end mark
                      B |--c--|Q                  ours; we left it with an end mark at Q
    we begin C        before {A, B}, lefts {B just past Q}, reached {A at P, B just past Q}
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.local.generation_info import EARLIER_MAX, GenerationInfo
from replication.position import Position, positions_in
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import REACHED_MAX, SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient

LEFT_MAX = 8
"""Generations of which a note says where they were left."""
BESIDE_MAX = 8
"""How many generations of copies one look at the replica finds.

A note has room for twice as many, with those in `parted`.
"""
PAST_A_NAME, PAST_A_MARK = 1, 2
"""Added to the offset of the last object to mark how it was noted.

1: its end could not be read, so only an object with a later name shows that somebody went on. 2: it was an end mark, so
an object of the same name that has content shows it as well (gone_on.py, `_times_of_longer`).
"""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a snapshot notes of the generations before its own; the fields are those of SnapshotNote."""

    previous: str
    earlier: tuple[str, ...]
    beside: tuple[str, ...]
    lefts: tuple[Position, ...]
    reached: tuple[Position, ...]
    begins: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the replica says, beside what the program knows itself. `before` are older generations, newest first."""

    before: Sequence[str]
    beside: Sequence[str]
    lefts: Sequence[Position]
    reached: Sequence[Position]


def lineage(
    client: ReplicaClient, generation_info: GenerationInfo, left: Position | None, parted: Sequence[str]
) -> Lineage:
    """What the next snapshot of the generation `generation_info` notes. Raises StorageError.

    `left` is where our program left the generation before in this replica, if it did; `parted` are older generations
    that another program is known to go on with.
    """
    existing = client.snapshots(generation_info.generation)
    last = _noted(client, existing)
    lefts = [_nothing_after(left)] if left is not None else []
    seen = _repeated(last, lefts) if last is not None else _found(client, generation_info, lefts, parted)
    known = [generation_info.previous, *generation_info.earlier, *seen.before]
    ordered = [name for name in dict.fromkeys(known) if name and name != generation_info.generation]
    return Lineage(
        previous=ordered[0] if ordered else "",
        earlier=tuple(ordered[1 : 1 + EARLIER_MAX]),
        beside=tuple(dict.fromkeys([*parted, *seen.beside]))[: 2 * BESIDE_MAX],
        lefts=tuple(dict.fromkeys(seen.lefts))[:LEFT_MAX],
        reached=tuple(dict.fromkeys(seen.reached))[:REACHED_MAX],
        begins=not existing and not client.segments(generation_info.generation),
    )


def _repeated(last: SnapshotNote, lefts: Sequence[Position]) -> _Seen:
    """What the snapshot before it noted, which is how things stood when the generation began in this replica."""
    return _Seen([last.previous, *last.earlier], last.beside, [*lefts, *last.lefts], last.reached)


def _found(
    client: ReplicaClient, generation_info: GenerationInfo, lefts: Sequence[Position], parted: Sequence[str]
) -> _Seen:
    """What is in the replica as the generation begins there."""
    names = _others_in_replica(client, generation_info)
    beside = _of_copies(client, generation_info, names)
    before = _noted(client, client.snapshots(generation_info.previous)) if generation_info.previous else None
    lefts = [*lefts, *(before.lefts if before is not None else ())]
    known = [*lefts, *(before.reached if before is not None else ())]
    lefts += _left_here(generation_info, lefts)
    return _Seen(names, beside, lefts, _reached(client, generation_info, names, [*parted, *beside], known))


def _left_here(generation_info: GenerationInfo, lefts: Sequence[Position]) -> list[Position]:
    """Of other generations of ours: the first place behind what was copied to the local folder.

    Another replica may have them, or have more of them than this one, and somebody may go on there. For a generation
    that this replica has too, `reached` says how far it came here.
    """
    known = {place.generation for place in lefts}
    places = positions_in(" ".join(generation_info.lefts))
    return [_nothing_after(place) for place in places if place.generation not in known]


def _nothing_after(left: Position) -> Position:
    """The first place with nothing once our program left a generation at `left`: just past the end mark there.

    An index without WAL has no end mark. Should somebody remove the mark and write on, that object has the name of the
    mark, and ends past this place:

        left at E     |----c--|E
        gone on       |----c--|E---c--|
    """
    return replace(left, offset=left.offset + PAST_A_MARK) if left.offset else left


def _reached(
    client: ReplicaClient,
    generation_info: GenerationInfo,
    in_replica: Sequence[str],
    beside: Sequence[str],
    known: Sequence[Position],
) -> list[Position]:
    """The first place with nothing, of each generation in the replica; of too many, of those that matter most.

    `known` are such places of our own line, from where it was left; all others are read from the replica.
    """
    line = {generation_info.previous, *generation_info.earlier} - {*beside}
    found = [item for item in known if item.generation in line and item.generation in in_replica]
    asked = [name for name in in_replica if name not in {item.generation for item in found}]
    likely = [name for name in asked if name in {*beside, *line}][:REACHED_MAX]
    strangers = [name for name in asked if name not in {*beside, *line}][:REACHED_MAX]
    # A note has room for REACHED_MAX in all: those that are most likely to be gone on with come first.
    return [*_come_to(client, likely), *found, *_come_to(client, strangers)]


def _come_to(client: ReplicaClient, generations: Sequence[str]) -> Iterator[Position]:
    """The first place with nothing, of each of these generations that has anything."""
    for name in generations:
        snapshots, segments = client.contents(name)
        last, snapshot = segments[-1:], snapshots[-1:]
        if last and not (snapshot and snapshot[0].index > last[0].index):
            yield _past(client, last[0])
        elif snapshot:
            yield Position(name, snapshot[0].index, 0)


def _past(client: ReplicaClient, segment: SegmentInfo) -> Position:
    """The first place with nothing behind a segment that is the last one: its end.

    Its end, not just past its name: if it vanishes, its writer sends it again under the same name with more in it, and
    that has to show. If it cannot be read, only its name counts.
    """
    with suppress(CorruptObjectError, ObjectNotFoundError):
        return max(client.end_of(segment), _nothing_after(segment.position))
    return replace(segment.position, offset=segment.offset + PAST_A_NAME)


def _noted(client: ReplicaClient, snapshots: Sequence[SnapshotInfo]) -> SnapshotNote | None:
    """The newest note of these snapshots; None if none has one."""
    for item in reversed(snapshots):
        try:
            note = client.snapshot_note(item.name)
        except (CorruptObjectError, ObjectNotFoundError):
            continue
        if note is not None:
            return note
    return None


def _of_copies(client: ReplicaClient, generation_info: GenerationInfo, in_replica: Sequence[str]) -> list[str]:
    """Generations in the replica that name one of our line as older, and are not of our line: a copy's."""
    line = {generation_info.generation, generation_info.previous, *generation_info.earlier} - {""}
    if len(generation_info.earlier) >= EARLIER_MAX:
        # The line is longer than what is remembered of it: one that is not in it may still be ours.
        return []
    others = [name for name in in_replica if name not in line]
    notes = {name: _noted(client, client.snapshots(name)) for name in others}
    return [name for name, note in notes.items() if note is not None and line & note.before][:BESIDE_MAX]


def _others_in_replica(client: ReplicaClient, generation_info: GenerationInfo) -> list[str]:
    """All other generations in the replica.

    Newest first, by the store's times, if not all fit in a note, or if no local `previous` says which came last.
    """
    found = [name for name in client.generations() if name != generation_info.generation]
    if len(found) < 2 or (generation_info.previous and len(found) <= min(EARLIER_MAX, REACHED_MAX)):
        return found

    def newest(name: str) -> datetime:
        snapshots, segments = client.contents(name)
        return max([*(item.created for item in snapshots), *(item.created for item in segments)], default=_NEVER)

    return sorted(found, key=newest, reverse=True)

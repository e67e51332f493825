"""Which generations came before ours, as a snapshot notes it: what we know ourselves, and what is at the place already.

A host that was replaced, or a local folder that was lost, leaves nobody who knows. So a program that begins a
generation at a place reads what is there and names it as older: then the order is in the notes, and no clock has to
tell it. Later snapshots of the generation repeat that, since retention removes the first one.

    at the place      A |---c--|P       Q|            B had ended with a mark at Q
                      B |--c--|Q
    we begin C        before {A, B}, lefts {B just past Q}, reached {A at P}

`before` gives the order. One that is there, is not of our line, and came from a generation of ours, shows that the
history was copied: whoever wrote it may be alive, so that ours is not simply the newer. It is noted as `beside` ours.

`lefts` and `reached` are the first places at which nothing is: of what our program left, and of what others had here. A
copy that goes on may meet no end mark: none stands where an index begins, and the place may have been emptied since.
What lies past such a place later tells a restore that another went on, whatever the clock of the store says. So it
does where the local folder was lost, or never here: the host that was replaced may be alive.
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
"""Generations of others that are noted when they are seen; a note, which has a limit of its own, has twice as many."""
PAST_A_NAME, PAST_A_MARK = 1, 2
"""How far past where an object begins the first place lies at which nothing is: where its end is not known, so that
only its name tells, and where it is an end mark, so that anything in it tells as well."""
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
    """What is noted beside what the program knows itself: `before` are generations that are older, newest first."""

    before: Sequence[str]
    beside: Sequence[str]
    lefts: Sequence[Position]
    reached: Sequence[Position]


def lineage(
    client: ReplicaClient, generation_info: GenerationInfo, left: Position | None, parted: Sequence[str]
) -> Lineage:
    """What is to be noted for `generation_info`. Raises StorageError.

    `left` is where an older generation ended here, `parted` are those before that another program goes on with.
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
    """What the snapshot before says: of the moment at which the generation began here."""
    return _Seen([last.previous, *last.earlier], last.beside, [*lefts, *last.lefts], last.reached)


def _found(
    client: ReplicaClient, generation_info: GenerationInfo, lefts: Sequence[Position], parted: Sequence[str]
) -> _Seen:
    """What is at the place as the generation begins there."""
    names = _at_the_place(client, generation_info)
    beside = _parted(client, generation_info, names)
    before = _noted(client, client.snapshots(generation_info.previous)) if generation_info.previous else None
    lefts = [*lefts, *(before.lefts if before is not None else ())]
    lefts += _left_unseen(generation_info, names, lefts)
    known = [*lefts, *(before.reached if before is not None else ())]
    return _Seen(names, beside, lefts, _reached(client, generation_info, names, [*parted, *beside], known))


def _left_unseen(generation_info: GenerationInfo, names: Sequence[str], lefts: Sequence[Position]) -> list[Position]:
    """Where generations were left that are not at the place: as far as they were copied here.

    Another replica may have them, and a copy go on there. What is at the place was compared, or is looked up.
    """
    elsewhere = [place for place in positions_in(" ".join(generation_info.lefts)) if place.generation not in names]
    known = {place.generation for place in lefts}
    return [_nothing_after(place) for place in elsewhere if place.generation not in known]


def _nothing_after(left: Position) -> Position:
    """The first place where nothing of ours is once a generation was left: that after its end mark, if it has one.

    Should the mark be removed, and another write on from there, what it writes has the mark's name, and ends past this.

        left at E     |----c--|E
        gone on       |----c--|E---c--|
    """
    return replace(left, offset=left.offset + PAST_A_MARK) if left.offset else left


def _reached(
    client: ReplicaClient,
    generation_info: GenerationInfo,
    at_the_place: Sequence[str],
    beside: Sequence[str],
    known: Sequence[Position],
) -> list[Position]:
    """The first places where generations that are here have nothing so far: those that parted from our line first.

    Where one of our line ended is `known` if it was left whole. What others had come to is looked up anew each time.
    """
    line = {generation_info.previous, *generation_info.earlier} - {*beside}
    found = [item for item in known if item.generation in line and item.generation in at_the_place]
    asked = [name for name in at_the_place if name not in {item.generation for item in found}]
    parted = [name for name in asked if name in {*beside, *line}][:REACHED_MAX]
    strangers = [name for name in asked if name not in {*beside, *line}][:REACHED_MAX]
    # There is room for so many: what is most likely to be gone on with comes first.
    return [*_come_to(client, parted), *found, *_come_to(client, strangers)]


def _come_to(client: ReplicaClient, generations: Sequence[str]) -> Iterator[Position]:
    """The first place where each of them has nothing, of those that have anything."""
    for name in generations:
        snapshots, segments = client.contents(name)
        last, snapshot = segments[-1:], snapshots[-1:]
        if last and not (snapshot and snapshot[0].index > last[0].index):
            yield _past(client, last[0])
        elif snapshot:
            yield Position(name, snapshot[0].index, 0)


def _past(client: ReplicaClient, segment: SegmentInfo) -> Position:
    """The first place where nothing is once this segment is the last one.

    That is its end: should it vanish, its writer sends it again where it begins, with more in it. Of what cannot be
    read only the name counts.
    """
    with suppress(CorruptObjectError, ObjectNotFoundError):
        return max(client.end_of(segment), _nothing_after(segment.position))
    return replace(segment.position, offset=segment.offset + PAST_A_NAME)


def _noted(client: ReplicaClient, snapshots: Sequence[SnapshotInfo]) -> SnapshotNote | None:
    """What the newest of these snapshots that is ours says; None without one."""
    for item in reversed(snapshots):
        try:
            note = client.snapshot_note(item.name)
        except (CorruptObjectError, ObjectNotFoundError):
            continue
        if note is not None:
            return note
    return None


def _parted(client: ReplicaClient, generation_info: GenerationInfo, at_the_place: Sequence[str]) -> list[str]:
    """Generations at the place that came from one of our line, and are not of it."""
    line = {generation_info.generation, generation_info.previous, *generation_info.earlier} - {""}
    if len(generation_info.earlier) >= EARLIER_MAX:
        # Nobody here knows them all.
        return []
    others = [name for name in at_the_place if name not in line]
    notes = {name: _noted(client, client.snapshots(name)) for name in others}
    return [name for name, note in notes.items() if note is not None and line & note.before][:BESIDE_MAX]


def _at_the_place(client: ReplicaClient, generation_info: GenerationInfo) -> list[str]:
    """All generations that are there, the newest first by the times of the store, where the order matters."""
    found = [name for name in client.generations() if name != generation_info.generation]
    if len(found) < 2 or (generation_info.previous and len(found) <= min(EARLIER_MAX, REACHED_MAX)):
        return found

    def newest(name: str) -> datetime:
        snapshots, segments = client.contents(name)
        return max([*(item.created for item in snapshots), *(item.created for item in segments)], default=_NEVER)

    return sorted(found, key=newest, reverse=True)

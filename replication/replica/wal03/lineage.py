"""Which generations came before ours, as a snapshot notes it: what we know ourselves, and what is at the place already.

A host that was replaced, or a local folder that was lost, leaves nobody who knows. So whoever begins a generation at a
place reads what is there and names it as older: then the order is in the notes, and no clock has to tell it. Later
snapshots of the generation repeat that, since retention removes the first one.

One that is there, is not of our line, and came from a generation of ours, shows that the history was copied: whoever
wrote it may be alive, so that ours is not simply the newer. It is noted as beside ours, too.

A generation that was left where an index begins has no end mark there. Where it was left is noted instead: a copy that
goes on with it meets nothing, and a restore sees by that note that one did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.local.generation_info import EARLIER_MAX, GenerationInfo
from replication.position import Position
from replication.storage.wal03.names import SnapshotInfo
from replication.storage.wal03.replica_client import ReplicaClient

LEFT_MAX = 8
"""Generations of which a note says where they were left."""
BESIDE_MAX = 8
"""Generations of others that a note names; it has a limit of its own."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a snapshot notes of the generations before its own; the fields are those of SnapshotNote."""

    previous: str
    earlier: tuple[str, ...]
    beside: tuple[str, ...]
    lefts: tuple[Position, ...]
    begins: bool


def lineage(client: ReplicaClient, generation_info: GenerationInfo, left: Position | None) -> Lineage:
    """What is to be noted of it; `left` is where an older generation was left here. Raises StorageError."""
    existing = client.snapshots(generation_info.generation)
    noted, beside, lefts = _noted(client, existing)
    begins = not existing and not client.segments(generation_info.generation)
    if noted is None:
        noted = _at_the_place(client, generation_info)
        beside = _parted(client, generation_info, noted)
        lefts = _noted(client, client.snapshots(generation_info.previous))[2] if generation_info.previous else []
    if left is not None and not left.offset:
        lefts = [left, *lefts]
    known = [generation_info.previous, *generation_info.earlier, *noted]
    ordered = [name for name in dict.fromkeys(known) if name and name != generation_info.generation]
    return Lineage(
        previous=ordered[0] if ordered else "",
        earlier=tuple(ordered[1 : 1 + EARLIER_MAX]),
        beside=tuple(beside),
        lefts=tuple(dict.fromkeys(lefts))[:LEFT_MAX],
        begins=begins,
    )


def _noted(
    client: ReplicaClient, snapshots: Sequence[SnapshotInfo]
) -> tuple[list[str] | None, list[str], list[Position]]:
    """What the newest of these snapshots that is ours names as older, as beside, and as left; None without one."""
    for item in reversed(snapshots):
        try:
            note = client.snapshot_note(item.name)
        except (CorruptObjectError, ObjectNotFoundError):
            continue
        if note is not None:
            return [note.previous, *note.earlier], list(note.beside), list(note.lefts)
    return None, [], []


def _parted(client: ReplicaClient, generation_info: GenerationInfo, at_the_place: Sequence[str]) -> list[str]:
    """Generations at the place that came from one of our line, and are not of it."""
    line = {generation_info.generation, generation_info.previous, *generation_info.earlier} - {""}
    if len(generation_info.earlier) >= EARLIER_MAX:
        # Nobody here knows them all.
        return []
    others = [name for name in at_the_place if name not in line]
    return [name for name in others if line & {*(_noted(client, client.snapshots(name))[0] or ())}][:BESIDE_MAX]


def _at_the_place(client: ReplicaClient, generation_info: GenerationInfo) -> list[str]:
    """All generations that are there, the newest first by the times of the store, where the order matters."""
    found = [name for name in client.generations() if name != generation_info.generation]
    if len(found) < 2 or (generation_info.previous and len(found) <= EARLIER_MAX):
        return found

    def newest(name: str) -> datetime:
        snapshots, segments = client.contents(name)
        return max([*(item.created for item in snapshots), *(item.created for item in segments)], default=_NEVER)

    return sorted(found, key=newest, reverse=True)

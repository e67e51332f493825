"""What may befall the objects of a replica, by chance: pure, from objects to objects.

Each says which names it touched and whether whole, sound objects may stand in a place that is not theirs.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.wal03.names import segment_name, snapshot_name
from tests.torture.known import Objects, Stored

BOMB_BYTES = 24 << 20
"""What a bomb expands to in the tests: enough to be seen, and little for the machine."""

HOSTILE_NAMES = [
    "generations/{generation}/wal/../../../../escaped",
    "/escaped",
    "generations/{generation}/wal/{index:08X}_{offset:08X}.wal.lz4",
    "generations/{generation}/wal/{index:08x}_{offset:09x}.wal.lz4",
    "generations/{generation}/wal/{index:08x}_{offset:08x}.wal.lz4\n",
    "generations/{generation}/wal/{index:08x}_{offset:08x}.wal.lz4\0",
    "generations/{generation}/wal/\x1b[2J{index:08x}_{offset:08x}.wal.lz4",
    "generations/{generation}/wal/\u202e{index:08x}_{offset:08x}.wal.lz4",
    "generations/{generation}/wal/{index:08x}_{offset:08x}.wal.lz4" + "x" * 5000,
    "generations/{generation}/wal/٠000000{index:x}_{offset:08x}.wal.lz4",
    "generations/{generation}/wal/deeper/{index:08x}_{offset:08x}.wal.lz4",
    "generations/{generation}/snapshots/+000000{index:x}.snapshot.lz4",
    "generations/{upper}/wal/{index:08x}_{offset:08x}.wal.lz4",
    "generations/{generation} /wal/{index:08x}_{offset:08x}.wal.lz4",
    "generations//wal/{index:08x}_{offset:08x}.wal.lz4",
    "generations/{generation}/wal/ffffffff_ffffffff.wal.lz4",
]


@dataclass(frozen=True, slots=True)
class Damaged:
    """The objects after it, what was done in words, and the names whose objects are not what they were."""

    objects: Objects
    words: str
    touched: frozenset[str]
    misplaced: bool = False


def damaged(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """One of the damages, by chance."""
    while True:
        # What is damaged already cannot be opened to put something else into it.
        with suppress(CorruptObjectError):
            return chance.choice(_KINDS)(dict(objects), foreign, chance)


def _remove(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    names = chance.sample(sorted(objects), chance.randint(1, 3))
    for name in names:
        del objects[name]
    return Damaged(objects, f"removed {names}", frozenset(names))


def _half(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """A generation that somebody was removing, in any order, when the machine stopped."""
    generation = chance.choice(sorted({name.split("/")[1] for name in objects}))
    names = [name for name in sorted(objects) if generation in name]
    gone = chance.choice([names[: len(names) // 2], names[len(names) // 2 :], chance.sample(names, len(names) // 2)])
    for name in gone:
        del objects[name]
    return Damaged(objects, f"removed half of {generation}: {gone}", frozenset(gone))


def _truncate(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    name = chance.choice(sorted(objects))
    data = objects[name].data
    size = chance.choice([0, 1, 3, 4, 7, 8, 15, len(data) - 1, len(data) - 4, chance.randrange(len(data))])
    return _put(objects, name, data[: max(0, size)], f"truncated to {size}")


def _flip(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    name = chance.choice(sorted(objects))
    data = bytearray(objects[name].data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return _put(objects, name, bytes(data), "flipped bits")


def _inner(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """Wrong bits, cut or repeated bytes, under a right LZ4 checksum."""
    name = chance.choice([name for name in sorted(objects) if "/wal/" in name])
    data = bytearray(b"".join(DEFAULT_CODEC.open(name, [objects[name].data])))
    # An end mark has no content.
    data = data or bytearray(64)
    place = chance.randrange(len(data))
    match chance.choice(["flip", "cut", "repeat", "zero"]):
        case "flip":
            data[place] ^= 1 << chance.randrange(8)
        case "cut":
            del data[place : place + chance.choice([1, 24, 536, 4120])]
        case "repeat":
            data[place:place] = data[place : place + chance.choice([1, 24, 536, 4120])]
        case _:
            data[place : place + 64] = bytes(len(data[place : place + 64]))
    note = DEFAULT_CODEC.open("object", [objects[name].data]).note
    return _put(objects, name, b"".join(DEFAULT_CODEC.seal([bytes(data)], note)), f"other content at {place}")


def _trailing(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    name, other = chance.sample(sorted(objects), 2)
    more = chance.choice([b"\0", chance.randbytes(40), objects[other].data, struct.pack("<II", 0x184D2A50, 0)])
    return _put(objects, name, objects[name].data + more, f"{len(more)} bytes behind it")


def bomb(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """Few bytes that expand to very many, behind a start that looks right, or with frames to skip without end."""
    name = chance.choice(sorted(objects))
    data = objects[name].data
    if chance.random() < 0.3:
        return _put(objects, name, struct.pack("<II", 0x184D2A50, 0) * 50_000 + data[:-1], "frames to skip")
    head = next(iter(DEFAULT_CODEC.open(name, [data])), b"")[:4096]
    note = DEFAULT_CODEC.open("object", [data]).note
    return _put(objects, name, b"".join(DEFAULT_CODEC.seal([head, bytes(BOMB_BYTES)], note)), "bomb")


def _swap(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    kind = chance.choice(["/wal/", "/snapshots/", "/"])
    one, other = chance.sample([name for name in sorted(objects) if kind in name], 2)
    first, second = objects[one], objects[other]
    objects[one], objects[other] = Stored(second.data, first.modified), Stored(first.data, second.modified)
    return Damaged(objects, f"swapped {one} and {other}", frozenset({one, other}), misplaced=True)


def _copy(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """An object once more under another name of the format, taken or not."""
    source = chance.choice(sorted(objects))
    generation = chance.choice(sorted({name.split("/")[1] for name in objects}))
    index = chance.randrange(6)
    name = segment_name(Position(generation, index, chance.choice([0, 0, 32, 1104, 8272])))
    if "/snapshots/" in source:
        name = snapshot_name(generation, index)
    if name == source:
        name = chance.choice(sorted(objects))
    modified = objects[name].modified if name in objects else objects[source].modified
    objects[name] = Stored(objects[source].data, modified)
    return Damaged(objects, f"{source} under {name}", frozenset({name}), misplaced=name != source)


def _foreign(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """An object of another database."""
    kind = chance.choice(["/wal/", "/snapshots/"])
    name = chance.choice([name for name in sorted(objects) if kind in name])
    source = chance.choice([name for name in sorted(foreign) if kind in name])
    objects[name] = Stored(foreign[source].data, objects[name].modified)
    return Damaged(objects, f"{source} of another database under {name}", frozenset({name}), misplaced=True)


def _names(objects: Objects, foreign: Objects, chance: Random) -> Damaged:
    """Objects under names that nobody should believe; some were renamed to them."""
    touched = set()
    for _ in range(chance.randint(1, 5)):
        source = chance.choice(sorted(objects))
        generation = chance.choice(sorted({name.split("/")[1] for name in objects if name.startswith("generations/")}))
        name = chance.choice(HOSTILE_NAMES).format(
            generation=generation, upper=generation.upper(), index=chance.randrange(10, 16), offset=0xABC
        )
        objects[name] = objects[source]
        touched.add(name)
    return Damaged(objects, f"hostile names {sorted(touched)!a:.300}", frozenset(touched))


def _put(objects: Objects, name: str, data: bytes, words: str) -> Damaged:
    objects[name] = Stored(data, objects[name].modified)
    return Damaged(objects, f"{name}: {words}", frozenset({name}))


_KINDS: list[Callable[[Objects, Objects, Random], Damaged]] = [
    _remove,
    _remove,
    _half,
    _truncate,
    _flip,
    _inner,
    _trailing,
    bomb,
    _swap,
    _swap,
    _copy,
    _foreign,
    _names,
]

"""The cells of a page of a b-tree: where they lead, what they hold, and the pages on which long ones go on. Pure.

https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from replication.errors import QueryError
from replication.history.pages import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF
from replication.history.record import signed, size_of, value_of, varint
from replication.sqlite.moment import Value

KINDS = (TABLE_INTERIOR, TABLE_LEAF, INDEX_INTERIOR, INDEX_LEAF)
_INTERIOR = (TABLE_INTERIOR, INDEX_INTERIOR)
_FILE_HEADER_SIZE = 100

Read = Callable[[int], bytes]


class MalformedPageError(QueryError):
    """A page is not as SQLite writes it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Page {number} of the database is damaged.")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `child` in an interior page (else 0), `rowid` in a table (else 0), and its record of `size` bytes.

    `local` are those bytes of the record that lie in the page.
    """

    child: int
    rowid: int
    size: int
    local: bytes
    overflow: int
    """The first page with the rest of the record; 0 if there is no rest."""


def kind_of(page: bytes, number: int) -> int:
    """The first byte of a b-tree's page; of others anything."""
    return page[_FILE_HEADER_SIZE if number == 1 else 0]


def cells(page: bytes, number: int, usable: int, limit: int | None = None) -> list[Cell]:
    """The cells of a page, in order, or the first so many. Raises MalformedPageError."""
    begin = _FILE_HEADER_SIZE if number == 1 else 0
    kind = page[begin]
    count = int.from_bytes(page[begin + 3 : begin + 5], "big")
    at = begin + (12 if kind in _INTERIOR else 8)
    if kind not in KINDS or at + 2 * count > usable:
        raise MalformedPageError(number)
    try:
        pointers = struct.unpack_from(f">{count if limit is None else min(limit, count)}H", page, at)
        return [_cell(page, kind, pointer, usable) for pointer in pointers]
    except IndexError:
        raise MalformedPageError(number) from None


def right_child(page: bytes, number: int) -> int:
    """The last child of an interior page, which has no cell."""
    at = (_FILE_HEADER_SIZE if number == 1 else 0) + 8
    return int.from_bytes(page[at : at + 4], "big")


def _cell(page: bytes, kind: int, at: int, usable: int) -> Cell:
    child = rowid = 0
    if kind in _INTERIOR:
        child = int.from_bytes(page[at : at + 4], "big")
        at += 4
    if kind == TABLE_INTERIOR:
        return Cell(child, signed(varint(page, at)[0]), 0, b"", 0)
    size, at = varint(page, at)
    if kind == TABLE_LEAF:
        number, at = varint(page, at)
        rowid = signed(number)
    local = _local_size(size, kind, usable)
    held = page[at : at + local]
    overflow = int.from_bytes(page[at + local : at + local + 4], "big") if local < size else 0
    if len(held) < local:
        raise IndexError(at)
    return Cell(child, rowid, size, held, overflow)


def _local_size(size: int, kind: int, usable: int) -> int:
    most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    found = least + (size - least) % (usable - 4)
    return found if found <= most else least


def chain(cell: Cell, usable: int, read: Read) -> Iterator[tuple[int, bytes]]:
    """The pages on which a long cell goes on, with what they hold. Raises MalformedPageError and what reading does."""
    number, left = cell.overflow, cell.size - len(cell.local)
    while left > 0:
        page = read(number)
        yield number, page[4 : min(usable, 4 + left)]
        left -= usable - 4
        number = int.from_bytes(page[:4], "big")


def payload(cell: Cell, usable: int, read: Read) -> bytes:
    """All that a cell holds. Raises as `chain`."""
    return cell.local + b"".join(part for _, part in chain(cell, usable, read))


def width(cell: Cell) -> int:
    """How many values a record has, as far as its head lies in the page."""
    try:
        end, at = varint(cell.local, 0)
        count = 0
        while at < end:
            _, at = varint(cell.local, at)
            count += 1
    except IndexError:
        return 0
    return count


def record(data: bytes, count: int, text: Callable[[bytes], str]) -> tuple[Value, ...]:
    """The first values of a record. Raises IndexError, struct.error, ValueError for what is none."""
    end, at = varint(data, 0)
    kinds: list[int] = []
    while at < end and len(kinds) < count:
        kind, at = varint(data, at)
        kinds.append(kind)
    found: list[Value] = []
    at = end
    for kind in kinds:
        size = size_of(kind)
        part = data[at : at + size]
        if len(part) < size:
            raise IndexError(at)
        at += size
        found.append(value_of(kind, part, text))
    if len(found) < count:
        raise IndexError(at)
    return tuple(found)

"""What a page of a b-tree says of where it belongs: its kind, and the key of its first cell. Pure.

https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

from replication.history.record import signed, size_of, value_of, varint

TABLE_INTERIOR, TABLE_LEAF, INDEX_INTERIOR, INDEX_LEAF = 5, 13, 2, 10
KEY_BYTES_MAX = 64 << 10
"""A key that takes more of a record is not read."""
_HEADERS = {TABLE_INTERIOR: 12, TABLE_LEAF: 8, INDEX_INTERIOR: 12, INDEX_LEAF: 8}
_INTERIOR = (TABLE_INTERIOR, INDEX_INTERIOR)
_CHILD_SIZE = 4
_LINK_SIZE = 4
"""At the end of what a page has of a longer record, and at the beginning of each page that has more of it."""
_LOCK_BYTE = 1 << 30
_POINTER_SIZE = 5


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is stored, in the encoding of its database, whatever is in it."""

    stored: bytes


Value = int | float | bytes | Text | None


class KeyTooLongError(Exception):
    """A key is longer than KEY_BYTES_MAX."""


@dataclass(frozen=True, slots=True)
class FirstCell:
    """The first cell of a page: the rowid of a table's, or of an index's what the page has of its record.

    `size` are the bytes of the whole record, and `link` is the page that has more of it, or 0.
    """

    is_table: bool
    rowid: int = 0
    begin: bytes = b""
    size: int = 0
    link: int = 0

    def key(self, columns: int, page_of: Callable[[int], bytes | None], usable: int) -> tuple[Value, ...] | None:
        """Return the first values of the record; None if it has fewer, or is no record. Raises KeyTooLongError."""
        reader = _RecordReader(self, page_of, usable)
        try:
            end, at = varint(reader.upto(9), 0)
            kinds: list[int] = []
            while at < end and len(kinds) < columns:
                kind, at = varint(reader.upto(min(end, at + 9)), at)
                kinds.append(kind)
            at, found = end, []
            for kind in kinds:
                size = size_of(kind)
                part = reader.upto(at + size)[at : at + size]
                if len(part) < size:
                    return None
                at += size
                found.append(value_of(kind, part, Text))
        except (IndexError, ValueError, struct.error):
            return None
        return tuple(found) if len(found) == columns else None


@dataclass(slots=True)
class _RecordReader:
    """A record, of which the pages that have more of it are read when they are needed."""

    cell: FirstCell
    page_of: Callable[[int], bytes | None]
    usable: int
    _data: bytes = b""
    _link: int = 0
    _is_begun: bool = False

    def upto(self, size: int) -> bytes:
        """So many bytes from its beginning on at least, or all that there are."""
        if not self._is_begun:
            self._data, self._link, self._is_begun = self.cell.begin, self.cell.link, True
        while len(self._data) < min(size, self.cell.size) and self._link:
            if len(self._data) > KEY_BYTES_MAX:
                raise KeyTooLongError
            page = self.page_of(self._link)
            if page is None:
                raise ValueError("there is no such page")
            self._link = int.from_bytes(page[:_LINK_SIZE], "big")
            self._data = (self._data + page[_LINK_SIZE : self.usable])[: self.cell.size]
        return self._data


def first_cell(page: bytes, number: int, usable: int) -> FirstCell | None:
    """Return the first cell of a page; None if it has none, or is no page of a b-tree (or looks like none).

    `usable` are the bytes of each page that SQLite uses.
    """
    at = 100 if number == 1 else 0
    kind = page[at]
    header = _HEADERS.get(kind)
    if header is None or not int.from_bytes(page[at + 3 : at + 5], "big"):
        return None
    cell = int.from_bytes(page[at + header : at + header + 2], "big")
    cell += _CHILD_SIZE if kind in _INTERIOR else 0
    try:
        if kind == TABLE_INTERIOR:
            return FirstCell(True, signed(varint(page, cell)[0]))
        size, cell = varint(page, cell)
        if kind == TABLE_LEAF:
            return FirstCell(True, signed(varint(page, cell)[0]))
        local = _local(size, usable)
        begin = page[cell : cell + local]
        after = page[cell + local : cell + local + _LINK_SIZE]
        return FirstCell(False, 0, begin, size, int.from_bytes(after, "big") if local < size else 0)
    except IndexError:
        return None


def rows_in(page: bytes, number: int, without_keys: bool = False) -> int:
    """Return how many rows a page of a table has, if it is one; `without_keys` of a table with rowids alone."""
    at = 100 if number == 1 else 0
    counts = page[at] == TABLE_LEAF or (not without_keys and page[at] in (INDEX_LEAF, INDEX_INTERIOR))
    return int.from_bytes(page[at + 3 : at + 5], "big") if counts else 0


def usable_of(first: bytes) -> int:
    """Return how many bytes of each page SQLite uses, as the first page says."""
    return len(first) - first[20]


def is_pointer_map(number: int, first: bytes) -> bool:
    """Return True for a page that says where other pages belong, in a database with auto_vacuum."""
    if number < 2 or not any(first[52:56]):
        return False
    every = usable_of(first) // _POINTER_SIZE + 1
    found = (number - 2) // every * every + 2
    return number == found + (found == _LOCK_BYTE // len(first) + 1)


def literal(value: Value | str) -> str:
    """Return a value as SQL has it, in a comparison with a column of any affinity."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, Text):
        # As the bytes that they are, which is exact in any encoding. With the plus it is no text that turns others so.
        return f"+CAST(x'{value.stored.hex()}' AS TEXT)"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    return repr(value)


def _local(size: int, usable: int) -> int:
    """How many bytes of a record of an index lie in its page."""
    most = (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    return local if local <= most else least

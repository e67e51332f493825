"""What a page of a b-tree says of where it belongs: its kind, and the key of its first cell. Pure.

https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

import struct
from dataclasses import dataclass

TABLE_INTERIOR, TABLE_LEAF, INDEX_INTERIOR, INDEX_LEAF = 5, 13, 2, 10
_HEADERS = {TABLE_INTERIOR: 12, TABLE_LEAF: 8, INDEX_INTERIOR: 12, INDEX_LEAF: 8}
_INTERIOR = (TABLE_INTERIOR, INDEX_INTERIOR)
_CHILD_SIZE = 4
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FLOAT, _ZERO, _ONE = 7, 8, 9
_VALUES_FROM = 12

Value = int | float | bytes | str | None


@dataclass(frozen=True, slots=True)
class FirstCell:
    """The first cell of a page: the rowid of a table's, or the values of an index's as far as they lie in the page."""

    is_table: bool
    rowid: int = 0
    values: tuple[Value, ...] = ()


def first_cell(page: bytes, number: int) -> FirstCell | None:
    """Return the first cell of a page; None if it has none, or is no page of a b-tree (or looks like none)."""
    at = 100 if number == 1 else 0
    kind = page[at]
    header = _HEADERS.get(kind)
    if header is None or not int.from_bytes(page[at + 3 : at + 5], "big"):
        return None
    cell = int.from_bytes(page[at + header : at + header + 2], "big")
    cell += _CHILD_SIZE if kind in _INTERIOR else 0
    try:
        if kind == TABLE_INTERIOR:
            return FirstCell(True, _signed(_varint(page, cell)[0]))
        size, cell = _varint(page, cell)
        if kind == TABLE_LEAF:
            return FirstCell(True, _signed(_varint(page, cell)[0]))
        return FirstCell(False, values=_record(page[cell : cell + size]))
    except (IndexError, ValueError, struct.error):
        return None


def rows_in(page: bytes, number: int, without_keys: bool = False) -> int:
    """Return how many rows a page of a table has, if it is one; `without_keys` of a table with rowids alone."""
    at = 100 if number == 1 else 0
    counts = page[at] == TABLE_LEAF or (not without_keys and page[at] in (INDEX_LEAF, INDEX_INTERIOR))
    return int.from_bytes(page[at + 3 : at + 5], "big") if counts else 0


def literal(value: Value) -> str:
    """Return a value as SQL has it."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def _record(data: bytes) -> tuple[Value, ...]:
    """The values of a record, up to the first that is not whole."""
    end, at = _varint(data, 0)
    kinds = []
    while at < end:
        kind, at = _varint(data, at)
        kinds.append(kind)
    found: list[Value] = []
    at = end
    for kind in kinds:
        size = _INTEGER_SIZES.get(kind, 8 if kind == _FLOAT else max(0, (kind - _VALUES_FROM) // 2))
        part = data[at : at + size]
        if len(part) < size:
            break
        at += size
        found.append(_value(kind, part))
    return tuple(found)


def _value(kind: int, part: bytes) -> Value:
    if kind in _INTEGER_SIZES:
        return int.from_bytes(part, "big", signed=True)
    if kind == _FLOAT:
        return float(struct.unpack(">d", part)[0])
    if kind in (_ZERO, _ONE):
        return kind - _ZERO
    if kind == 0:
        return None
    if kind < _VALUES_FROM:
        raise ValueError(f"{kind} is no kind of value")
    return part if kind % 2 == 0 else part.decode()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value

"""Rows of two moments compared: by rowid in one pass, by their key in two, and without either as a heap.

Its promise: each row that is at one moment only, or differs, is told once, if it is among the rows that are wanted; and
memory does not grow with the table. It leaves to the caller which rows are worth a look.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from replication.history.diff.contract import Pair, Row, RowChange, Shape, same
from replication.history.diff.rows import Keyed, Range, Side, are_alike, key_of
from replication.history.diff.trees import ROWID_MAX, ROWID_MIN

KEYS_TOGETHER = 200
"""Rows that are looked up at a time, as long as their values take no more than this."""
BYTES_TOGETHER_MAX = 4 << 20
HEAP_ROWS_MAX = 500_000
"""Rows without a key that differ and are counted by what is in them."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of one moment that may differ: by rowid, in order and without overlaps, or of a table without, by key."""

    ranges: Sequence[Range] = ()
    keys: Sequence[Row] = ()


EVERYTHING = Candidates(((ROWID_MIN, ROWID_MAX),))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows may differ; None for all of a table that has no rowids."""

    before: Candidates | None
    after: Candidates | None


def changes(pair: Pair, before: Side, after: Side, wanted: Wanted, tell: Callable[[str], None]) -> Iterator[RowChange]:
    """Yield what differs. `tell` is told in words what could not be told apart."""
    if pair.before is None or pair.after is None:
        shape, side = (pair.after, after) if pair.after is not None else (pair.before, before)
        assert shape is not None
        for row in side.everything(shape):
            key = key_of(shape, row)
            yield RowChange(pair, key, None, row[1]) if pair.after is not None else RowChange(pair, key, row[1], None)
    elif not pair.has_identity:
        yield from _as_heap(pair, lambda: _by_rowid(pair, before, after, wanted), tell)
    elif pair.before.is_rowid_key and pair.after.is_rowid_key:
        yield from _by_rowid(pair, before, after, wanted)
    elif pair.before.rowid and pair.after.rowid:
        yield from _by_rowid_and_key(pair, before, after, wanted)
    elif wanted.before is None and wanted.after is None:
        yield from _side_by_side(pair, before, after)
    else:
        yield from _by_key(pair, before, after, wanted)


def _by_rowid(pair: Pair, before: Side, after: Side, wanted: Wanted) -> Iterator[RowChange]:
    """Both in the order of their rowids, side by side."""
    assert pair.before is not None
    assert pair.after is not None
    assert wanted.before is not None
    assert wanted.after is not None
    ranges = united([*wanted.before.ranges, *wanted.after.ranges])
    old, new = before.stored(pair.before, ranges), after.stored(pair.after, ranges)
    is_plain = before.encoding == after.encoding and pair.before.stored == pair.after.stored
    was, became = next(old, None), next(new, None)
    while was is not None or became is not None:
        if became is None or (was is not None and was[0] < became[0]):
            assert was is not None
            yield RowChange(pair, was[:1], before.decoded(pair.before, was)[1], None)
            was = next(old, None)
        elif was is None or became[0] < was[0]:
            yield RowChange(pair, became[:1], None, after.decoded(pair.after, became)[1])
            became = next(new, None)
        else:
            if not (is_plain and are_alike(was, became)):
                rows = before.decoded(pair.before, was)[1], after.decoded(pair.after, became)[1]
                if _differ(pair, *rows):
                    yield RowChange(pair, was[:1], *rows)
            was, became = next(old, None), next(new, None)


def _by_rowid_and_key(pair: Pair, before: Side, after: Side, wanted: Wanted) -> Iterator[RowChange]:
    """Most rows have the rowid that they had; the others are looked up by their key."""
    assert pair.before is not None
    assert pair.after is not None
    gone: list[Keyed] = []
    came: list[Keyed] = []
    size = 0
    for change in _by_rowid(pair, before, after, wanted):
        rowid = change.key[0]
        assert isinstance(rowid, int)
        was = (rowid, change.before) if change.before is not None else None
        became = (rowid, change.after) if change.after is not None else None
        if was is not None and became is not None and _is_same(key_of(pair.before, was), key_of(pair.after, became)):
            yield RowChange(pair, key_of(pair.before, was), was[1], became[1])
            continue
        gone += [was] if was is not None else []
        came += [became] if became is not None else []
        size += sum(_size(row) for row in (was, became) if row is not None)
        if len(gone) + len(came) >= KEYS_TOGETHER or size > BYTES_TOGETHER_MAX:
            yield from _moved(pair, before, after, gone, came)
            gone, came, size = [], [], 0
    yield from _moved(pair, before, after, gone, came)


def _moved(pair: Pair, before: Side, after: Side, gone: list[Keyed], came: list[Keyed]) -> Iterator[RowChange]:
    """What became of rows that have another rowid, if they are there."""
    assert pair.before is not None
    assert pair.after is not None
    found = dict(after.by_keys(pair.after, [(key_of(pair.before, row), None) for row in gone]))
    for number, was in enumerate(gone):
        yield from _told(pair, was, found.get(number))
    found = dict(before.by_keys(pair.before, [(key_of(pair.after, row), None) for row in came]))
    for number, became in enumerate(came):
        if number not in found:
            yield RowChange(pair, key_of(pair.after, became), None, became[1])


def _is_same(was: Row, became: Row) -> bool:
    """True for keys of one row: alike, or both no keys to SQLite, so that only the rowid is left."""
    if None in was or None in became:
        return None in was and None in became
    return all(same(*values) for values in zip(was, became, strict=True))


def _side_by_side(pair: Pair, before: Side, after: Side) -> Iterator[RowChange]:
    """All rows of both WITHOUT ROWID, in the order of their keys. Where they part, both are looked up."""
    assert pair.before is not None
    assert pair.after is not None
    old, new = before.everything(pair.before), after.everything(pair.after)
    was, became = next(old, None), next(new, None)
    while was is not None or became is not None:
        key = key_of(pair.before, was) if was is not None else ()
        other = key_of(pair.after, became) if became is not None else ()
        if was is not None and became is not None and _is_same(key, other):
            yield from _told(pair, was, became)
            was, became = next(old, None), next(new, None)
            continue
        there = dict(after.by_keys(pair.after, [(key, None)])) if was is not None else {}
        if was is not None and not there:
            yield RowChange(pair, key, was[1], None)
            was = next(old, None)
            continue
        here = dict(before.by_keys(pair.before, [(other, None)])) if became is not None else {}
        if became is not None and not here:
            yield RowChange(pair, other, None, became[1])
            became = next(new, None)
            continue
        # Each of the two rows is at both moments, only in another order. One is compared here, by its row at the later
        # moment; the other is when its row at the earlier moment comes.
        if was is not None:
            yield from _told(pair, was, there[0])
        was, became = next(old, None), next(new, None)


def _told(pair: Pair, was: Keyed, became: Keyed | None) -> Iterator[RowChange]:
    """A row that was there, if it went or changed."""
    assert pair.before is not None
    if became is None or _differ(pair, was[1], became[1]):
        yield RowChange(pair, key_of(pair.before, was), was[1], became[1] if became is not None else None)


def _by_key(pair: Pair, before: Side, after: Side, wanted: Wanted) -> Iterator[RowChange]:
    """What was there, looked up in what is; then what is, looked up in what was."""
    assert pair.before is not None
    assert pair.after is not None
    for rows, found in _looked_up(before, pair.before, wanted.before, after, pair.after):
        for number, was in enumerate(rows):
            yield from _told(pair, was, found.get(number))
    for rows, found in _looked_up(after, pair.after, wanted.after, before, pair.before):
        for number, became in enumerate(rows):
            if number not in found:
                yield RowChange(pair, key_of(pair.after, became), None, became[1])


def _looked_up(
    here: Side, shape: Shape, wanted: Candidates | None, there: Side, other: Shape
) -> Iterator[tuple[list[Keyed], dict[int, Keyed]]]:
    """Rows of one moment, some at a time, with those of the same keys at the other."""
    rows = _rows(here, shape, wanted)
    while some := _some(rows):
        keys = [(key_of(shape, row), row[0]) for row in some]
        yield some, dict(there.by_keys(other, keys))


def _rows(side: Side, shape: Shape, wanted: Candidates | None) -> Iterator[Keyed]:
    if wanted is None:
        yield from side.everything(shape)
    elif shape.rowid:
        yield from side.ranges(shape, wanted.ranges)
    else:
        for start in range(0, len(wanted.keys), KEYS_TOGETHER):
            keys = [(key, None) for key in wanted.keys[start : start + KEYS_TOGETHER]]
            for _, row in side.by_keys(shape, keys, streamed=True):
                yield row


def _some(rows: Iterator[Keyed]) -> list[Keyed]:
    found: list[Keyed] = []
    size = 0
    for row in islice(rows, KEYS_TOGETHER):
        found.append(row)
        size += _size(row)
        if size > BYTES_TOGETHER_MAX:
            break
    return found


def _size(row: Keyed) -> int:
    return sum(len(value) for value in row[1] if isinstance(value, str | bytes))


def _as_heap(pair: Pair, found: Callable[[], Iterator[RowChange]], tell: Callable[[str], None]) -> Iterator[RowChange]:
    """Without those that only have another rowid: a row that went at one and came at another did not change."""
    more: Counter[bytes] = Counter()
    # By the content of a row: how many more there are at the later moment, below zero at the earlier one.
    for change in found():
        for row, step, columns in ((change.before, -1, 0), (change.after, 1, 1)):
            if row is not None:
                digest = _digest(pair, row, columns)
                more[digest] += step
                if not more[digest]:
                    del more[digest]
        if len(more) > HEAP_ROWS_MAX:
            tell(
                f"rows of {pair.name} have no key, and more than {HEAP_ROWS_MAX:,} differ: they were compared by their "
                "rowids, which VACUUM may have given anew"
            )
            yield from found()
            return
    for change in found():
        was = change.before if change.before is not None and _taken(more, pair, change.before, 0, -1) else None
        became = change.after if change.after is not None and _taken(more, pair, change.after, 1, 1) else None
        if was is not None or became is not None:
            yield RowChange(pair, change.key, was, became)


def _taken(more: Counter[bytes], pair: Pair, row: Row, side: int, step: int) -> bool:
    """True if there are still more such rows at this moment than at the other. Then this is one of them, and counted.

    `step` is 1 for the later moment, and -1 for the earlier one.
    """
    digest = _digest(pair, row, side)
    if more.get(digest, 0) * step <= 0:
        return False
    more[digest] -= step
    return True


def _digest(pair: Pair, row: Row, side: int) -> bytes:
    text = repr(tuple(row[columns[side]] for columns in pair.common)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _differ(pair: Pair, was: Row, became: Row) -> bool:
    return any(not same(was[there], became[here]) for there, here in pair.common)


def united(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, without overlaps."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found

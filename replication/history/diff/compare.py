"""Rows of two moments compared: by rowid in one pass, by their key in two, and without either as a heap.

Its promise: each row that is at one moment only, or differs, is told once, if it is among the rows that are wanted; and
memory does not grow with the table. It leaves to the caller which rows are worth a look.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from replication.history.diff.contract import Pair, Row, RowChange, Shape, same
from replication.history.diff.rows import ROWID_MAX, ROWID_MIN, Keyed, Range, Side, key_of

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
    else:
        yield from _by_key(pair, before, after, wanted)


def _by_rowid(pair: Pair, before: Side, after: Side, wanted: Wanted) -> Iterator[RowChange]:
    """Both in the order of their rowids, side by side."""
    assert pair.before is not None
    assert pair.after is not None
    ranges = _united(wanted)
    old, new = before.ranges(pair.before, ranges), after.ranges(pair.after, ranges)
    was, became = next(old, None), next(new, None)
    while was is not None or became is not None:
        there = was[0] if was is not None else None
        here = became[0] if became is not None else None
        if here is None or (there is not None and there < here):
            assert was is not None
            yield RowChange(pair, (there,), was[1], None)
            was = next(old, None)
        elif there is None or here < there:
            assert became is not None
            yield RowChange(pair, (here,), None, became[1])
            became = next(new, None)
        else:
            assert was is not None
            assert became is not None
            if _differ(pair, was[1], became[1]):
                yield RowChange(pair, (here,), was[1], became[1])
            was, became = next(old, None), next(new, None)


def _by_key(pair: Pair, before: Side, after: Side, wanted: Wanted) -> Iterator[RowChange]:
    """What was there, looked up in what is; then what is, looked up in what was."""
    assert pair.before is not None
    assert pair.after is not None
    for rows, found in _looked_up(before, pair.before, wanted.before, after, pair.after):
        for number, was in enumerate(rows):
            became = found.get(number)
            if became is None or _differ(pair, was[1], became[1]):
                yield RowChange(pair, key_of(pair.before, was), was[1], became[1] if became is not None else None)
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
        size += sum(len(value) for value in row[1] if isinstance(value, str | bytes))
        if size > BYTES_TOGETHER_MAX:
            break
    return found


def _as_heap(pair: Pair, found: Callable[[], Iterator[RowChange]], tell: Callable[[str], None]) -> Iterator[RowChange]:
    """Without those that only have another rowid: a row that went at one and came at another did not change."""
    more: Counter[bytes] = Counter()
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
    """True if there are more such rows at this moment than at the other, of which this is one then."""
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


def _united(wanted: Wanted) -> list[Range]:
    """The ranges of both moments, in order, without overlaps."""
    if wanted.before is None or wanted.after is None:
        return [(ROWID_MIN, ROWID_MAX)]
    found: list[Range] = []
    for low, high in sorted([*wanted.before.ranges, *wanted.after.ranges]):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found

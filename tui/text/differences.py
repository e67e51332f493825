"""Differences as text: lines for people, and objects for programs. Pure."""

import math
from collections.abc import Iterator, Sequence

from replication.history.diff.contract import Pair, Row, RowChange, SchemaChange
from replication.sqlite.moment import Value
from tui.text.format import counted, plain

CELL_CHARS_MAX = 60
LINE_CHARS_MAX = 240
_MARKS = {"inserted": "+", "deleted": "-", "changed": "~"}
_WORDS = {(False, True): "made", (True, False): "dropped", (True, True): "altered"}


def schema_lines(change: SchemaChange) -> Iterator[str]:
    """What became of a table, index, view or trigger, with the statements that made it."""
    words = _WORDS[change.before is not None, change.after is not None]
    if change.renamed_from:
        words = f"renamed: it was {plain(change.renamed_from)}"
    yield f"{change.type} {plain(change.name)} {words}"
    if change.before is not None:
        yield f"    before: {plain(change.before)}"
    if change.after is not None:
        yield f"    after:  {plain(change.after)}"


def row_line(change: RowChange) -> str:
    """A row that came or went with its values, one that changed with those that did."""
    mark, pair = _MARKS[change.kind], change.pair
    if change.kind == "changed":
        pairs = [f"{plain(name)}: {shown(was)} -> {shown(became)}" for name, was, became in change.changed_columns]
        line = f"  {mark} {_named(change.key_columns, change.key)}  {', '.join(pairs)}"
    else:
        shape, row = (pair.after, change.after) if change.after is not None else (pair.before, change.before)
        assert shape is not None
        assert row is not None
        line = f"  {mark} {_named(shape.columns, row)}"
    return line if len(line) <= LINE_CHARS_MAX else line[: LINE_CHARS_MAX - 1] + "…"


def _named(names: Sequence[str], values: Row) -> str:
    return ", ".join(f"{plain(name)}={shown(value)}" for name, value in zip(names, values, strict=True))


def shown(value: Value) -> str:
    """The beginning of a value on one line, as SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        text = f"x'{value[:CELL_CHARS_MAX].hex()}'"
    elif isinstance(value, str):
        text = "'" + plain(value[: CELL_CHARS_MAX + 1]) + "'"
    else:
        return str(value)
    if len(text) <= CELL_CHARS_MAX and len(value) <= CELL_CHARS_MAX:
        return text
    unit = "byte" if isinstance(value, bytes) else "character"
    return f"{text[:CELL_CHARS_MAX]}… ({counted(len(value), unit)})"


def row_values(change: RowChange) -> dict[str, object]:
    """A row that came, went or changed, for a program."""
    pair = change.pair
    return {
        "kind": "row",
        "table": change.table,
        "change": change.kind,
        "key": _object(change.key_columns, change.key),
        "before": _object(pair.before.columns, change.before) if pair.before else None,
        "after": _object(pair.after.columns, change.after) if pair.after else None,
    }


def _object(names: Sequence[str], row: Row | None) -> dict[str, object] | None:
    return {name: _json(value) for name, value in zip(names, row, strict=True)} if row is not None else None


def _json(value: Value) -> str | int | float | None:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    # JSON has no word for what is infinite.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def schema_values(change: SchemaChange) -> dict[str, object]:
    """The same of a change of the schema."""
    return {
        "kind": "schema",
        "type": change.type,
        "name": change.name,
        "renamed_from": change.renamed_from or None,
        "before": change.before,
        "after": change.after,
    }


def state_of(pair: Pair) -> str:
    """What became of a table itself, in a word."""
    if pair.before is None or pair.after is None:
        return "made" if pair.before is None else "dropped"
    return f"renamed from {plain(pair.renamed_from)}" if pair.renamed_from else ""

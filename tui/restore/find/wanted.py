"""What may be looked for among commits, as a person chooses and types it. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replication.control.requests import Change, Find
from replication.errors import UsageError
from replication.position import Position
from tui.text.format import plain
from tui.text.local import clock

if TYPE_CHECKING:
    from replication.control.results import Discovery


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing to look for: in words, and what is to be typed for it."""

    what: Change
    words: str
    example: str


KINDS = (
    Kind("gone", "a table went", "its name; nothing for any table"),
    Kind("appeared", "a table appeared", "its name"),
    Kind("fell", "a table lost many rows at once", "its name and how many, such as: orders 1000"),
    Kind("row", "a row came, changed or went", "its table and key, such as: orders 7"),
    Kind("sql", "the answer to SQL changed", "a statement, such as: SELECT count(*) FROM orders"),
)


def request(kind: Kind, typed: str, database: str, replica: str, generation: str, until: Position | None) -> Find:
    """What the engine is asked for. Raises UsageError, in words."""
    typed = typed.strip()
    table, rows, row, sql = typed, 1, "", ""
    if kind.what == "sql":
        table, sql = "", typed
    elif kind.what == "fell":
        table, number = _two(typed, kind)
        if not number.replace(",", "").isdigit() or not 0 < int(number.replace(",", "")) < 1 << 62:
            raise UsageError(f"{number!r} is no number of rows. Type {kind.example}")
        rows = int(number.replace(",", ""))
    elif kind.what == "row":
        table, row = _two(typed, kind)
    if not typed and kind.what != "gone":
        raise UsageError(f"Type {kind.example}")
    position = str(until) if until is not None else ""
    return Find(
        database=database,
        replica=replica,
        what=kind.what,
        table=table,
        rows=rows,
        row=row,
        sql=sql,
        generation=generation,
        position=position,
    )


def found_words(found: "Discovery") -> str:
    """What was found, for the line below the point before it, and whether another may have come later."""
    answers = f": from {found.was} to {found.became}" if found.was or found.became else ""
    kind = "" if found.made else "stored "
    sure = "" if found.is_sure else "; not sure, others since may have too"
    return plain(f"{found.words} with the next commit, {kind}{clock(found.after_time.timestamp())}{sure}{answers}")


def _two(typed: str, kind: Kind) -> tuple[str, str]:
    first, _, second = typed.rpartition(" ")
    if not first.strip():
        raise UsageError(f"Type {kind.example}")
    return first.strip(), second

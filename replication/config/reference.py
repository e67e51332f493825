"""What a configuration may hold, as rows: for who compares an example or a page with the keys that are read. Pure."""

from dataclasses import dataclass

from replication.config.schema import KIND_KEYS, ROWS, Level
from replication.key_rows import Key


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the reference: where a key stands, who reads it, and the key."""

    level: Level
    kind: str
    """The kind of store that reads it, or "" for every replica."""
    key: Key


def rows() -> tuple[Row, ...]:
    """Every key that is read, in the order of the example: what the reference of the configuration has to tell."""
    kinds = {key: name for name, keys in KIND_KEYS.items() for key in keys}
    return tuple(Row(level, kinds.get(key, ""), key) for level, keys in ROWS.items() for key in keys)

"""Values as short texts for people, made inside SQLite so that no large value comes out of it, and none is lost.

A text that is not valid is shown with a mark in place of what cannot be read.
"""

from collections.abc import Iterable

TEXT_CHARS_MAX = 60
"""Characters of a value that are shown; the rest is cut."""


def shown(value: str) -> str:
    """An expression that makes of a value what `read` takes."""
    most = TEXT_CHARS_MAX
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN 'blob of ' || length({value}) || ' bytes' WHEN 'null' THEN 'NULL' "
        f"WHEN 'text' THEN CAST(substr({value}, 1, {most}) || iif(length({value}) > {most}, '…', '') AS BLOB) "
        f"ELSE CAST({value} AS TEXT) END"
    )


def read(row: Iterable[object], encoding: str) -> tuple[str, ...]:
    """The texts of a row of such expressions, from a database with that encoding."""
    return tuple(item.decode(encoding, "replace") if isinstance(item, bytes) else str(item) for item in row)

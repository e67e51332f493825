"""What a database file holds, apart from the counters with which SQLite tells others that it was written."""

from pathlib import Path

_COUNTERS = ((24, 28), (40, 44), (92, 100))
"""The change counter, the schema cookie, and for which change which version of SQLite wrote the size."""


def content(path: Path) -> bytes:
    """The bytes of a database that is one file and in nobody's use, its counters zeroed."""
    made = bytearray(path.read_bytes())
    for begin, end in _COUNTERS:
        made[begin:end] = bytes(end - begin)
    return bytes(made)

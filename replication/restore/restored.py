"""The digest of a restored file, by which every verification compares a replica with its source."""

from pathlib import Path

from replication.sqlite.content import digest

_READ_BYTES = 1 << 20


def digest_of(path: Path) -> str:
    """The digest of the content of a restored file."""
    with path.open("rb") as file:
        return digest(iter(lambda: file.read(_READ_BYTES), b""))

"""What a replica restores to at one commit, as a digest of its pages: how every verification looks at a replica.

What it is compared with, and what follows from a difference, is the caller's.
"""

from pathlib import Path

from replication.sqlite.content import digest

_READ_BYTES = 1 << 20


def digest_of(path: Path) -> str:
    """The digest of the content of a restored file."""
    with path.open("rb") as file:
        return digest(iter(lambda: file.read(_READ_BYTES), b""))

"""The header of a database's WAL index, read and written by another process: closing the file drops our locks."""

import subprocess
import sys
from pathlib import Path

_SHARED_MEMORY = r"""
import sys
with open(sys.argv[1], "r+b") as file:
    if sys.argv[2:]:
        file.write(bytes.fromhex(sys.argv[2]))
    else:
        print(file.read(136).hex())
"""
"""Two copies of the header of 48 bytes, and what was copied back and who reads what."""


def index_header(path: Path, *head: str) -> str:
    """Read, or write back, what says how many frames count, and how many were copied back."""
    words = [sys.executable, "-c", _SHARED_MEMORY, f"{path}-shm", *head]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def tear_index(path: Path) -> None:
    """Leave a header whose copies differ, as a writer does that dies between the two: the next reader recovers."""
    head = bytearray.fromhex(index_header(path))
    head[48 + 8] ^= 1
    index_header(path, head.hex())

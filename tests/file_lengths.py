"""No file of the product grows beyond what one can read in one go. `make check` runs this: it fails with what to do.

TOO_LONG holds those that were longer when the limit came, with the lines they may have. It only ever gets shorter: a
file is never added, and no number is raised. Split the file where it has two ideas.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES_MAX = 350
TOO_LONG = {
    "replication/restore/wal03/choose.py": 380,
    "replication/restore/wal03/plan.py": 390,
    "replication/restore/wal03/replay.py": 360,
    "replication/sqlite/pin.py": 410,
    "replication/storage/s3/storage.py": 360,
}


def lengths(root: Path) -> dict[str, int]:
    """The lines of every file of the product, by its path in the repository."""
    files = (path for package in ("replication", "tui") for path in sorted((root / package).rglob("*.py")))
    return {path.relative_to(root).as_posix(): path.read_text().count("\n") for path in files}


def problems(found: dict[str, int], too_long: dict[str, int]) -> list[str]:
    """What is too long, and what is on the list and need not be."""
    told = []
    for path, lines in found.items():
        allowed = too_long.get(path, LINES_MAX)
        if lines > allowed:
            told.append(f"{path} has {lines} lines, and may have {allowed}: split it where it has two ideas")
    for path in too_long:
        if found.get(path, 0) <= LINES_MAX:
            told.append(f"{path} is not too long any more: take it off TOO_LONG in tests/file_lengths.py")
    return told


if __name__ == "__main__":
    told = problems(lengths(ROOT), TOO_LONG)
    print("\n".join(told), end="\n" if told else "")
    sys.exit(bool(told))

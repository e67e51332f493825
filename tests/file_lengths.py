"""No file of the product grows beyond what one can read in one go. `make check` runs this: it fails with what to do.

There are no exceptions, and the number is not raised: split the file where it has two ideas.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES_MAX = 350


def lengths(root: Path) -> dict[str, int]:
    """The lines of every file of the product, by its path in the repository."""
    files = (path for package in ("replication", "tui") for path in sorted((root / package).rglob("*.py")))
    return {path.relative_to(root).as_posix(): path.read_text().count("\n") for path in files}


def problems(found: dict[str, int]) -> list[str]:
    """What is too long."""
    return [
        f"{path} has {lines} lines, and may have {LINES_MAX}: split it where it has two ideas"
        for path, lines in found.items()
        if lines > LINES_MAX
    ]


if __name__ == "__main__":
    told = problems(lengths(ROOT))
    print("\n".join(told), end="\n" if told else "")
    sys.exit(bool(told))

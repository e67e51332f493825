"""What SQLite's own check says of a database, found out by a verification and kept beside the shadow WAL.

A copy that equals its source page for page fails that check where the source does. So what is known is noted in
snapshots as well: then a restore on a new host knows that it brings back what was there. Losing it loses no data.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PROBLEMS_NAME = "litestream-tui.check.json"
PROBLEM_CHARS_MAX = 200
"""Of one line of SQLite's; only the first lines fit a note."""
NOTE_BYTES_MAX = 800
_BYTES_MAX = 1 << 16


def remember(meta_path: Path, problems: Sequence[str]) -> None:
    """The newest verification that equalled the source found these; none if it passed."""
    path = meta_path / PROBLEMS_NAME
    with suppress(OSError):
        if not problems:
            path.unlink(missing_ok=True)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600), "w") as file:  # noqa: PTH123 (its mode is set)
            file.write(json.dumps([line[:PROBLEM_CHARS_MAX] for line in problems]) + "\n")


def recall(meta_path: Path) -> tuple[str, ...]:
    """What SQLite found wrong with the source when it was last compared; empty if nothing, or if nobody knows."""
    with suppress(OSError, ValueError):
        descriptor = os.open(meta_path / PROBLEMS_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (no link is followed)
            lines = json.loads(file.read(_BYTES_MAX))
        if isinstance(lines, list):
            return tuple(str(line) for line in lines)
    return ()


def noted(problems: Sequence[str]) -> str:
    """As a note has it: one line each, whole lines only."""
    text = ""
    for line in problems:
        longer = f"{text}\n{' '.join(line.split())[:PROBLEM_CHARS_MAX]}".lstrip("\n")
        if len(json.dumps(longer)) > NOTE_BYTES_MAX:
            break
        text = longer
    return text


def words(problems: Sequence[str]) -> str:
    """For the status: what a person should know."""
    if not problems:
        return ""
    return f"the database itself fails SQLite's check, and so does every restore of it: {'; '.join(problems)}"

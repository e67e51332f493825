"""What SQLite's own check says of a database, found out by a verification and kept beside the shadow WAL.

A copy that equals its source page for page fails that check where the source does. So what is known is noted in
snapshots as well: then a restore on a new host knows that it brings back what was there. Losing it loses no data.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from replication.local.files import PROBLEMS_NAME
from replication.local.folder import LocalFolder

PROBLEM_CHARS_MAX = 200
"""Characters of one line of SQLite's answer that are kept. Only the first lines fit a note."""
NOTE_BYTES_MAX = 800


def remember(meta_path: Path, problems: Sequence[str]) -> None:
    """Keep what SQLite found in the newest verification that equalled the source: no problems if it passed."""
    folder = LocalFolder(meta_path)
    with suppress(OSError):
        if problems:
            folder.write(PROBLEMS_NAME, f"{json.dumps([line[:PROBLEM_CHARS_MAX] for line in problems])}\n".encode())
        else:
            folder.remove(PROBLEMS_NAME)


def recall(meta_path: Path) -> tuple[str, ...]:
    """What SQLite found wrong with the source when it was last compared; empty if nothing, or if nobody knows."""
    with suppress(OSError, ValueError):
        lines = json.loads(LocalFolder(meta_path).read(PROBLEMS_NAME))
        if isinstance(lines, list):
            return tuple(str(line) for line in lines)
    return ()


def noted(problems: Sequence[str]) -> str:
    """The problems as a note has them: one line each, whole lines only."""
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

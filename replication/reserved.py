"""Paths at which no database may be, nor what is restored: those that SQLite, a replica or a restore has for itself.

A file that is put there would be taken for what the name says: SQLite removes a journal that is none, a restore removes
what a killed one has left, and old generations go.
"""

import os
import re
import stat
from pathlib import Path

from replication.errors import UsageError
from replication.nofollow import without_links
from replication.position import is_generation

BESIDE = ("-wal", "-shm", "-journal")
"""The ends of the names of files that SQLite keeps beside a database."""
LOCK_NAME = "litestream-tui.lock"
"""The lock of an engine: each local folder has it, whatever its own name is."""
_LOCAL_FOLDER = re.compile(r"\..+-litestream")
_OF_A_RESTORE = re.compile(r"\..+\.(keeping|replacement|restoring-[0-9a-f]{16})")
_GENERATIONS = "generations"


NOT_UTF8 = "is not UTF-8, and SQLite opens no file of such a name; give it another"


def not_utf8(path: Path) -> bool:
    """True for a path of other bytes than those of a text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return True
    return False


def problem_of(path: Path) -> str:
    """Why no database can be at an absolute path, as what follows the path in a sentence; empty if one may be."""
    if not_utf8(path):
        return NOT_UTF8
    name = path.name
    for end in BESIDE:
        base = name.removesuffix(end)
        # A database may be called my-journal, as long as there is none called my.
        if base not in (name, "") and (Path(base).suffix or os.path.lexists(path.with_name(base))):
            return f"has the name of a file that SQLite keeps beside the database {base}; name another"
    if _OF_A_RESTORE.fullmatch(name):
        return "has the name of a file that a restore keeps for a while, and the next one removes; name another"
    for above in path.parents:
        if _LOCAL_FOLDER.fullmatch(above.name):
            return f"lies in the local folder {above}, which is the engine's own; name one elsewhere"
    return ""


def refuse_output(path: Path) -> None:
    """Raise UsageError if nothing can be restored to `path`."""
    try:
        real = without_links(path.parent) / path.name
    except OSError:
        # Whoever opens it says what is wrong.
        return
    problem = problem_of(path) or problem_of(real) or _problem_of_folder(real)
    if problem:
        raise UsageError(f"{path} {problem}")


def _problem_of_folder(path: Path) -> str:
    for above in path.parents:
        if _is_file(above / LOCK_NAME):
            return f"lies in the local folder {above}, which is the engine's own; name one elsewhere"
        if above.name == _GENERATIONS and _has_generations(above):
            return f"lies among the generations of {above.parent}, which are a replica's own; name one elsewhere"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _has_generations(folder: Path) -> bool:
    try:
        with os.scandir(folder) as found:
            return any(is_generation(item.name) for item in found)
    except OSError:
        return False

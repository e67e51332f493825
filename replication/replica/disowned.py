"""Histories that another program goes on with, kept beside the shadow WAL: what retention here must leave alone.

Also what was said of it while an engine runs, so that `status` can say it from another process. Losing the file costs
words, and the other program's old generations their protection from our retention once it rests for long; so nothing
here raises.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.local.files import DISOWNED_NAME
from replication.local.json_file import read_object, write_object

_writing = threading.Lock()
"""Held while the file is written, which all replicas of one database share."""


def disown(meta_path: Path, replica: str, generation: str, words: str, *, certain: bool) -> None:
    """Write down that another program goes on with `generation`, as `words` say of this replica.

    It is `certain` if that was seen while this one went on with it too. Else it may be what this database had before
    it was set back to an older copy.
    """
    with _writing:
        known = read_object(meta_path, DISOWNED_NAME)
        certain = certain or _table(known, "generations").get(generation) is True
        write_object(
            meta_path,
            DISOWNED_NAME,
            {
                "generations": _table(known, "generations") | {generation: certain},
                "warnings": _table(known, "warnings") | {replica: {"pid": os.getpid(), "words": words}},
            },
        )


def disowned(meta_path: Path) -> dict[str, bool]:
    """The generations that are another program's, and whether that is certain."""
    known = _table(read_object(meta_path, DISOWNED_NAME), "generations")
    return {name: certain is True for name, certain in known.items()}


def warning(meta_path: Path, replica: str, pid: int | None) -> str:
    """What the engine with this process id said of a replica, or nothing."""
    with suppress(KeyError, TypeError):
        said = read_object(meta_path, DISOWNED_NAME)["warnings"][replica]
        if pid and said["pid"] == pid:
            return str(said["words"])
    return ""


def _table(known: dict[str, Any], name: str) -> dict[str, Any]:
    table = known.get(name)
    return table if isinstance(table, dict) else {}

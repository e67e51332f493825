"""The database of another moment, opened to look at: restored to a temporary file that nobody can find later."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from replication.restore.open_replica import OpenReplica
from replication.restore.output import local_errors
from replication.restore.picked import restore_picked
from replication.restore.restore import RestoreOptions, RestoreProgress
from replication.restore.scratch import scratch, temporary_folder
from replication.sqlite.diff import DatabaseDiff

SCRATCH_PREFIX = "litestream-tui-look-"
ELSEWHERE = ", or name a folder on another disk in TMPDIR."


def open_preview(
    sources: Sequence[OpenReplica],
    picked: str,
    live: Path | None,
    options: RestoreOptions,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> DatabaseDiff:
    """Restore what was picked in a replica to a private temporary folder, and open the file.

    The name of the file is removed, and closing it gives the space back. Raises all that `restore` raises, and
    DatabaseError, and leaves nothing then.
    """
    place = temporary_folder()
    with local_errors(place), scratch(place, SCRATCH_PREFIX) as folder:
        restored = folder / "database"
        options = replace(options, elsewhere=ELSEWHERE)
        restore_picked(sources, picked, restored, options, progress, cancel)
        # The open file can still be read without its name, and goes when it is closed, however this process ends.
        return DatabaseDiff(restored, live)

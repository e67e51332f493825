"""The program, in which the sync of databases whose path has a given text hangs from the moment a file appears.

It stands for a disk that never answers: the thread that copies does not come back.
Usage: hanging.py TEXT FILE ARGUMENTS
"""

import sys
import threading
from pathlib import Path

from replication.database.database import Database
from tui.cli import main

text, when = sys.argv[1], Path(sys.argv[2])
sync = Database.sync


def hangs(database: Database) -> float | None:
    if text in str(database.path) and when.exists():
        threading.Event().wait()
    return sync(database)


Database.sync = hangs  # type: ignore[assignment, method-assign]
sys.exit(main(sys.argv[3:]))

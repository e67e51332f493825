"""The program, in which the sync of databases whose path has a given text hangs while a file is there.

It stands for a disk that does not answer: the thread that copies does not come back.
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
    while text in str(database.path) and when.exists():
        threading.Event().wait(1.0)
    return sync(database)


Database.sync = hangs  # type: ignore[assignment, method-assign]
sys.exit(main(sys.argv[3:]))

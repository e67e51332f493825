"""An application with a connection a request: a process that opens, commits, closes, again and again.

What it was told is committed it writes down outside the database, number by number: each of them must be in the live
database or in a kept one.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from replication.sqlite import integrity

TIMEOUT_SECONDS = 10.0
_APPLICATION = r"""
import os, select, sqlite3, sys, time
path, told, gap, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
log = os.open(told, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
number = os.fstat(log).st_size // 9
while not select.select([0], [], [], 0)[0]:
    number += 1
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=timeout)
        connection.execute("INSERT INTO requests VALUES(?, randomblob(200))", (number,))
        connection.close()
        os.write(log, b"%8d\n" % number)
    except sqlite3.Error as error:
        os.write(log, b"%8d\n" % -1)
        print(number, type(error).__name__, error, flush=True)
    time.sleep(gap)
"""


class Requests:
    """The application, running from when it is made until `stop`."""

    def __init__(self, path: Path, gap_seconds: float) -> None:
        self.path = path
        self.told = path.with_name("told")
        arguments = (str(path), str(self.told), str(gap_seconds), str(TIMEOUT_SECONDS))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _APPLICATION, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> list[str]:
        """End it; what it was refused, and why."""
        refused, _ = self._process.communicate()
        assert self._process.returncode == 0
        return refused.splitlines()

    def acknowledged(self) -> set[int]:
        """The numbers that it was told are committed."""
        return {int(word) for word in self.told.read_text().split()} - {-1} if self.told.exists() else set()


def held(path: Path) -> set[int]:
    """The numbers in a database that nobody uses, which must be sound."""
    assert integrity.problems(path, "full") == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in connection.execute("SELECT n FROM requests")}


def check_nothing_lost(application: Requests) -> set[int]:
    """Every acknowledged commit is in the live database or in a kept one, and all are sound. It has been stopped."""
    kept = sorted(application.path.parent.glob(f"{application.path.name}.before-restore-*"))
    kept = [path for path in kept if not path.name.endswith(("-wal", "-shm", "-journal"))]
    found = held(application.path).union(*map(held, kept))
    lost = application.acknowledged() - found
    assert not lost, f"{len(lost)} acknowledged commits are nowhere: {sorted(lost)[:20]}"
    return found

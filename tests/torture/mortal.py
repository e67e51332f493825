"""Writers that die at a moment of their own choosing: at any write or sync of their WAL, before the commit counts.

A process of its own, on apsw, forks one writer for each call. The writer's file system (a VFS of SQLite's) counts what
is done to the `-wal`, and ends the process with SIGKILL at the moment asked for. Its `-shm` is SQLite's own.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

FRAMES = -1
"""The moment right after the frame that commits is in the file, and nothing counts it."""
TORN = -2
"""The same, and one of the two headers of the WAL index is written."""
NEVER = -3
"""Lives on, commits, and closes nothing on its way out: it ends as a process does that forgets its database."""

_PROCESS = r"""
import hashlib, json, os, signal, sys, apsw

FRAMES, TORN = -1, -2
moment, calls, armed, commits = None, 0, False, False

def die():
    if moment == TORN:
        # In a process that ends here, no lock matters any more.
        file = os.open(path + "-shm", os.O_RDWR)
        second = os.pread(file, 48, 48)
        os.pwrite(file, bytes([second[8] ^ 1]), 48 + 8)
    os.kill(os.getpid(), signal.SIGKILL)

class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("mortal", "")
    def xOpen(self, name, flags):
        return File(name, flags)

class File(apsw.VFSFile):
    def __init__(self, name, flags):
        super().__init__("", name, flags)
        self.is_wal = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
    def called(self, function, *arguments):
        global calls
        if not (self.is_wal and armed):
            return function(*arguments)
        if calls == moment:
            die()
        result = function(*arguments)
        calls += 1
        if calls == moment:
            die()
        return result
    def xWrite(self, data, offset):
        global commits
        self.called(super().xWrite, data, offset)
        if self.is_wal and armed:
            if commits and moment in (FRAMES, TORN):
                die()
            commits = len(data) == 24 and data[4:8] != bytes(4)
    def xSync(self, flags):
        self.called(super().xSync, flags)
    def xTruncate(self, size):
        self.called(super().xTruncate, size)

disk = Disk()
path = None
kept = []  # a connection that is forgotten is closed, and the last one that closes takes the WAL with it

def write(answers, before, statements):
    global armed, path
    db = apsw.Connection(path, vfs="mortal")
    kept.append(db)
    db.set_busy_timeout(30_000)
    for statement in before:
        db.execute(statement).fetchall()
    armed = True
    rows = []
    for statement in statements:
        rows = db.execute(statement).fetchall()
    armed = False
    # All calls were made, and it lived: there is no such moment, or there was nothing to write.
    sha = hashlib.sha256(db.serialize("main")).hexdigest()
    os.write(answers, json.dumps({"calls": calls, "sha256": sha, "rows": rows}).encode())

for line in sys.stdin:
    path, moment, before, statements = json.loads(line)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        try:
            write(theirs, before, statements)
        except apsw.BusyError:
            os.write(theirs, b'{"busy": true}')
        except BaseException as error:
            os.write(theirs, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answers:
        text = answers.read()
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    answer = json.loads(text) if text else {}
    print(json.dumps({"killed": killed, **answer}), flush=True)
"""


class MortalError(Exception):
    """A writer met an error of SQLite's."""


class Ending(NamedTuple):
    """How a writer ended. What it did not live to tell is None."""

    killed: bool
    busy: bool
    calls: int | None
    sha256: str | None
    rows: list[list[Any]] | None


class Mortal:
    """Forks writers; `write` returns when the writer is dead."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def write(self, path: Path, statements: list[str], moment: int = NEVER, before: tuple[str, ...] = ()) -> Ending:
        """Run `before`, then statements of which the last commits, and die at `moment`.

        A moment of 0 or more is a number of writes, syncs and truncations of the WAL after which the writer dies. One
        that has fewer to do lives on. Locks are waited for, unless `before` says otherwise.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(path), moment, before, statements]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise MortalError(answer["error"])
        return Ending(answer["killed"], "busy" in answer, answer.get("calls"), answer.get("sha256"), answer.get("rows"))

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

"""SQLite in other processes: what an application does to a database while we replicate it.

The engine's process may never touch a database with a second SQLite library or a plain open(), so every
writer, reader and hash in the tests is a process of its own, on Python's own sqlite3.
"""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.forks import Fork, Forks

_SERVER = r"""
import hashlib, json, sqlite3, sys
def run(path, timeout, autocheckpoint):
    connection = sqlite3.connect(path, isolation_level=None, timeout=timeout)
    if not autocheckpoint:
        connection.execute("PRAGMA wal_autocheckpoint=0")
    for line in sys.stdin:
        try:
            if json.loads(line) is None:
                print(json.dumps({"sha256": hashlib.sha256(connection.serialize()).hexdigest()}), flush=True)
                continue
            rows = connection.execute(json.loads(line)).fetchall()
            answer = {"rows": [[v.hex() if isinstance(v, bytes) else v for v in row] for row in rows]}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    connection.close()
"""
_SCRIPT = r"""
import json, sqlite3, sys
def run(path):
    script = json.loads(sys.stdin.readline())
    connection = sqlite3.connect(path, timeout=30)
    connection.executescript(script)
    connection.close()
"""
_forks = Forks(_SERVER, _SCRIPT)


class ForeignError(Exception):
    """The other process answered with an error."""


class ForeignConnection:
    """One connection in a process of its own, answering statement by statement."""

    def __init__(self, path: Path, timeout: float = 30.0, autocheckpoint: bool = True) -> None:
        self.process: Fork | subprocess.Popen[str] = _forks.start(_SERVER, str(path), timeout, autocheckpoint)

    def execute(self, sql: str) -> list[list[Any]]:
        """Run one statement there and return its rows; blobs come back as hex."""
        rows: list[list[Any]] = self._ask(sql)["rows"]
        return rows

    def sha256(self) -> str:
        """The hash of the whole database as this connection sees it, WAL included."""
        return str(self._ask(None)["sha256"])

    def _ask(self, question: str | None) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ForeignError(f"the process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ForeignError(answer["error"])
        return answer

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close the connection as an application does."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def __enter__(self) -> "ForeignConnection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Shell:
    """The sqlite3 shell's part in the tests: statements run by a process that opens, works and closes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, timeout: float = 30.0, autocheckpoint: bool = True) -> ForeignConnection:
        """A connection that stays open."""
        return ForeignConnection(self.path, timeout, autocheckpoint)

    def run(self, script: str) -> None:
        """Open, run a script, close."""
        process = _forks.start(_SCRIPT, str(self.path))
        process.stdin.write(json.dumps(script) + "\n")
        process.stdin.close()
        code = process.wait(timeout=120)
        process.stdout.close()
        if code:
            raise ForeignError(f"the script ended with {code}; what it met stands in the output of the test")

    def rows(self, sql: str) -> list[list[Any]]:
        """Open, run one query, close; the rows."""
        with self.open() as connection:
            return connection.execute(sql)

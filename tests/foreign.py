"""SQLite in other processes: what an application does to a database while we replicate it.

The engine's process may never touch a database with a second SQLite library or a plain open(), so every
writer, reader and hash in the tests is a process of its own, on Python's own sqlite3.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

_PYTHON = [sys.executable, "-I", "-S", "-c"]
"""Without the packages that are installed: they take as long to find as the rest of the process takes to start."""
_SERVER = r"""
import hashlib, json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=float(sys.argv[2]))
connection.execute("PRAGMA wal_autocheckpoint=0") if sys.argv[3] == "0" else None
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


class ForeignError(Exception):
    """The other process answered with an error."""


class ForeignConnection:
    """One connection in a process of its own, answering statement by statement."""

    def __init__(self, path: Path, timeout: float = 30.0, autocheckpoint: bool = True) -> None:
        self.process = subprocess.Popen(
            [*_PYTHON, _SERVER, str(path), str(timeout), "1" if autocheckpoint else "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

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
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(timeout=30)
        if self.process.stdout is not None:
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
        subprocess.run(
            [
                *_PYTHON,
                "import sqlite3, sys\n"
                "connection = sqlite3.connect(sys.argv[1], timeout=30)\n"
                "connection.executescript(sys.argv[2])\n"
                "connection.close()",
                str(self.path),
                script,
            ],
            check=True,
        )

    def rows(self, sql: str) -> list[list[Any]]:
        """Open, run one query, close; the rows."""
        with self.open() as connection:
            return connection.execute(sql)

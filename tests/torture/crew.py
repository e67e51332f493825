"""The application of the state machine: processes with several connections each, which answer command by command.

They live on over many histories, so that a step costs less than a millisecond. Nobody waits for a lock: busy is an
answer. After every commit they tell the hash of the database as SQLite then sees it; these hashes are the oracle.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROCESS = r"""
import hashlib, json, sqlite3, sys
connections = {}

def sha(connection):
    return hashlib.sha256(connection.serialize()).hexdigest()

def open_(name, path, page_size, auto_vacuum, autocheckpoint):
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connections[name] = connection
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        # In a database that is there already, each of these may be a commit.
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA auto_vacuum={auto_vacuum}")
        connection.execute("PRAGMA journal_mode=wal")
    connection.execute("PRAGMA cache_size=5")
    connection.execute(f"PRAGMA wal_autocheckpoint={autocheckpoint}")
    return {"rows": connection.execute("SELECT name FROM sqlite_schema").fetchall(), "sha256": sha(connection)}

def close(name):
    connections.pop(name).close()
    return {}

def run(name, tell, *statements):
    connection = connections[name]
    rows = []
    try:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        if connection.in_transaction and statements[0].startswith("BEGIN"):
            connection.execute("ROLLBACK")
        return {"busy": True}
    return {"rows": rows, "sha256": sha(connection) if tell else None}

for line in sys.stdin:
    verb, *arguments = json.loads(line)
    try:
        answer = {"open": open_, "close": close, "run": run}[verb](*arguments)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
"""


class CrewError(Exception):
    """The application met an error other than busy."""


class Crew:
    """One process of the application."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.connections: set[str] = set()

    def open(self, name: str, path: Path, page_size: int, auto_vacuum: str, autocheckpoint: int) -> str:
        """Open a connection; the hash of the database as it is."""
        answer = self._ask("open", name, str(path), page_size, auto_vacuum, autocheckpoint)
        self.connections.add(name)
        return str(answer["sha256"])

    def commit(self, name: str, *statements: str) -> str | None:
        """Run statements that commit; the hash of the database right after them, None if they found it locked."""
        answer = self._ask("run", name, True, *statements)
        return None if "busy" in answer else str(answer["sha256"])

    def run(self, name: str, *statements: str) -> list[list[Any]] | None:
        """Run statements that commit nothing; the rows of the last, None if they found the database locked."""
        answer = self._ask("run", name, False, *statements)
        return None if "busy" in answer else list(answer["rows"])

    def close(self, name: str) -> None:
        """Close a connection as an application does."""
        self.connections.remove(name)
        self._ask("close", name)

    def close_all(self) -> None:
        """Close every connection."""
        for name in sorted(self.connections):
            self.close(name)

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def _ask(self, *command: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise CrewError(f"the process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CrewError(f"{command[:2]}: {answer['error']}")
        return answer

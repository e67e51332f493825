"""The demo's side of the application: the process of writer.py, asked one thing at a time.

Its promise: the process is gone when the context ends, however it ends.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from replication.errors import ReplicationError

END_SECONDS_MAX = 5.0
"""How long the application may take to close its database."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a database holds: rows, pages, and the SHA-256 of all its pages in order."""

    rows: int
    pages: int
    sha256: str


class Application:
    """A program that writes to `database`. Every method raises ReplicationError if it fails there."""

    def __init__(self, database: Path) -> None:
        # Isolated and by its path: neither this folder nor the environment can change what it imports.
        script = Path(__file__).with_name("writer.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(script), str(database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def sqlite_version(self) -> str:
        """The version of its SQLite."""
        return str(self._ask("sqlite")["version"])

    def commit(self, count: int, seconds: float) -> float:
        """Commit so often within `seconds`. Return when the last commit was done, in seconds since the epoch."""
        return float(self._ask("commit", count, seconds)["committed"])

    def delete_all(self) -> float:
        """Delete all rows in one commit. Return when it was done, in seconds since the epoch."""
        return float(self._ask("delete_all")["committed"])

    def content(self) -> Content:
        """What its database holds now."""
        return _content(self._ask("describe"))

    def content_of(self, file: Path) -> Content:
        """What a database file holds that nobody writes to."""
        return _content(self._ask("describe_file", str(file)))

    def __enter__(self) -> "Application":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        try:
            process.communicate(timeout=END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()

    def _ask(self, *command: str | float) -> dict[str, str | int | float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ReplicationError("The program that writes to fruits.db ended; what it said is above. Try again.")
        answer: dict[str, str | int | float] = json.loads(line)
        if "error" in answer:
            raise ReplicationError(f"The program that writes to fruits.db failed: {answer['error']}. Try again.")
        return answer


def _content(answer: dict[str, str | int | float]) -> Content:
    return Content(int(answer["rows"]), int(answer["pages"]), str(answer["sha256"]))

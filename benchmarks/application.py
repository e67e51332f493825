"""The application beside a replicating program: committer.py as a process of its own, asked line by line."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sought import Token
from peers import die_with_parent

_SCRIPT = Path(__file__).with_name("committer.py")


@dataclass(frozen=True, slots=True)
class Flooded:
    """How a flood went for the application; moments are of `time.monotonic()`."""

    began: float
    ended: float
    took: list[float]
    """Seconds of each transaction."""
    wal_bytes: float


class Application:
    """Commits to databases, which have the numbers 0, 1 … of their paths."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), *map(str, paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        self._answer()

    def commit(self, tokens: Sequence[Token]) -> list[float]:
        """Commit these at once, one after the other; the moments when they were done."""
        return self.schedule([(0.0, one) for one in tokens])

    def schedule(self, commits: Sequence[tuple[float, Token]]) -> list[float]:
        """Commit each so many seconds after now; the moments when they were done."""
        self.begin_schedule(commits)
        return self.end_schedule()

    def begin_schedule(self, commits: Sequence[tuple[float, Token]]) -> None:
        """The same, without waiting for it."""
        self._ask("schedule", commits=[(after, one.database, one.content.hex()) for after, one in commits])

    def end_schedule(self) -> list[float]:
        moments: list[float] = self._answer()
        return moments

    def flood(
        self,
        rows: int,
        row_bytes: int,
        last: Token,
        seconds: float = 0.0,
        transactions: int = 0,
        wal_bytes_per_second: float = 0.0,
    ) -> Flooded:
        """Transactions into database 0, as fast as it can or at a rate, and the commit of `last` after them."""
        words = {"seconds": seconds, "transactions": transactions, "wal_bytes_per_second": wal_bytes_per_second}
        self._ask("flood", rows=rows, row_bytes=row_bytes, last=last.content.hex(), **words)
        return Flooded(**self._answer())

    def fill(self, size_bytes: int, last: Token) -> None:
        """Let database 0 grow to so many bytes, with `last` at its end."""
        self._ask("fill", size_bytes=size_bytes, last=last.content.hex())
        self._answer()

    def close(self) -> None:
        """Let it close its databases as an application does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _ask(self, verb: str, **arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, arguments]) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the application ended with {self._process.wait()}; what it said is above")
        return json.loads(line)


@contextmanager
def application(paths: Sequence[Path]) -> Iterator[Application]:
    """An application that is gone at the end of the block."""
    started = Application(paths)
    try:
        yield started
    finally:
        started.kill()

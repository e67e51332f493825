"""The programs under test as a user runs them: ours and both Litestreams, each a process with a log.

Whoever waits here polls with a deadline, and fails with the end of the log in hand.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import peers

PROGRAM = Path(sys.executable).parent / "litestream-tui"
DEADLINE_SECONDS = 75.0
"""A server may stall for as long as our client waits for an answer, and then the next try must fit in as well."""
POLL_SECONDS = 0.01


def wait_until(what: str, condition: Callable[[], bool], more: Callable[[], str] = lambda: "") -> None:
    """Poll until `condition` holds; the failure names `what` and shows `more`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}\n{more()}"
        time.sleep(POLL_SECONDS)


def litestream_tui(
    *arguments: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, which must be a success."""
    return _run([PROGRAM, *arguments], cwd, environment)


def restore03(output: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
    """Let Litestream 0.3.13 restore into `output`; `arguments` are its flags and the replica."""
    _run([peers.litestream03(), "restore", "-o", output, *arguments], None, environment)


def restore05(output: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
    """Let Litestream 0.5 restore into `output`; `arguments` are its flags and the replica."""
    _run([peers.litestream05(), "restore", "-o", output, *arguments], None, environment)


def _run(
    command: list[str | Path], cwd: Path | None, environment: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment or peers.clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        preexec_fn=peers.die_with_parent,
    )
    words = " ".join(map(str, command))
    assert done.returncode == 0, f"{words}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Running:
    """A `replicate` under way; its two streams go to one log file."""

    def __init__(
        self,
        program: Path,
        *arguments: str | Path,
        log: Path,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [program, "replicate", *arguments],
                cwd=cwd,
                env=environment or peers.clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=peers.die_with_parent,
            )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def wait_for_line(self, *words: str) -> str:
        """The first line of the log that has all of `words`."""
        found: list[str] = []

        def there() -> bool:
            found.extend(line for line in self.log.splitlines() if all(word in line for word in words))
            return bool(found) or self._ended()

        wait_until(f"a line with {words}", there, self._tail)
        assert found, f"it ended with {self._process.returncode} without a line with {words}\n{self._tail()}"
        return found[0]

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(DEADLINE_SECONDS)

    def __enter__(self) -> "Running":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended():
            self._process.kill()
            self._process.wait()

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _tail(self) -> str:
        return self.log[-4000:]

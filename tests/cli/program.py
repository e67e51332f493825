"""The program as a person meets it: its exit code, its two streams, and what it leaves on the disk."""

import ctypes
import hashlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import peers
from tests.cli import forked
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM, wait_until
from tests.torture.nursery import Life

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_MARK = "litestream-tui: "

Argument = str | bytes | Path


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr that say why the command failed, warnings aside."""
        lines = [line for line in self.err.splitlines() if line.startswith(_MARK)]
        return [line.removeprefix(_MARK) for line in lines if not line.startswith(f"{_MARK}warning: ")]


def run(
    *arguments: Argument,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    timeout: float = DEADLINE_SECONDS,
) -> Result:
    """Run a command to its end. `before` is called in the new process."""
    environment = peers.clean_environment() if environment is None else environment
    if before is None and forked.fits(environment):
        result = Result(*forked.command([os.fsdecode(item) for item in arguments], cwd, environment, timeout))
        no_traceback(result.out + result.err)
        return result

    def start() -> None:
        peers.die_with_parent()
        if before is not None:
            before()

    done = subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        preexec_fn=start,
    )
    result = Result(done.returncode, done.stdout, done.stderr)
    no_traceback(result.out + result.err)
    return result


def succeeds(*arguments: Argument, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> Result:
    """Run a command that must do what it is asked; it complains of nothing."""
    result = run(*arguments, cwd=cwd, environment=environment)
    assert (result.code, result.complaints) == (0, []), result
    return result


def refuses(result: Result, code: int, *words: str) -> str:
    """The one line with which a command was refused; it has all of `words`."""
    assert result.code == code, result
    assert len(result.complaints) == 1, result
    line = result.complaints[0]
    assert all(word in line for word in words), line
    return line


def no_traceback(text: str) -> None:
    assert "Traceback" not in text, text
    assert "Error:" not in text.replace("StorageError:", ""), text


def contents(folder: Path) -> dict[str, str]:
    """Everything below a folder, by name: what it is and, of a file, a hash of what it holds."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = os.fsdecode(bytes(path.relative_to(folder)))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


class Replicating:
    """`replicate` under way, with its two streams in files of `folder`."""

    def __init__(
        self,
        folder: Path,
        *arguments: Argument,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        before: Callable[[], None] | None = None,
        session: bool = False,
    ) -> None:
        """With `before`, or another locale, the interpreter is started anew; with `session` it has one of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / "out", folder / "err"
        self._out.write_bytes(b"")
        self._err.write_bytes(b"")
        environment = peers.clean_environment() if environment is None else environment
        words = ["replicate", *map(os.fsdecode, arguments)]
        self._process: Life | subprocess.Popen[bytes]
        if before is None and forked.fits(environment):
            self._process = forked.start(words, self._out, self._err, cwd, environment, session)
        else:
            self._process = self._started(words, cwd, environment, before, session)
        self.pid = self._process.pid

    def _started(
        self,
        words: list[str],
        cwd: Path | None,
        environment: Mapping[str, str],
        before: Callable[[], None] | None,
        session: bool,
    ) -> subprocess.Popen[bytes]:
        def start() -> None:
            peers.die_with_parent()
            if before is not None:
                before()

        with self._out.open("wb") as out, self._err.open("wb") as err:
            return subprocess.Popen(
                [PROGRAM, *words],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=session,
                preexec_fn=start,
            )

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, *words: str, times: int = 1) -> str:
        """The last of so many lines that have all of `words`."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.said.splitlines() if all(word in line for word in words)]
            return len(found) >= times or not self.running

        wait_until(f"a line with {words}", there, lambda: self.said[-4000:])
        assert len(found) >= times, f"ended with {self._process.returncode} and no line with {words}\n{self.said}"
        return found[-1]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once it has ended by itself."""
        code = self._process.wait(DEADLINE_SECONDS)
        no_traceback(self.said)
        return code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.send(number)
        return self.wait()

    @property
    def result(self) -> Result:
        """How it ended."""
        return Result(self.wait(), self.out, self.err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()


def as_an_ordinary_user() -> None:
    """For `before`: file permissions count, also for root. The files of this user stay its own."""
    if os.getuid() == 0:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A block in which nothing can be made or removed in `folder` by an ordinary user."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


def python(code: str) -> str:
    """A command line, for -exec, that runs Python."""
    return shlex.join([sys.executable, "-c", code])

"""Lives of the real program that cost little: a process that has everything loaded, and forks one at a word.

Each life is a process of its own, with the command line of `litestream-tui`, and can be killed like any. What it adds
to the program: a line in a file after every object that the store acknowledged, and death at a named step if asked.
The nursery itself has one thread and opens no database, so that a fork is safe.
"""

import fcntl
import gc
import json
import os
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from tui.programs.processes import die_with_parent

ROOT = Path(__file__).parents[2]
LOADED = (
    "replication.engine",
    "replication.restore.replace",
    "replication.storage.s3.storage",
    "tui.cli",
    "tui.session.background",
    "tui.verbs.listings",
    "tui.verbs.replicate",
    "tui.verbs.replicating",
    "tui.verbs.restore",
    "tui.verbs.status",
    "tui.verbs.verify",
)
"""What is loaded before the first life begins."""
SCREEN = ("tui.app", "tui.verbs.screen")
"""What is loaded as well where lives have a screen."""


@dataclass
class Life:
    """One process, as subprocess.Popen has it. Until it was waited for, its process id is nobody else's."""

    pid: int
    nursery: "Nursery"
    returncode: int | None = None

    def kill(self) -> None:
        """End it as the kernel does, and wait for that."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal. The nursery serves others meanwhile."""
        if self.returncode is None:
            watch = os.pidfd_open(self.pid)
            try:
                poll = select.poll()
                poll.register(watch, select.POLLIN)
                if not poll.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            finally:
                os.close(watch)
            self.returncode = int(self.nursery.ask(wait=self.pid))
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self.nursery.ask(look=self.pid)
        return self.returncode

    def ended(self) -> bool:
        """True once it has ended."""
        return self.poll() is not None


class Nursery:
    """Starts lives; all of them end with it."""

    def __init__(self, environment: Mapping[str, str] = os.environ, screen: bool = False) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.nursery", *LOADED, *(SCREEN if screen else ())],
            cwd=ROOT,
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def program(
        self,
        *arguments: str | Path,
        log: Path,
        acks: Path,
        step: str = "",
        pass_by: int = 0,
        call: str = "tui.cli:main",
    ) -> Life:
        """Run the program; with `step` it dies there, after passing by so many times.

        `call` is another function to run in its place, as module:name, which takes a list of texts.
        """
        words = [str(item) for item in arguments]
        pid = self.ask(arguments=words, log=str(log), acks=str(acks), step=step, pass_by=pass_by, call=call)
        return Life(pid, self)

    def command(
        self,
        arguments: list[str],
        out: Path,
        err: Path,
        cwd: Path,
        environment: Mapping[str, str],
        session: bool = False,
    ) -> Life:
        """Run the program as a shell would, with its two streams in files; in a session of its own if asked."""
        os.umask(umask := os.umask(0o077))
        place = {"out": str(out), "err": str(err), "umask": umask, "session": session}
        return self._place(arguments, place, cwd, environment)

    def on_terminal(self, arguments: list[str], terminal: str, cwd: Path, environment: Mapping[str, str]) -> Life:
        """Run the program in a session of its own on this terminal."""
        os.umask(umask := os.umask(0o077))
        return self._place(arguments, {"terminal": terminal, "umask": umask}, cwd, environment)

    def _place(self, arguments: list[str], place: dict[str, Any], cwd: Path, environment: Mapping[str, str]) -> Life:
        place |= {"cwd": str(cwd), "environment": dict(environment)}
        pid = self.ask(arguments=arguments, place=place, acks="", step="", pass_by=0, call="tui.cli:main")
        return Life(pid, self)

    def ask(self, **order: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, "the nursery died"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def _tell_acknowledged(path: str) -> None:
    """Write to `path` the position up to which the replica has everything, each time the store has said so."""
    from replication.position import Position
    from replication.replica.wal03.recovery import Recovered
    from replication.replica.wal03.replica import Replica
    from replication.storage.wal03.frame_index import FrameIndexBuilder
    from replication.storage.wal03.notes import SegmentNote, SnapshotNote
    from replication.storage.wal03.replica_client import ReplicaClient

    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    write_segment, write_snapshot = ReplicaClient.write_segment, ReplicaClient.write_snapshot

    def told_segment(
        self: ReplicaClient,
        position: Position,
        chunks: Iterable[bytes],
        note: SegmentNote | None = None,
        *,
        create: bool = False,
        frames: FrameIndexBuilder | None = None,
    ) -> int:
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        stored = write_segment(self, position, counted(), note, create=create, frames=frames)
        os.write(descriptor, f"{replace(position, offset=position.offset + size)}\n".encode())
        return stored

    def told_snapshot(
        self: ReplicaClient,
        generation: str,
        index: int,
        chunks: Iterable[bytes],
        note: SnapshotNote,
        *,
        create: bool = False,
        summed: Callable[[str], None] | None = None,
    ) -> int:
        stored = write_snapshot(self, generation, index, chunks, note, create=create, summed=summed)
        os.write(descriptor, f"{note.position}\n".encode())
        return stored

    found = Replica._found

    def told_found(self: Replica, recovered: Recovered) -> None:
        # What an earlier life stored and did not live to write down.
        position = recovered.position
        os.write(descriptor, f"{replace(position, offset=max(position.offset, recovered.floor))}\n".encode())
        found(self, recovered)

    Replica._found = told_found  # type: ignore[assignment,method-assign]
    ReplicaClient.write_segment = told_segment  # type: ignore[method-assign]
    ReplicaClient.write_snapshot = told_snapshot  # type: ignore[method-assign]


def _live(order: dict[str, Any]) -> int:
    """The forked process: become the program."""
    die_with_parent()
    place = order.get("place") or {"out": order["log"], "err": order["log"]}
    if "terminal" in place:
        os.setsid()
        fcntl.ioctl(place["descriptor"], termios.TIOCSCTTY, 0)
        streams = [place["descriptor"]] * 3
    else:
        streams = [os.open(os.devnull, os.O_RDONLY)]
        streams += [os.open(place[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for name in ("out", "err")]
    for number, stream_there in enumerate(streams):
        os.dup2(stream_there, number)
    for stream_there in set(streams):
        os.close(stream_there)
    if "terminal" in place:
        # Those of the nursery know that theirs are none.
        sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", 1, closefd=False)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)  # type: ignore[misc]
    if place.get("session"):
        os.setsid()
    if "cwd" in place:
        os.chdir(place["cwd"])
        os.umask(place["umask"])
        os.environ.clear()
        os.environ.update(place["environment"])
    if order["acks"]:
        _tell_acknowledged(order["acks"])
    if order["step"]:
        _die_at(order["step"], order["pass_by"])
    module, _, name = order["call"].partition(":")
    return int(getattr(import_module(module), name)(order["arguments"]))


def _die_at(step: str, pass_by: int) -> None:
    """End this process as a crash would, at the named step."""
    from replication import steps

    left = pass_by

    def hook(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    steps.hook = hook


def _serve() -> int:
    # Loaded once, for all that are forked.
    for name in sys.argv[1:]:
        import_module(name)
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)
        answer: int | None
        if "arguments" in order:
            place = order.get("place", {})
            if "terminal" in place:
                # Open before there is an answer, after which the other side closes it for its part.
                place["descriptor"] = os.open(place["terminal"], os.O_RDWR | os.O_NOCTTY)
            answer = os.fork()
            if answer == 0:
                return _live(order)
            if "terminal" in place:
                os.close(place["descriptor"])
        else:
            pid, status = os.waitpid(order.get("wait") or order["look"], 0 if "wait" in order else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(_serve())

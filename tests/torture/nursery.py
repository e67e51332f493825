"""Lives of the real program that cost little: a process that has everything loaded, and forks one at a word.

Each life is a process of its own, with the command line of `litestream-tui`, and can be killed like any. What it adds
to the program: a line in a file after every object that the store acknowledged, and death at a named step if asked.
The nursery itself has one thread and opens no database, so that a fork is safe.
"""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from tui.programs.processes import die_with_parent

ROOT = Path(__file__).parents[2]
VERBS = ("listings", "replicate", "restore", "status", "verify")
"""What is loaded before the first life begins."""


@dataclass
class Life:
    """One process. Its exit code is known once it was waited for; until then its process id is nobody else's."""

    pid: int
    nursery: "Nursery"
    code: int | None = None

    def kill(self) -> None:
        """End it as the kernel does, and wait for that."""
        self.signal(signal.SIGKILL)
        self.wait()

    def kill_now(self) -> None:
        """End it from another thread while this one waits: it is not reaped before that is over."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        if self.code is None:
            self.code = self.nursery.ask(wait=self.pid)
        return self.code

    def ended(self) -> bool:
        """True if it has ended; never waits."""
        if self.code is None:
            found = self.nursery.ask(look=self.pid)
            self.code = None if found is None else int(found)
        return self.code is not None


class Nursery:
    """Starts lives; all of them end with it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.nursery"],
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

    def command(self, arguments: list[str], out: Path, err: Path, cwd: Path, environment: dict[str, str]) -> Life:
        """Run the program as a shell would, with its two streams in files."""
        os.umask(umask := os.umask(0o077))
        place = {"out": str(out), "err": str(err), "cwd": str(cwd), "umask": umask, "environment": environment}
        pid = self.ask(arguments=arguments, place=place, acks="", step="", pass_by=0, call="tui.cli:main")
        return Life(pid, self)

    def ask(self, **order: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
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
    ) -> int:
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        stored = write_segment(self, position, counted(), note, create=create)
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
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for name, number in (("out", 1), ("err", 2)):
        log = os.open(place[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, number)
        os.close(log)
    os.close(nothing)
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
    for name in ("replication.engine", "replication.restore.replace", "replication.storage.s3.storage", "tui.cli"):
        import_module(name)
    for name in VERBS:
        import_module(f"tui.verbs.{name}")
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)
        answer: int | None
        if "arguments" in order:
            answer = os.fork()
            if answer == 0:
                return _live(order)
        else:
            pid, status = os.waitpid(order.get("wait") or order["look"], 0 if "wait" in order else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(_serve())

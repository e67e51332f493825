"""The three programs that are compared: how each is configured, started, ended, and asked to restore.

Its promise: every process that is started here is gone when its block ends. Each runs with the defaults of its own,
except for what a measurement says.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.meter import Finished, Meter, follow
from benchmarks.stores import Store
from peers import die_with_parent, litestream03, litestream05

STOP_SECONDS_MAX = 120.0
TAIL_LETTERS = 300


class ProgramError(Exception):
    """A program ended, or did not do in time what was measured."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """What a measurement sets; empty is the program's default."""

    sync: str = ""
    monitor: str = ""
    snapshot: str = ""
    retention: str = ""
    check: str = ""
    """How often it is looked for what is older than the retention."""
    validation: str = ""


DEFAULT = Intervals()
SHORT = Intervals("10ms", "10ms")


@dataclass(frozen=True)
class Program:
    """One of the three."""

    name: str
    title: str
    command: tuple[str, ...]
    many_replicas: bool = True
    """Whether a database has a list of replicas, or just one."""
    restore_words: tuple[str, ...] = ()
    """So that all do the same when they restore: none lets SQLite check the result."""

    def configure(
        self,
        path: Path,
        databases: dict[int, Path],
        store: Store,
        intervals: Intervals = DEFAULT,
        others: Sequence[Store] = (),
        validated: Container[int] = (),
    ) -> Path:
        """Write a configuration, by the numbers that the databases have in the store.

        `others` are stores of further replicas; only the databases `validated` are, where the program can.
        """
        entries = []
        for number, database in databases.items():
            keys = {"sync-interval": intervals.sync}
            if self.many_replicas:
                keys |= {
                    "snapshot-interval": intervals.snapshot,
                    "retention": intervals.retention,
                    "retention-check-interval": intervals.check,
                    "validation-interval": intervals.validation if number in validated else "",
                }
            given: dict[str, str | bool] = {key: value for key, value in keys.items() if value}
            replicas = [{"name": one.name} | one.replica(number) | given for one in (*others, store)]
            entry: dict[str, Any] = {"path": str(database)}
            if intervals.monitor:
                entry["monitor-interval"] = intervals.monitor
            entry |= {"replicas": replicas} if self.many_replicas else {"replica": store.replica(number) | given}
            entries.append(entry)
        document: dict[str, Any] = {"dbs": entries}
        snapshots = {"interval": intervals.snapshot, "retention": intervals.retention}
        if not self.many_replicas and any(snapshots.values()):
            document["snapshot"] = {key: value for key, value in snapshots.items() if value}
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    @contextmanager
    def replicating(self, config: Path, store: Store) -> Iterator["Running"]:
        """The program at work until the block ends; then it is killed, unless it was ended before."""
        running = Running(self, [*self.command, "replicate", "-config", str(config)], store, config.with_suffix(".log"))
        try:
            yield running
        finally:
            running.kill()

    def restore(self, config: Path, database: Path, output: Path, store: Store) -> Finished:
        """Restore the newest state, with nothing checked by SQLite."""
        words = ["restore", "-config", str(config), *self.restore_words, "-o", str(output), str(database)]
        return self.run(words, store.environment(), config.with_suffix(".restore.log"))

    def run(self, words: list[str], environment: dict[str, str], log: Path) -> Finished:
        """Run it to its end; an exit code other than 0 is an error."""
        with log.open("wb") as file:
            began = time.monotonic()
            process = subprocess.Popen(
                [*self.command, *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=die_with_parent,
            )
            try:
                finished = follow(process.pid, began)
                process.returncode = finished.code
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
        if finished.code:
            raise ProgramError(f"{words[0]} ended with {finished.code}: {_tail(log)}")
        return finished


class Running:
    """A program that replicates."""

    def __init__(self, program: Program, words: list[str], store: Store, log: Path) -> None:
        self._log = log
        with log.open("ab") as file:
            self.began = time.monotonic()
            self._process = subprocess.Popen(
                words,
                env=store.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=die_with_parent,
            )
        self.meter = Meter(self._process.pid)

    def check(self) -> None:
        """Raise ProgramError if it has ended."""
        if self._process.poll() is not None:
            raise ProgramError(f"replicate ended with {self._process.returncode}: {_tail(self._log)}")

    def stop(self) -> None:
        """End it as a user would, with its last upload."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"it did not stop within {STOP_SECONDS_MAX:.0f} s") from None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _tail(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-TAIL_LETTERS:]


OURS = Program(
    "ours",
    "litestream-tui",
    (str(Path(sys.executable).parent / "litestream-tui"),),
    restore_words=("-integrity-check", "none"),
)


def programs() -> dict[str, Program]:
    """All three by name; fails if `make peers` has not been run."""
    return {
        "ours": OURS,
        "0.3": Program("0.3", "Litestream 0.3.13", (str(litestream03()),)),
        "0.5": Program("0.5", "Litestream 0.5.17", (str(litestream05()),), many_replicas=False),
    }

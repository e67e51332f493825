"""What one measurement gets: a program, an empty folder, a store, and a scale; and the words all measurements share."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.application import Application, application
from benchmarks.programs import DEFAULT, Intervals, Program, ProgramError, Running
from benchmarks.sought import Token, token
from benchmarks.stores import Store

STORED_SECONDS_MAX = 300.0
"""Longer than any program takes to store what was committed, else it is taken for stuck."""
MEGABYTE = 1_000_000

Figures = dict[str, float | None]
"""By the keys of a row; None where the figure cannot be had of this store."""


@dataclass(frozen=True)
class Stage:
    """One measurement of one program on one store."""

    program: Program
    store: Store
    folder: Path
    shared: Path
    """A folder that all measurements of a row share, for what is dear to make."""
    scale: float

    def scaled(self, number: float, least: float = 1) -> float:
        return max(least, number * self.scale)

    def count(self, number: int, least: int = 1) -> int:
        return round(self.scaled(number, least))

    def paths(self, count: int) -> list[Path]:
        folder = self.folder / "databases"
        folder.mkdir(exist_ok=True)
        return [folder / f"{number:04}.db" for number in range(count)]

    @contextmanager
    def replicated(
        self, count: int = 1, intervals: Intervals = DEFAULT, seconds_max: float = STORED_SECONDS_MAX
    ) -> Iterator[tuple[Running, Application]]:
        """So many small databases, all replicated, and the application that has them open."""
        paths = self.paths(count)
        first = [token(number, "first") for number in range(count)]
        self.store.sought.expect(first)
        with application(paths) as writer:
            writer.commit(first)
            with self.running(paths, intervals) as program:
                self.wait(first, program, seconds_max)
                yield program, writer

    @contextmanager
    def running(self, paths: Sequence[Path], intervals: Intervals = DEFAULT) -> Iterator[Running]:
        """The program on these databases."""
        config = self.config(paths, intervals)
        with self.program.replicating(config, self.store) as program:
            yield program

    def config(self, paths: Sequence[Path], intervals: Intervals = DEFAULT) -> Path:
        return self.program.configure(self.folder / "config.yml", dict(enumerate(paths)), self.store, intervals)

    def worst(self, tokens: Sequence[Token], moments: Sequence[float]) -> float:
        """The longest that any of these, committed then, waited to be stored; or has, if it is not yet."""
        now = time.monotonic()
        stored = [self.store.sought.moment(one) or now for one in tokens]
        return max(at - moment for at, moment in zip(stored, moments, strict=True))

    def wait(self, tokens: Sequence[Token], program: Running, seconds_max: float = STORED_SECONDS_MAX) -> None:
        """Until all these are stored; ProgramError if that takes too long."""
        if not self.store.sought.wait(tokens, seconds_max, program.check):
            missing = sum(self.store.sought.moment(one) is None for one in tokens)
            raise ProgramError(f"{missing} of {len(tokens)} commits were not stored within {seconds_max:.0f} s")

    def stored(self, one: Token) -> float:
        """The moment when this was stored, which it was."""
        moment = self.store.sought.moment(one)
        assert moment is not None
        return moment


def prepared(shared: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once for all measurements of a row."""
    folder = shared / name
    if not folder.exists():
        unfinished = shared / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(folder)
    return folder


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many per cent are not above; of few values the nearest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)

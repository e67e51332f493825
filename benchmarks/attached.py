"""make bench, third part: what an engine pays for being watched over its socket, each figure beside its budget.

The engine is `replicate`, a process of its own. Screens are attached in ptys, and callers ask for the status once a
second, each on a connection of its own, all in one process. Alone and watched take turns (A B, B A), so that a machine
whose speed drifts is fair to both, and a ratio is the median of the ratios pair by pair.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import load_average
from benchmarks.screen import (
    FOUR,
    MEGABYTE,
    caught_up,
    databases,
    press_down_and_up,
    replicas,
    tell,
    tell_keys,
    writer,
)
from benchmarks.terminal import DEADLINE_SECONDS, PROGRAM, Terminal

SCREENS = 2
CALLERS = 20
CALL_SECONDS = 1.0
LOAD_BYTES_PER_SECOND = 20_000_000
COMMIT_BYTES = 200_000
SETTLE_SECONDS = 4.0
IDLE_SECONDS = 20.0
_LOOK_SECONDS = 0.02


def main() -> int:
    """Measure all, or what is named, and print a table."""
    kinds: dict[str, Callable[[argparse.Namespace], None]] = {
        "keys": _keys,
        "idle": _idle,
        "shipping": _shipping,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(kinds)} (default all)")
    parser.add_argument("--pairs", type=int, default=6, help="how often each is measured (default 6)")
    parser.add_argument("--megabytes", type=int, default=200, help="shipped each time (default 200)")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(kinds):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print(f"{'watched over the socket':64}{'measured':>12}{'budget':>10}")
    for name, measure in kinds.items():
        if not options.kinds or name in options.kinds:
            measure(options)
    tell("load average of the machine at the end", f"{load_average():.0f}")
    return 0


# -- what is measured -------------------------------------------------------------------------------------------------


def _keys(options: argparse.Namespace) -> None:
    """From key to paint of an attached screen, quiet and while the engine ships and answers callers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _engine(Path(folder), FOUR) as engine,
        Terminal(["attach", "-socket", str(engine.socket)], engine.folder) as terminal,
    ):
        terminal.until(lambda rows: sum(" ok " in row for row in rows) >= len(FOUR))
        terminal.listen(SETTLE_SECONDS)
        tell_keys("key to paint, attached, nothing to ship", press_down_and_up(terminal), 50, 100)
        with _watched(engine, 0, CALLERS), writer(engine.folder, FOUR, 500_000, LOAD_BYTES_PER_SECOND):
            terminal.listen(SETTLE_SECONDS)
            seconds = press_down_and_up(terminal)
        tell_keys(f"the same while it ships, with {CALLERS} callers", seconds, 50, 100)


def _idle(options: argparse.Namespace) -> None:
    """The engine's processor while nothing is committed: nobody there, a screen attached, and gone again."""
    shares: dict[str, list[float]] = {"before": [], "attached": [], "after": []}
    with tempfile.TemporaryDirectory() as folder, _engine(Path(folder), FOUR) as engine:
        for _ in range(options.pairs):
            shares["before"].append(engine.share(IDLE_SECONDS))
            with _watched(engine, screens=1, callers=0):
                shares["attached"].append(engine.share(IDLE_SECONDS))
            time.sleep(SETTLE_SECONDS)
            shares["after"].append(engine.share(IDLE_SECONDS))
    alone = statistics.median([*shares["before"], *shares["after"]])
    tell(f"idle, four databases, nobody attached, median of {2 * options.pairs}", f"{alone:.2f} %")
    attached = statistics.median(shares["attached"])
    tell(f"the same with a screen attached, median of {options.pairs}", f"{attached:.2f} %", "0.3 %")
    ratios = [after / before for before, after in zip(shares["before"], shares["after"], strict=True)]
    tell("after it has detached / before", f"{statistics.median(ratios):.2f}", "1")


def _shipping(options: argparse.Namespace) -> None:
    """The same work with and without two screens and twenty callers."""
    work_bytes = options.megabytes * MEGABYTE
    runs: dict[bool, list[_Shipped]] = {False: [], True: []}
    for number in range(options.pairs):
        for is_watched in (True, False) if number % 2 else (False, True):
            with tempfile.TemporaryDirectory() as folder:
                runs[is_watched].append(_ship(Path(folder), work_bytes, is_watched))
    for is_watched, words in ((False, "alone"), (True, f"{SCREENS} screens, {CALLERS} callers")):
        rate = work_bytes / statistics.median(run.seconds for run in runs[is_watched]) / MEGABYTE
        tell(f"{options.megabytes} MB committed at 20 MB/s until all is stored, {words}", f"{rate:.1f} MB/s")
        processor = statistics.median(run.cpu_seconds for run in runs[is_watched])
        tell(f"the engine's processor for it, {words}", f"{processor:.2f} s")
    pairs = list(zip(runs[False], runs[True], strict=True))
    ratio = statistics.median(alone.seconds / watched.seconds for alone, watched in pairs)
    tell(f"throughput watched / alone, median of {options.pairs} pairs", f"{ratio:.2f}", "0.95")
    more = statistics.median((watched.cpu_seconds - alone.cpu_seconds) / watched.seconds for alone, watched in pairs)
    tell("what it costs the engine, of a processor", f"{100 * more:.1f} %")
    tell("answers to the callers a second", f"{statistics.median(run.answers for _, run in pairs):.0f}", f"{CALLERS}")


@dataclass(frozen=True, slots=True)
class _Shipped:
    """From the first commit until all that was committed is in the replica."""

    seconds: float
    cpu_seconds: float
    answers: float
    """To the callers, a second."""


def _ship(folder: Path, work_bytes: int, is_watched: bool) -> _Shipped:
    with _engine(folder, ("app",)) as engine, ExitStack() as stack:
        count = stack.enter_context(_watched(engine, SCREENS, CALLERS)) if is_watched else lambda: 0
        began, processor, before = time.monotonic(), engine.cpu_seconds(), count()
        with writer(folder, ("app",), COMMIT_BYTES, LOAD_BYTES_PER_SECOND, work_bytes) as writing:
            _wait_until(lambda: writing.poll() is not None)
        _wait_until(lambda: caught_up(folder, "app"))
        seconds = time.monotonic() - began
        return _Shipped(seconds, engine.cpu_seconds() - processor, (count() - before) / seconds)


# -- the engine, and who watches it -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Engine:
    pid: int
    socket: Path
    folder: Path

    def cpu_seconds(self) -> float:
        """Processor time of the process so far, to the nanosecond: the clock that the kernel has for each."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def share(self, seconds: float) -> float:
        """Per cent of a processor in the next seconds."""
        began, before = time.monotonic(), self.cpu_seconds()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - began)


@contextmanager
def _engine(folder: Path, names: tuple[str, ...]) -> Iterator[_Engine]:
    """`replicate` on small databases that are all replicated."""
    config = databases(folder, names)
    socket = folder / "s"
    config.write_text(f"socket:\n  path: {socket}\n{config.read_text()}\n")
    words = [PROGRAM, "replicate", "-config", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until(lambda: socket.exists() and replicas(folder) == len(names))
        time.sleep(SETTLE_SECONDS)
        yield _Engine(process.pid, socket, folder)
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_SECONDS)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _watched(engine: _Engine, screens: int, callers: int) -> Iterator[Callable[[], int]]:
    """Screens and callers while the block runs; how many answers the callers have had."""
    ended = threading.Event()
    with ExitStack() as stack:
        for _ in range(screens):
            terminal = stack.enter_context(Terminal(["attach", "-socket", str(engine.socket)], engine.folder))
            terminal.until(lambda rows: any(" ok" in row for row in rows))
            taking = threading.Thread(target=_take, args=(terminal, ended))
            taking.start()
            stack.callback(taking.join)
        answers = engine.folder / "answers"
        answers.write_bytes(b"")
        if callers:
            words = [sys.executable, "-m", "benchmarks.callers", str(engine.socket), str(callers), str(CALL_SECONDS)]
            process = subprocess.Popen([*words, str(answers)])
            stack.callback(process.wait)
            stack.callback(process.kill)
        stack.callback(ended.set)
        time.sleep(SETTLE_SECONDS)
        yield lambda: answers.stat().st_size


def _take(terminal: Terminal, ended: threading.Event) -> None:
    while not ended.is_set():
        terminal.listen(0.2)


def _wait_until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not so():
        if time.monotonic() > end:
            raise TimeoutError("the engine did not get there in time")
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

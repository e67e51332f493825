"""make bench, second half: the screen on a pty, each figure beside its budget.

Measured with the real program and file replicas: what it sends over the line, from key to paint, from start to the
first row, and what the open screen costs the engine. A key counts as answered when the terminal shows its effect,
not at the first byte, which may be the clock's.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.terminal import DEADLINE_SECONDS, PROGRAM, Rows, Terminal
from replication.storage.codecs import DEFAULT_CODEC

FOUR = ("analytics", "app", "auth", "jobs")
SETTLE_SECONDS = 5.0
LISTEN_SECONDS = 10.0
KEYS = 80
KEY_GAP_SECONDS = (0.03, 0.07, 0.11, 0.13)
"""Between two keys: in no step with the screen's own timer."""
LOAD_BYTES_PER_SECOND = 20_000_000
CROWD = 1000
CROWD_WRITING = 50
FIRST_PAINTS = 7
PAIRS = 6
MEGABYTE = 1_000_000


def main() -> int:
    """Measure all, or what is named, and print a table."""
    kinds: dict[str, Callable[[Path, int], None]] = {
        "line": _line,
        "keys": _keys,
        "crowd": _crowd,
        "start": _start,
        "throughput": _throughput,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(kinds)} (default all)")
    parser.add_argument("--megabytes", type=int, default=200, help="written each time for the throughput (default 200)")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(kinds)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print(f"{'screen, on a pty of 80x24':64}{'measured':>12}{'budget':>10}")
    for name, measure in kinds.items():
        if not options.kinds or name in options.kinds:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder), options.megabytes * MEGABYTE)
    return 0


def tell(what: str, figure: str, budget: str = "") -> None:
    print(f"{what:64}{figure:>12}{budget:>10}", flush=True)


def tell_keys(what: str, seconds: list[float], median: int, p95: int = 0) -> None:
    """Two rows: the median of so many keys, and their 95th percentile."""
    tell(f"{what}, median of {len(seconds)}", _milliseconds(statistics.median(seconds)), f"{median} ms")
    tell(f"{what}, p95", _milliseconds(statistics.quantiles(seconds, n=20)[-1]), f"{p95} ms" if p95 else "")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


# -- what is measured -------------------------------------------------------------------------------------------------


def _line(folder: Path, work_bytes: int) -> None:
    """Bytes a second on the line, at one refresh a second."""
    config = databases(folder, FOUR)
    with writer(folder, FOUR, 2000, 8000), _program(config, folder) as terminal:
        terminal.listen(SETTLE_SECONDS)
        rate = terminal.listen(LISTEN_SECONDS) / LISTEN_SECONDS
    tell("bytes a second on the line, four databases busy", f"{rate:.0f} B/s", "1500 B/s")
    with _program(config, folder, "-slow") as terminal:
        terminal.listen(SETTLE_SECONDS)
        rate = terminal.listen(LISTEN_SECONDS) / LISTEN_SECONDS
    tell("bytes a second on the line, -slow and nothing changes", f"{rate:.0f} B/s", "0 B/s")


def _keys(folder: Path, work_bytes: int) -> None:
    """From key to paint, quiet and while the engine ships."""
    config = databases(folder, FOUR)
    with _program(config, folder) as terminal:
        terminal.listen(SETTLE_SECONDS)
        tell_keys("key to paint, nothing to ship", press_down_and_up(terminal), 50, 100)
        with writer(folder, FOUR, 500_000, LOAD_BYTES_PER_SECOND):
            terminal.listen(SETTLE_SECONDS)
            began, before = time.monotonic(), _replica_bytes(folder)
            seconds = press_down_and_up(terminal)
            rate = (_replica_bytes(folder) - before) / (time.monotonic() - began) / MEGABYTE
        tell("shipped meanwhile by the engine", f"{rate:.1f} MB/s", "20 MB/s")
        tell_keys("key to paint, while it ships", seconds, 50, 100)


def _crowd(folder: Path, work_bytes: int) -> None:
    """A list of very many databases, some of which are written."""
    names = [f"x-{number:04}" for number in range(CROWD)]
    config = databases(folder, names)
    with _program(config, folder) as terminal, writer(folder, names[:CROWD_WRITING], 2000, 2000 * CROWD_WRITING):
        took = terminal.until(lambda rows: bool(re.match(rf" {CROWD} databases +● \d", rows[0])), terminal.began)
        took = terminal.until(lambda rows: "starting" not in rows[0] and replicas(folder) == CROWD, terminal.began)
        tell(f"{CROWD:,} databases, from start until all are replicated", f"{took:.1f} s")
        terminal.listen(SETTLE_SECONDS)
        sent = terminal.listen(LISTEN_SECONDS) / LISTEN_SECONDS
        tell(f"bytes a second on the line, {CROWD_WRITING} of {CROWD:,} busy", f"{sent:.0f} B/s")
        tell_keys(f"key to paint, {CROWD_WRITING} of {CROWD:,} busy", press_down_and_up(terminal), 50)
        pages = [_press_away(terminal, "\x1b[6~", number) for number in range(KEYS // 2)]
        tell_keys("page down to paint, the same", pages, 50)
        tell_keys("letter of a filter to paint, the same", _type_filters(terminal), 50)
        processor = _cpu_seconds(terminal.pid)
        terminal.listen(LISTEN_SECONDS)
        share = (_cpu_seconds(terminal.pid) - processor) / LISTEN_SECONDS
        tell("share of a core, engine and screen together", f"{100 * share:.0f} %")


def _start(folder: Path, work_bytes: int) -> None:
    """From start of the program to the first row of a database."""
    config, took = databases(folder, FOUR), []
    for _ in range(FIRST_PAINTS):
        with _program(config, folder) as terminal:
            took.append(terminal.until(lambda rows: any("auth.db" in row for row in rows), terminal.began))
            terminal.listen(1.0)
    tell(f"start to first row, median of {FIRST_PAINTS}", _milliseconds(statistics.median(took)), "800 ms")
    tell(f"start to first row, slowest of {FIRST_PAINTS}", _milliseconds(max(took)))


def _throughput(folder: Path, work_bytes: int) -> None:
    """The same writes with and without the screen, in turn: A B B A …, so that a drift of the machine is fair."""
    ours: list[float] = []
    headless: list[float] = []
    for number in range(PAIRS):
        for screen in (True, False) if number % 2 else (False, True):
            (ours if screen else headless).append(_ship(folder / "run", work_bytes, screen))
    size = f"{work_bytes / MEGABYTE:.0f} MB"
    rates = [work_bytes / statistics.median(seconds) / MEGABYTE for seconds in (headless, ours)]
    tell(f"{size} written at full speed until all is uploaded, headless", f"{rates[0]:.1f} MB/s")
    tell("the same with the screen open", f"{rates[1]:.1f} MB/s")
    ratios = [without / with_it for without, with_it in zip(headless, ours, strict=True)]
    tell(f"with the screen / headless, median of {PAIRS} pairs", f"{statistics.median(ratios):.2f}", "0.90")


def _ship(folder: Path, work_bytes: int, screen: bool) -> float:
    """Seconds from the first commit until all that was committed is in the replica."""
    folder.mkdir()
    config = databases(folder, ("app",))
    with _program(config, folder) if screen else _headless(config) as program:
        _wait_until(lambda: replicas(folder) == 1, program)
        began = time.monotonic()
        with writer(folder, ("app",), 200_000, 0, work_bytes) as writing:
            _wait_until(lambda: writing.poll() is not None, program)
        _wait_until(lambda: caught_up(folder, "app"), program)
        seconds = time.monotonic() - began
    shutil.rmtree(folder)
    return seconds


# -- keys -------------------------------------------------------------------------------------------------------------


def _cursor(rows: Rows) -> str:
    """The database that the cursor is on; empty if it is not in sight."""
    return next((match[1] for row in rows if row[:1] == ">" and (match := re.search(r"([\w-]+\.db)", row))), "")


def press_down_and_up(terminal: Terminal) -> list[float]:
    """Move the cursor, key by key; seconds from each key until the terminal shows it."""
    seconds = []
    for number in range(KEYS):
        down = number // 3 % 2 == 0
        rows = terminal.rows[2:]
        listed = [row for row in rows[: next(n for n, row in enumerate(rows) if row[:1] == "─")] if row]
        # At the edge of a short list there is one way only.
        if _cursor(listed[-1:]):
            down = False
        elif _cursor(listed[:1]):
            down = True
        seconds.append(_press_away(terminal, "j" if down else "k", number))
    return seconds


def _press_away(terminal: Terminal, key: str, number: int) -> float:
    """Press a key that moves the cursor; seconds until it is on another database."""
    here = _cursor(terminal.rows)
    seconds = terminal.press(key, lambda rows: _cursor(rows) not in ("", here))
    terminal.listen(KEY_GAP_SECONDS[number % len(KEY_GAP_SECONDS)])
    return seconds


def _type_filters(terminal: Terminal) -> list[float]:
    """Type names of databases, letter by letter; seconds until the list has followed each letter."""
    seconds = []
    for name in ("x-0123", "x-0777", "x-0450", "x-0999"):
        terminal.press("/", lambda rows: "letters of a path" in " ".join(rows))
        for length in range(1, len(name) + 1):
            terminal.listen(KEY_GAP_SECONDS[length % len(KEY_GAP_SECONDS)])
            seconds.append(terminal.press(name[length - 1], partial(_follows, name[:length])))
        terminal.press("\x1b", lambda rows: bool(re.search(r"DATABASE \d+-\d", " ".join(rows))))
        terminal.listen(0.5)
    return seconds


def _follows(typed: str, rows: Rows) -> bool:
    """True when the box holds what was typed, and the list what matches it."""
    text = " ".join(rows)
    listed = [match[1] for row in rows[2:] if (match := re.match(r"[ >][●◐▲✖◌?].*?([\w-]+)\.db ", row))]
    return f" {typed} " in f"{text} " and all(typed in name for name in listed)


# -- databases, writers, programs -------------------------------------------------------------------------------------


def databases(folder: Path, names: tuple[str, ...] | list[str]) -> Path:
    """Small databases, each with a replica in a folder; the configuration."""
    files = [folder / f"{name}.db" for name in names]
    code = (
        "import sqlite3, sys\n"
        "for path in sys.argv[1:]:\n"
        "    connection = sqlite3.connect(path)\n"
        "    connection.executescript('PRAGMA journal_mode=wal; PRAGMA synchronous=off;"
        " CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB)')\n"
        "    connection.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True, stdout=subprocess.DEVNULL)
    lines = ["dbs:"]
    for name, file in zip(names, files, strict=True):
        lines += [f"- path: {file}", "  replicas:", f"  - path: {folder / 'replicas' / name}"]
    config = folder / "litestream.yml"
    config.write_text("\n".join(lines))
    return config


@contextmanager
def writer(
    folder: Path, names: tuple[str, ...] | list[str], size: int, rate: int, total: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    """writer.py on these databases, until the block ends."""
    script = Path(__file__).with_name("writer.py")
    paths = [str(folder / f"{name}.db") for name in names]
    process = subprocess.Popen([sys.executable, str(script), str(size), str(rate), str(total), *paths])
    try:
        yield process
        if process.poll() not in (None, 0):
            raise RuntimeError("the writer failed; what it said is above")
    finally:
        process.kill()
        process.wait()


def _program(config: Path, home: Path, *words: str) -> Terminal:
    return Terminal(["-config", str(config), *words], home)


@contextmanager
def _headless(config: Path) -> Iterator[None]:
    words = [PROGRAM, "replicate", "-config", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_SECONDS)
    finally:
        process.kill()
        process.wait()


def _wait_until(so: Callable[[], bool], program: Terminal | None) -> None:
    """Wait; what the program sends meanwhile is taken, as a terminal would."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not so():
        if time.monotonic() > end:
            raise TimeoutError("the engine did not get there in time")
        if program is None:
            time.sleep(0.02)
        else:
            program.listen(0.02)


def replicas(folder: Path) -> int:
    """Replicas with a snapshot."""
    return len({path.parts[-5] for path in folder.glob("replicas/*/generations/*/snapshots/*.lz4")})


def _replica_bytes(folder: Path) -> int:
    total = 0
    for path in folder.glob("replicas/*/generations/*/*/*.lz4"):
        total += path.stat().st_size
    return total


def caught_up(folder: Path, name: str) -> bool:
    """True when the newest segment of the replica ends where the shadow WAL ends, and that with the last frame."""
    shadow = max(folder.glob(f".{name}.db-litestream/generations/*/wal/*.wal"), default=None)
    segment = max(folder.glob(f"replicas/{name}/generations/*/wal/*.wal.lz4"), default=None)
    if shadow is None or segment is None:
        return False
    index, offset = segment.name.partition(".")[0].split("_")
    end = shadow.stat().st_size
    if index != shadow.stem or end == 0:
        return False
    # The WAL carries no locks, so that it may be read beside SQLite. Salts stand at 16 of its header and at 8 of each
    # frame: a frame of the same life after the end is one that was not copied.
    with (folder / f"{name}.db-wal").open("rb") as wal:
        wal.seek(16)
        salts = wal.read(8)
        wal.seek(end + 8)
        if salts != _salts(shadow) or wal.read(8) == salts:
            return False
    content = sum(map(len, DEFAULT_CODEC.open(segment.name, [segment.read_bytes()])))
    return int(offset, 16) + content == end


def _salts(shadow: Path) -> bytes:
    """The salts of a file of the shadow WAL."""
    with shadow.open("rb") as file:
        file.seek(16)
        return file.read(8)


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())

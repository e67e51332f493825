"""make bench: this program and Litestream 0.3.13 and 0.5.17 in turn on the same work; medians, spread and ratios.

The programs take turns (A B C, C B A), so that a machine whose speed drifts is fair to all. A ratio is the median of
the ratios run by run; below 1, this program's figure is the smaller one. Progress goes to stderr, the tables to stdout.
"""

import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.machine import describe, load_average
from benchmarks.programs import Program, programs
from benchmarks.rows import BOTH, ROWS, Row
from benchmarks.stage import Figures, Stage
from benchmarks.stores import Store, file_store, s3_store
from benchmarks.table import Result
from peers import S3Server, SeaweedServer
from peers import running as server_running

RUNS = 3
PREFIX = "litestream-tui-bench-"
DESCRIPTORS_PER_DATABASE = 8
"""Of the application and of any of the programs, for the largest crowd."""
DATABASES_MAX = 2000


def main() -> int:
    """Measure what is asked for, and print it."""
    options = _options()
    end_in_order()
    allow_descriptors()
    known = programs()
    chosen = {name: known[name] for name in options.programs}
    titles = {name: program.title for name, program in chosen.items()}
    about: dict[str, Any] = describe() | {"scale": options.scale, "runs": options.runs}
    print("\n".join(f"{name}: {text}" for name, text in about.items()), end="\n\n", flush=True)
    results: list[Result] = []
    loads: list[float] = []
    for row in options.rows:
        # What is dear to make is made once for both stores.
        with tempfile.TemporaryDirectory(prefix=PREFIX) as shared:
            for store in [name for name in options.stores if name in row.stores]:
                loads.append(load_average())
                results.append(measure(row, store, list(chosen.values()), options.runs, options.scale, Path(shared)))
                loads.append(load_average())
                print(table.plain(results[-1], titles), flush=True)
                if options.output is not None:
                    about["load average"] = f"{min(loads):.1f} to {max(loads):.1f}"
                    _write(options.output, about, results, titles)
    return 0


def measure(row: Row, store: str, chosen: Sequence[Program], runs: int, scale: float, shared: Path) -> Result:
    """All runs of one row on one store; what fails is in the result."""
    result = Result(row, store, {program.name: [] for program in chosen})
    with tempfile.TemporaryDirectory(prefix=PREFIX) as place, ExitStack() as stack:
        root = Path(place)
        server = stack.enter_context(server_running(SeaweedServer(root / "server"))) if store == "s3" else None
        for number in range(-1 if row.warm_up else 0, runs):
            for program in chosen if number % 2 == 0 else reversed(chosen):
                began = time.monotonic()
                figures = _one(row, program, server, root / "measurement", shared, scale)
                words = figures if isinstance(figures, str) else _short(figures)
                if number >= 0:
                    result.runs[program.name].append(figures)
                _tell(f"{row.name}, {store}, run {number + 1} of {runs}, {program.title}: {words}", began)
    return result


def _one(
    row: Row, program: Program, server: S3Server | None, folder: Path, shared: Path, scale: float
) -> Figures | str:
    folder.mkdir()
    try:
        with _store(server, folder) as store:
            return row.measure(Stage(program, store, folder, shared, scale))
    except Exception as error:  # A row that fails for one program is a result, and the others go on.
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _store(server: S3Server | None, folder: Path) -> Iterator[Store]:
    if server is None:
        with file_store(folder / "replicas") as files:
            yield files
    else:
        with s3_store(server) as objects:
            yield objects


def _write(output: Path, about: dict[str, Any], results: list[Result], titles: dict[str, str]) -> None:
    """The Markdown file, and beside it the JSON of every run; after each row, so that an early end keeps the others."""
    document = {"about": about, "results": [result.as_json() for result in results]}
    output.with_suffix(".json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    head = "\n".join(f"| {name} | {text} |" for name, text in about.items())
    output.write_text(f"| | |\n|---|---|\n{head}\n\n{table.markdown(results, titles)}")


def _short(figures: Figures) -> str:
    return ", ".join(f"{key} {table.number(value)}" for key, value in figures.items() if value is not None)


def _tell(words: str, began: float) -> None:
    print(f"{words} [{time.monotonic() - began:.0f} s, load {load_average():.1f}]", file=sys.stderr, flush=True)


def end_in_order() -> None:
    """Let signals end us through every `finally`, so that no server, program or folder is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))


def allow_descriptors() -> None:
    """So many as the largest crowd needs, if we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DATABASES_MAX * DESCRIPTORS_PER_DATABASE
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def _options() -> argparse.Namespace:
    names = {row.name: row for row in ROWS}
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(names)} (default all)")
    parser.add_argument("--stores", default=",".join(BOTH), help="file, s3 (default both)")
    parser.add_argument("--programs", default="ours,0.3,0.5", help="ours, 0.3, 0.5 (default all)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each program (default {RUNS})")
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes, counts and durations (default 1)")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="write Markdown here, and JSON beside it")
    options = parser.parse_args()
    for name, known in (("stores", BOTH), ("programs", ("ours", "0.3", "0.5"))):
        given = getattr(options, name).split(",")
        if unknown := set(given) - set(known):
            parser.error(f"no such {name}: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        setattr(options, name, given)
    if unknown := set(options.rows) - set(names):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.runs < 1 or options.scale <= 0:
        parser.error("--runs and --scale must be more than 0")
    options.rows = [names[name] for name in options.rows] or list(ROWS)
    return options


if __name__ == "__main__":
    sys.exit(main())

"""make growth: how the cost grows with databases, segments, size and rate; a plot and the figures behind it.

Each axis takes the measurements of the benchmarks at several sizes, the programs in turn. One run of each point: what
is looked for is the shape of a line, not a figure.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks import crowds, images, throughput
from benchmarks.machine import describe
from benchmarks.programs import Program, programs
from benchmarks.rows import Row
from benchmarks.run import PREFIX, allow_descriptors, end_in_order, measure
from benchmarks.stage import MEGABYTE, Figures, Stage

INCHES = (13, 4)


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, at which sizes, and the figures that are drawn over it."""

    name: str
    title: str
    sizes: tuple[float, ...]
    measure: Callable[[Stage, float], Figures]
    figures: tuple[tuple[str, str], ...]
    store: str = "file"


def _idle(stage: Stage, size: float) -> Figures:
    return crowds.very_many(stage, round(size))


def _segments(stage: Stage, size: float) -> Figures:
    return images.restore_segments(stage, round(size))


def _image(stage: Stage, size: float) -> Figures:
    return images.snapshot(stage, round(size * MEGABYTE))


def _rate(stage: Stage, size: float) -> Figures:
    return throughput.paced(stage, size * MEGABYTE)


AXES = (
    Axis(
        "databases",
        "databases",
        (1, 10, 50, 200, 500, 1000, 2000),
        _idle,
        (("seconds", "until all are replicated, s"), ("cpu", "processor when idle, %"), ("memory", "memory, MB")),
    ),
    Axis(
        "segments",
        "segments to restore, S3",
        (10, 100, 1000, 3000, 10_000),
        _segments,
        (("seconds", "restore, s"), ("cpu", "processor time, s"), ("memory", "memory at its peak, MB")),
        store="s3",
    ),
    Axis(
        "size",
        "size of the database, MB",
        (10, 100, 500, 1000, 2000, 4000),
        _image,
        (("seconds", "first snapshot, s"), ("cpu", "processor time, s"), ("memory", "memory at its peak, MB")),
    ),
    Axis(
        "rate",
        "WAL a second, MB",
        (0.1, 0.5, 1, 3, 6, 12, 25),
        _rate,
        (("cpu", "processor, %"), ("behind", "behind at the end, s"), ("memory", "memory at its peak, MB")),
    ),
)


def main() -> int:
    """Measure every axis, and draw it to OUT/NAME.svg."""
    names = [axis.name for axis in AXES]
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"{', '.join(names)} (default all)")
    parser.add_argument("--programs", default="ours,0.3,0.5", help="ours, 0.3, 0.5 (default all)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes and durations (default 1)")
    parser.add_argument("--out", type=Path, default=Path("growth-report"), help="a folder for figures and plots")
    options = parser.parse_args()
    if unknown := set(options.axes) - set(names):
        parser.error(f"no such axis: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if unknown := set(options.programs.split(",")) - set(programs()):
        parser.error(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(programs())}")
    chosen = [programs()[name] for name in options.programs.split(",")]
    end_in_order()
    allow_descriptors()
    options.out.mkdir(parents=True, exist_ok=True)
    for axis in AXES:
        if not options.axes or axis.name in options.axes:
            points = _points(axis, chosen, options.scale)
            document = {"about": describe() | {"scale": options.scale}, "points": points}
            (options.out / f"{axis.name}.json").write_text(json.dumps(document, indent=1) + "\n")
            _draw(axis, chosen, points, options.out / f"{axis.name}.svg")
            print(options.out / f"{axis.name}.svg", flush=True)
    return 0


def _points(axis: Axis, chosen: Sequence[Program], scale: float) -> list[dict[str, Any]]:
    """For each size what each program's measurement gave, or said when it failed."""
    points = []
    for size in axis.sizes:
        row = Row(f"{axis.name} {size:g}", axis.title, partial(_at, axis, size), ())
        with tempfile.TemporaryDirectory(prefix=PREFIX) as shared:
            runs = measure(row, axis.store, chosen, 1, scale, Path(shared)).runs
        points.append({"size": size} | {name: run for name, [run] in runs.items()})
    return points


def _at(axis: Axis, size: float, stage: Stage) -> Figures:
    return axis.measure(stage, size)


def _draw(axis: Axis, chosen: Sequence[Program], points: Sequence[dict[str, Any]], path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = axis.name  # the same figures, the same picture
    figure, panels = plt.subplots(1, len(axis.figures), figsize=INCHES, layout="constrained")
    for axes, (key, title) in zip(panels, axis.figures, strict=True):
        for program in chosen:
            found = [(point["size"], point[program.name]) for point in points]
            drawn = [(at, figures[key]) for at, figures in found if isinstance(figures, dict)]
            axes.plot([at for at, _ in drawn], [value for _, value in drawn], marker="o", label=program.title)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(axis.title)
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())

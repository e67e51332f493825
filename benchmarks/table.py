"""From measurements to figures: medians, spread, ratios, and the tables that show them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rows import Figure, Row
from benchmarks.stage import Figures

BASE = "ours"
FAILURE_LETTERS = 90


@dataclass(slots=True)
class Result:
    """One row on one store: what each program's measurements gave, run by run; a failure is its text."""

    row: Row
    store: str
    runs: dict[str, list[Figures | str]] = field(default_factory=dict)

    def values(self, program: str, key: str) -> list[float | None]:
        """By run; None where it failed or has no such figure."""
        return [None if isinstance(run, str) else run.get(key) for run in self.runs.get(program, [])]

    def ratio(self, program: str, key: str) -> float | None:
        """The median of this program's figure through that one's, run by run: below 1, ours is less."""
        pairs = zip(self.values(BASE, key), self.values(program, key), strict=False)
        ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
        return statistics.median(ratios) if ratios else None

    def failure(self, program: str) -> str:
        """What the first run that failed said; empty if none did."""
        return next((run for run in self.runs.get(program, []) if isinstance(run, str)), "")

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row.name, "title": self.row.title, "store": self.store, "runs": self.runs}


def number(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def cell(result: Result, program: str, figure: Figure) -> str:
    """Median, and the least and the most where there were several runs."""
    values = [value for value in result.values(program, figure.key) if value is not None]
    if not values:
        return "failed" if result.failure(program) else "–"
    middle = number(statistics.median(values))
    spread = f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 and min(values) < max(values) else ""
    failed = len([run for run in result.runs[program] if isinstance(run, str)])
    return middle + spread + (f", {failed} failed" if failed else "")


def lines(result: Result, titles: Mapping[str, str]) -> list[list[str]]:
    """A line for each figure: its words, a cell for each program, a ratio for each of the others."""
    found = []
    for figure in result.row.figures:
        cells = [cell(result, program, figure) for program in titles]
        if set(cells) == {"–"}:
            continue
        ratios = []
        for program in titles:
            if program != BASE:
                ratio = result.ratio(program, figure.key) if figure.ratio else None
                ratios.append("" if ratio is None else number(ratio))
        found.append([f"{figure.label}, {figure.unit}" if figure.unit else figure.label, *cells, *ratios])
    return found


def failures(result: Result, titles: Mapping[str, str]) -> list[str]:
    """A sentence for each program that failed."""
    return [
        f"{title}: {text[:FAILURE_LETTERS]}" for program, title in titles.items() if (text := result.failure(program))
    ]


def heading(titles: Mapping[str, str]) -> list[str]:
    return ["", *titles.values(), *(f"ratio to {title.split()[-1]}" for key, title in titles.items() if key != BASE)]


def markdown(results: Sequence[Result], titles: Mapping[str, str]) -> str:
    """A section with a table for each row and store."""
    parts = []
    for result in results:
        head = heading(titles)
        parts.append(f"### {result.row.title}, {result.store}\n")
        parts.append(_line(head))
        parts.append("|---|" + "---:|" * (len(head) - 1))
        parts += [_line(cells) for cells in lines(result, titles)]
        parts += ["", *(f"Failed: {text}.\n" for text in failures(result, titles))]
    return "\n".join(parts)


def plain(result: Result, titles: Mapping[str, str]) -> str:
    """The same for a terminal."""
    table = [heading(titles), *lines(result, titles)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    shown = [f"{result.row.title}, {result.store}  [{result.row.name}]"]
    for row in table:
        words = [
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        shown.append("  " + "  ".join(words).rstrip())
    return "\n".join([*shown, *(f"  failed: {text}" for text in failures(result, titles)), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in cells)} |"

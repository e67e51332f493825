"""Time drawn in the cells of a terminal: windows, zoom, and one row for each generation. Pure.

Its promise: a mark stands in the cell of its time; what is covered, what is missing and where snapshots are can
be told without colour. It leaves to the caller which generations there are, and where the cursor is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sqrt

from replication.restore.points import PointMap

_SHORT_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_LONG_SECONDS = (60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2592000)
ZOOM_SECONDS = _SHORT_SECONDS + _LONG_SECONDS
"""How much time one cell may stand for."""
_LABEL_GAP_CELLS = 3
_MINUTE, _DAY = 60, 86400
_LABEL_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200)


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs of a row."""

    snapshot: str = "S"
    covered: str = "─"
    missing: str = "×"
    cursor: str = "▲"
    bars: str = "▁▂▃▄▅▆▇█"
    """How much was stored, from little to most."""


def _utc(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


SIGNS = Marks()
ASCII = Marks("S", "-", "x", "^", "_.:=+*%#")


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that is drawn: `columns` cells from `start` (seconds since the epoch), each `seconds` long.

    `zoom` is the place of `seconds` in ZOOM_SECONDS.
    """

    start: float
    zoom: int
    columns: int

    @property
    def seconds(self) -> float:
        return ZOOM_SECONDS[self.zoom]

    @property
    def end(self) -> float:
        """The first moment after it."""
        return self.start + self.columns * self.seconds

    def column(self, time: float) -> int | None:
        """The cell of a time, or None outside."""
        column = int((time - self.start) // self.seconds)
        return column if 0 <= column < self.columns else None

    def clamped(self, time: float) -> int:
        """The cell of a time, or the nearest one."""
        return max(0, min(self.columns - 1, int((time - self.start) // self.seconds)))


def fitting(first: float, last: float, columns: int) -> Window:
    """The closest window in which both times are seen."""
    for zoom in range(len(ZOOM_SECONDS)):
        window = _aligned(first, zoom, columns)
        if window.column(last) is not None:
            return window
    return _aligned(last - (columns - 1) * ZOOM_SECONDS[-1], len(ZOOM_SECONDS) - 1, columns)


def zoomed(window: Window, time: float, step: int) -> Window:
    """Closer (-1) or wider (+1), with `time` staying in its cell as far as cells allow."""
    zoom = max(0, min(len(ZOOM_SECONDS) - 1, window.zoom + step))
    return _aligned(time - window.clamped(time) * ZOOM_SECONDS[zoom], zoom, window.columns)


def showing(window: Window, time: float) -> Window:
    """The same window if `time` is in it, else one of the same zoom with `time` in its middle."""
    if window.column(time) is not None:
        return window
    return _aligned(time - window.columns // 2 * window.seconds, window.zoom, window.columns)


def row(
    point_map: PointMap, window: Window, cursor: float | None = None, marks: Marks = SIGNS, top: int | None = None
) -> str:
    """One generation in the window's cells; `cursor` is the time to mark, if any, `top` the bytes of a full bar.

    Without bars, or where nothing was stored, what is covered is a line. Where several things fall into one cell, the
    cursor goes before a missing object, that before a snapshot.
    """
    cells = [" "] * window.columns
    for begin, end in point_map.runs:
        if end >= window.start and begin < window.end:
            for column in range(window.clamped(begin), window.clamped(end) + 1):
                cells[column] = marks.covered
    if top is not None:
        for column, count in enumerate(density(point_map, window)):
            if count:
                # By the root, or one large commit would make all others look alike.
                cells[column] = marks.bars[min(len(marks.bars) - 1, int(len(marks.bars) * sqrt(count / max(1, top))))]
    for time in point_map.snapshots:
        _put(cells, window, time.timestamp(), marks.snapshot)
    for item in point_map.missing:
        _put(cells, window, item.time.timestamp(), marks.missing)
    if cursor is not None:
        _put(cells, window, cursor, marks.cursor)
    return "".join(cells)


def density(point_map: PointMap, window: Window) -> list[int]:
    """The bytes of commits that were stored in the time of each cell."""
    edges = [window.start + column * window.seconds for column in range(window.columns + 1)]
    return [point_map.stored(begin, end) for begin, end in pairwise(edges)]


def runs(point_map: PointMap) -> list[tuple[float, float]]:
    """The stretches of time within which every moment has a restore point, first and last object of each."""
    return list(point_map.runs)


def axis(window: Window, moment_of: Callable[[float], datetime] = _utc) -> str:
    """Times above the rows, each beginning in the cell of its moment; in UTC, or as `moment_of` tells them."""
    step = _label_step(window)
    cells = [" "] * window.columns
    free = 0
    day = ""
    # Round by that clock, and not by UTC.
    ahead = (moment_of(window.start).utcoffset() or timedelta(0)).total_seconds()
    time = -(-(window.start + ahead) // step) * step - ahead
    while time < window.end:
        column = window.column(time)
        moment = moment_of(time)
        label = moment.strftime("%m-%d" if step >= _DAY else "%H:%M" if step >= _MINUTE else "%H:%M:%S")
        if step < _DAY and moment.strftime("%m-%d") != day:
            label = f"{moment:%m-%d} {label}"
        if column is not None and column >= free and column + len(label) <= window.columns:
            cells[column : column + len(label)] = label
            free = column + len(label) + _LABEL_GAP_CELLS
            day = moment.strftime("%m-%d")
        time += step
    return "".join(cells)


def _label_step(window: Window) -> float:
    """Seconds between labels, round for people, that leave room for each."""
    room = (len("10-20 12:00") + _LABEL_GAP_CELLS) * window.seconds
    for step in _LABEL_STEPS:
        if step >= room:
            return float(step)
    return float(-(-room // _DAY) * _DAY)


def _aligned(start: float, zoom: int, columns: int) -> Window:
    """A window that begins at a multiple of its cell, so that marks do not jump as it moves."""
    seconds = ZOOM_SECONDS[zoom]
    return Window(start // seconds * seconds, zoom, columns)


def _put(cells: list[str], window: Window, time: float, mark: str) -> None:
    column = window.column(time)
    if column is not None:
        cells[column] = mark

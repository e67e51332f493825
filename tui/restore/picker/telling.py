"""What the commits around the cursor did, asked of the engine a few at a time, the nearest to the cursor first.

Its promise: it never holds up a key, what is told stays known in bounded memory, and where it takes much reading of the
replica it waits until a person asks for that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from replication.errors import ReplicationError
from replication.position import Position
from tui.restore.picker.reading import HistoryReader
from tui.text.format import size

if TYPE_CHECKING:
    from replication.history.log import Entry
    from replication.restore.points import PointMap
    from tui.restore.picker.cursor import Picker
    from tui.restore.picker.near import Near
    from tui.view import Shell

TOGETHER = 8
"""Commits of one question."""
KEPT_MAX = 5_000
"""Commits of which it is known what they did."""
READ_BYTES_MAX = 256 << 20
"""What may be read of the replica without being asked for: the WAL from one snapshot to the next."""


class Telling:
    """Used by the thread of the screen. `changed` is called when more is known."""

    def __init__(self, shell: Shell, database: str, changed: Callable[[], None]) -> None:
        self.entries: OrderedDict[Position, Entry | None] = OrderedDict()
        """None for one of which nothing is told."""
        self.words = ""
        """What key would tell more, in short."""
        self.error = ""
        """Why more is not known."""
        self.is_asking = False
        self.reader = HistoryReader(shell.control, database, shell.leaving)
        self._shell = shell
        self._changed = changed
        self._replica = ""
        self._reads_all = False
        self._stretches: set[tuple[str, int]] = set()
        """Runs of commits between two snapshots that were read: generation, and number of the first stop."""

    def ask(self, replica: str, picker: Picker, rows: Sequence[Near], here: int) -> None:
        """Ask what commits in sight did, if that is not known and nothing is asked."""
        if replica != self._replica:
            self.entries.clear()
            self._stretches.clear()
            self._replica = replica
        missing = _missing(rows, here, self.entries)
        if self.is_asking or missing is None:
            return
        first, count = missing
        position = rows[first].position
        stretch = _stretch(picker.point_map, picker.cursor.stop)
        key, stored = (picker.point_map.generation, stretch[0]), _stored(picker.point_map, stretch)
        if stored > READ_BYTES_MAX and key not in self._stretches and not self._reads_all:
            self.words = f"T reads what they did: {size(stored)}"
            return
        self._stretches.add(key)
        self.is_asking, self.words, self.error = True, "", ""
        asked = [row.position for row in rows[first - count + 1 : first + 1]]

        def told(found: tuple[Entry, ...]) -> None:
            known = {entry.position: entry for entry in found}
            # The oldest that is told may be followed by others, in another run of commits.
            last = min(known, default=None)
            for one in asked:
                if one in known or last is None or one >= last:
                    self._keep(one, known.get(one))
            if not known:
                self._keep(position, None)
            self.is_asking = False
            self._changed()

        def failed(error: ReplicationError) -> None:
            self.error = f"what commits did cannot be read: {error}"
            for one in asked:
                self._keep(one, None)
            self.is_asking = False
            self._changed()

        self._shell.in_background(lambda: self.reader.entries(replica, position, count), told, failed)

    def ask_all(self) -> None:
        """From now on read whatever it takes."""
        self._reads_all, self.words = True, ""

    def close(self) -> None:
        """Ask no more, and let the engine forget what it keeps."""
        self.is_asking = True
        self.reader.close()

    def _keep(self, position: Position, entry: Entry | None) -> None:
        self.entries[position] = entry
        while len(self.entries) > KEPT_MAX:
            self.entries.popitem(last=False)


def _missing(rows: Sequence[Near], here: int, known: OrderedDict[Position, Entry | None]) -> tuple[int, int] | None:
    """The newest row to ask for, and how many from it back: at the cursor or before it, or else after it."""
    unknown = [number for number, row in enumerate(rows) if row.position not in known]
    if not unknown:
        return None
    before = [number for number in unknown if number <= here]
    first = before[-1] if before else min(unknown[0] + TOGETHER - 1, unknown[-1])
    count = 1
    while count < TOGETHER and first - count in unknown:
        count += 1
    return first, count


def _stretch(point_map: PointMap, stop: int) -> tuple[int, int]:
    """The numbers of the stops around one, from one with a snapshot up to the next."""
    stops = point_map.stops
    begin = next((number for number in range(stop, -1, -1) if stops[number].snapshot), 0)
    end = next((number for number in range(stop + 1, len(stops)) if stops[number].snapshot), len(stops) - 1)
    return begin, end


def _stored(point_map: PointMap, stretch: tuple[int, int]) -> int:
    return sum(stop.size for stop in point_map.stops[stretch[0] : stretch[1] + 1])

"""The list of restore points that a job keeps open, for several who ask at once."""

import threading
from collections.abc import Callable
from dataclasses import replace

from replication.archive import Reader
from replication.config import Config
from replication.control.results import PointPlan
from replication.errors import NoRestorePointError
from replication.position import Position
from replication.restore.points import Learned, Listed, Stop
from replication.scrub import quoted


class Lister(Reader):
    """The reader of one list, for several who ask at once; `close` waits for the one that reads."""

    def __init__(self, config: Config, database: str, say: Callable[[str], None]) -> None:
        super().__init__(config, database)
        self._say = say
        self._turn = threading.Lock()
        self._stops: dict[str, Stop] = {}

    def list(self, name: str | None = None) -> Listed:
        listed = super().list(name)
        self._stops = {stop.object: stop for point_map in listed.point_maps for stop in point_map.stops if stop.object}
        return listed

    def learn(self, name: str) -> Learned:
        """What reading the object of a stop tells: of the commits, those of that object alone."""
        with self._turn:
            stop = self._stops.get(name)
            if stop is None:
                raise NoRestorePointError(f"{quoted(name)!r} is not in this list; list the replica again")
            learned = self.read(stop)
            for point_map in learned.point_maps or ():
                self._stops |= {stop.object: stop for stop in point_map.stops if stop.object}
            own = {key: value for key, value in learned.commits.items() if key == name}
            return replace(learned, commits=own)

    def planned(self, position: Position) -> PointPlan:
        """What restoring a point would fetch."""
        with self._turn:
            try:
                return PointPlan(self.plan(position), self.is_by_itself(position))
            except KeyError:
                raise NoRestorePointError(f"generation {position.generation} is not in this list") from None

    def close(self) -> None:
        with self._turn:
            super().close()

    def _tell(self, words: str) -> None:
        super()._tell(words)
        self._say(words)

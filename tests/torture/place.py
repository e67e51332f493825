"""Time as a history has it, and a place that replicas are written to, whose clock is another than the host's.

True time goes on by itself, a little with each object; the monotonic clock is right, and the clocks of host and store
are set, each by itself. A place can be away, be emptied, fail in the middle of an upload, and lose acknowledgements.
"""

import datetime as datetime_module
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from replication.errors import AccessDeniedError, StorageError
from replication.storage.memory import MemoryStorage

BEGAN = datetime(2024, 5, 1, tzinfo=UTC).timestamp()
PUT_SECONDS = 0.01
"""What an upload takes."""


class Clock:
    """`now` is the true time in seconds since the epoch; the host believes something else."""

    def __init__(self) -> None:
        self.now, self.ahead = BEGAN, 0.0

    def __call__(self) -> float:
        return self.now + self.ahead

    def monotonic(self) -> float:
        return self.now - BEGAN

    def host_time(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)

    def wait(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)


def skewed(clock: Clock) -> dict[str, Any]:
    """What takes the place of the module `time` and the class `datetime` where the engine asks for a clock."""

    class Skewed(datetime_module.datetime):
        @classmethod
        def now(cls, tz: datetime_module.tzinfo | None = None) -> "Skewed":
            return cls.fromtimestamp(clock(), tz)

    return {
        "replication.replica.wal03.snapshots.time": SimpleNamespace(time=clock, monotonic=clock.monotonic),
        "replication.replica.wal03.snapshots.datetime": Skewed,
        "replication.local.generation_info.datetime": Skewed,
        "replication.database.arrivals.clock": SimpleNamespace(monotonic=clock.monotonic),
    }


@dataclass(frozen=True, slots=True)
class Arrived:
    """One object as it was stored: when in truth, when by the place's clock, and how far that was ahead."""

    name: str
    data: bytes
    time: float
    stamp: datetime
    ahead: float
    acknowledged: bool
    alone: bool
    """Nothing of its generation was there."""


class Store(MemoryStorage):
    """One place. It keeps order of what was written."""

    def __init__(self, name: str, time: Clock, whole_seconds: bool) -> None:
        super().__init__(f"memory://{name}", self._now)
        self.time, self.whole_seconds = time, whole_seconds
        self.ahead = 0.0
        """Seconds by which its clock is ahead."""
        self.emptied = 0.0
        """When all was removed last, in truth."""
        self.written: list[Arrived] = []
        self.down = False
        """It cannot be reached."""
        self.puts_left: int | None = None
        """So many uploads more succeed; without a number all do."""
        self.lose_the_last = False
        """Of the one that fails, only the acknowledgement is lost."""
        self.before_put: Callable[[], None] = lambda: None

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        self.before_put()
        self.time.wait(PUT_SECONDS)
        fails = self.puts_left is not None and self.puts_left <= 0
        if fails and not self.lose_the_last:
            raise StorageError("the store went away in the middle of an upload")
        assert create or name not in self.names(), f"{name} is written over (promise 8)"
        folder = "/".join(name.split("/")[:2]) + "/"
        alone = not any(other.startswith(folder) for other in self.names())
        size = super().put(name, chunks, create=create)
        self.written.append(Arrived(name, self.read(name), self.time.now, self._now(), self.ahead, not fails, alone))
        if fails:
            self.lose_the_last = False
            raise StorageError("the store went away before it answered")
        self.puts_left = None if self.puts_left is None else self.puts_left - 1
        return size

    def empty(self) -> None:
        """Somebody removes all that is there, behind the engine's back."""
        for name in self.names():
            del self._objects[name]
        self.emptied = self.time.now

    def lose(self, name: str) -> None:
        """One object is removed by somebody."""
        del self._objects[name]
        self.emptied = self.time.now

    def _now(self) -> datetime:
        found = datetime.fromtimestamp(self.time.now + self.ahead, UTC)
        return found.replace(microsecond=0) if self.whole_seconds else found

    def _begin(self, verb: Any) -> Any:
        if self.down:
            raise AccessDeniedError(f"{self.address} is away")
        return super()._begin(verb)

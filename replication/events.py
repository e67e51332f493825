"""What happened, in order: a bounded log that any thread may add to and read from."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

EVENTS_MAX = 2000
"""Events kept; older ones are forgotten."""

Value = str | int | float

Emit = Callable[..., None]
"""Called as emit(level, message, **attributes)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `time` is seconds since the epoch; database and replica are empty if neither."""

    number: int
    time: float
    level: str
    message: str
    database: str = ""
    replica: str = ""
    attributes: tuple[tuple[str, Value], ...] = ()


class EventLog:
    """Numbers events from 1 and keeps the last EVENTS_MAX."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._number = 0
        self._changed = threading.Condition()

    def emit(self, level: str, message: str, database: str = "", replica: str = "", **attributes: Value) -> None:
        """Add an event; `level` is debug, info, warning or error."""
        with self._changed:
            self._number += 1
            items = tuple(attributes.items())
            self._events.append(Event(self._number, self._clock(), level, message, database, replica, items))
            self._changed.notify_all()

    def since(self, number: int) -> list[Event]:
        """The kept events after event `number`, oldest first."""
        with self._changed:
            if not self._events or self._events[-1].number <= number:
                return []
            # Copied in one step: a signal handler may add an event between two steps of a loop.
            kept = tuple(self._events)
            return list(kept[number - kept[-1].number :])

    def wait(self, number: int, timeout: float) -> list[Event]:
        """Like `since`, but wait up to `timeout` seconds for a first one."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, timeout)
        return self.since(number)

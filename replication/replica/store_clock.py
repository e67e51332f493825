"""What time it is for a store, as far as that may be believed: the host's clock alone proves nothing.

An object that was just written has the time of the store. What passed since then is told by the monotonic clock,
which is never set. Two objects are asked, the first and the last one of this run, and the earlier answer counts: so a
clock that jumps ahead, be it the store's own, makes nothing older. While nothing was written in this run, the time of
the newest object that was there at the first look is asked, and the host's, and the earlier counts as well.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class _Anchor:
    """An object, when it was written by the monotonic clock, and by the store's as soon as it was listed."""

    name: str
    monotonic: float
    time: datetime | None = None

    def seen(self, times: Mapping[str, datetime]) -> "_Anchor":
        return _Anchor(self.name, self.monotonic, self.time or times.get(self.name))

    def now(self, monotonic: float) -> datetime | None:
        return None if self.time is None else self.time + timedelta(seconds=max(0.0, monotonic - self.monotonic))


class StoreClock:
    """The time of one store. One thread may ask while another writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: _Anchor | None = None
        self._last: _Anchor | None = None
        self._newest: _Anchor | None = None
        """Written since the last look: no listing made before can show it."""
        self._last_asked: tuple[float, datetime] | None = None

    def wrote(self, name: str, monotonic: float) -> None:
        """An object was stored just now."""
        made = _Anchor(name, monotonic)
        with self._lock:
            if self._first is None:
                self._first = made
            self._newest = made

    def about_to_look(self) -> None:
        """Called right before a listing, by which the time is asked for: it counts what was written until now."""
        with self._lock:
            self._last, self._newest = self._newest or self._last, None

    def now(self, times: Mapping[str, datetime], monotonic: float, host: datetime) -> datetime | None:
        """The time by the store, from the times of all that it lists and the host's clock; None if it lists nothing."""
        with self._lock:
            return self._now(times, monotonic, host)

    def _now(self, times: Mapping[str, datetime], monotonic: float, host: datetime) -> datetime | None:
        newest = max(times.values(), default=None)
        if newest is not None and self._last_asked is None:
            self._last_asked = (monotonic, newest)
        self._first = self._first.seen(times) if self._first else None
        if self._last is None:
            self._last, self._newest = self._newest, None
        self._last = self._last.seen(times) if self._last else None
        if self._first is not None and self._first.time is None:
            # The object is gone, or never was listed.
            self._first = self._last
        answers = [anchor.now(monotonic) for anchor in (self._first, self._last) if anchor is not None]
        known = [answer for answer in answers if answer is not None]
        if not known and self._last_asked is not None:
            began, time = self._last_asked
            known = [time + timedelta(seconds=max(0.0, monotonic - began)), host]
        return min(known, default=None)

"""Who wants a database paused, and for how long. Pure.

A pause with a time is a lease: its holder renews it, and one that was not renewed in time is gone. So a client that
died, or a restore that hangs, leaves no database paused for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leases:
    """The holders of a pause, each with the time, of time.monotonic, until which it has it.

    Without a lease it is infinite.
    """

    until: tuple[tuple[str, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.until)

    def __contains__(self, holder: str) -> bool:
        return holder in self.holders

    def __iter__(self) -> Iterator[str]:
        return iter(self.holders)

    @property
    def holders(self) -> tuple[str, ...]:
        """The names of the holders, in the order in which they came."""
        return tuple(holder for holder, _ in self.until)

    @property
    def first_end(self) -> float:
        """When the first of the leases is over if it is not renewed."""
        return min((until for _, until in self.until), default=float("inf"))

    def with_lease(self, holder: str, until: float) -> "Leases":
        """The leases with that of `holder` until that time. One that it has already gets the new time."""
        if holder in self:
            return Leases(tuple((who, until if who == holder else end) for who, end in self.until))
        return Leases((*self.until, (holder, until)))

    def without(self, holder: str) -> "Leases":
        """The leases without that of `holder`, if it has one."""
        return Leases(tuple((who, end) for who, end in self.until if who != holder))

    def at(self, now: float) -> "Leases":
        """The leases that are not over at `now`."""
        return Leases(tuple((who, end) for who, end in self.until if end > now))

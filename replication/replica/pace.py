"""How often a replica is written to: `sync-interval` bounds the mean rate of uploads, not the gap between two.

A pure value. A quiet replica saves uploads up, one in each interval, and a commit after that goes at once; a busy one
makes one upload in each interval, as Litestream does at its ticks. So what is paid for uploads is bounded as there, but
for a burst, and the last commit before silence waits for no tick.
"""

from dataclasses import dataclass

BURST_UPLOADS = 10.0
"""At most so many uploads are saved up."""
QUIET_SECONDS = 0.06
"""After so long without a commit the next upload may be made on credit, one at most."""
LARGE_BYTES = 8 << 20
"""So much WAL is worth an upload at any time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many uploads were saved up at which time, of time.monotonic.

    `interval` is in seconds; with 0 there is no bound.
    """

    interval: float
    saved: float = BURST_UPLOADS
    at: float = 0.0

    def upload_made(self, now: float) -> "Pace":
        """The pace after one upload."""
        return Pace(self.interval, max(-1.0, self._saved(now) - 1.0), now) if self.interval > 0 else self

    def next_time(self, now: float, changed: float, pending_bytes: int) -> float:
        """When to upload what is pending, whose last commit came at `changed`. Returns `now` for at once."""
        saved = self._saved(now)
        if saved >= 1.0 or pending_bytes >= LARGE_BYTES:
            return now
        on_credit = max(now - min(0.0, saved) * self.interval, changed + QUIET_SECONDS)
        return max(now, min(now + (1.0 - saved) * self.interval, on_credit))

    def _saved(self, now: float) -> float:
        return min(BURST_UPLOADS, self.saved + (now - self.at) / self.interval) if self.interval > 0 else BURST_UPLOADS

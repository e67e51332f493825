"""How values are shown under the options of the screen: marks or plain letters, ages or times. Pure.

With `slow` nothing is shown that changes while nothing happens: a time in place of an age, no countdown.
"""

from dataclasses import dataclass

from replication.status import DatabaseStatus, Verification
from tui.text.format import age, clock_time, day_time
from tui.text.states import State

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.:-=+*#"
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Style:
    """The options that matter for text, and the time now in seconds since the epoch."""

    ascii: bool
    slow: bool
    now: float

    def state(self, state: State) -> str:
        """Mark and word of a state."""
        return state.shown(self.ascii)

    def mark(self, sign: str, plain: str) -> str:
        """A sign, or what stands for it in ASCII."""
        return plain if self.ascii else sign

    def since(self, time: float) -> str:
        """How long ago: 2h; or when, on a slow line."""
        return self.at(time) if self.slow else age(self.now - time)

    def ago(self, time: float) -> str:
        """`since` within a sentence: 2h ago, or at 10:04Z."""
        return f"at {self.at(time)}" if self.slow else f"{age(self.now - time)} ago"

    def until(self, time: float) -> str:
        """What is to come within a sentence: in 4s, or at 12:04:35."""
        return f"at {clock_time(time)}" if self.slow else f"in {age(time - self.now)}"

    def at(self, time: float) -> str:
        """A time: of the day if it was within a day of now, else with its date."""
        return clock_time(time) if abs(self.now - time) < _DAY_SECONDS else day_time(time)

    def bars(self, counts: list[int]) -> str:
        """Counts as a row of bars, the highest full."""
        signs = _ASCII_BARS if self.ascii else _BARS
        top = max(counts, default=0)
        return "".join(signs[0] if not n else signs[1 + (n * (len(signs) - 2)) // top] for n in counts)


def verified_of(database: DatabaseStatus) -> Verification | None:
    """The verification to show for a database: a failed one first, else the oldest that its replicas have."""
    found = [replica.verified for replica in database.replicas if replica.verified is not None]
    failed = [item for item in found if item.outcome == "failed"]
    if failed:
        return failed[-1]
    if len(found) < len(database.replicas):
        return None
    return min(found, key=lambda item: item.time, default=None)


def verified_words(item: Verification | None, style: Style) -> str:
    """A verification in a few cells: ✓ 2h, ✗ failed, or -."""
    if item is None:
        return "-"
    if item.outcome == "ok":
        return f"{style.mark('✓', 'ok')} {style.since(item.time)}"
    return f"{style.mark('✗', 'x')} failed" if item.outcome == "failed" else "unclear"

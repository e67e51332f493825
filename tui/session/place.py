"""Where the engine lives that a screen shows, and in words what ends with the screen. Pure."""

from dataclasses import dataclass
from typing import Literal

from tui.text.format import age, counted, day_time, plain
from tui.text.style import Style

Kind = Literal["here", "service", "screen", "none", "hosts"]


@dataclass(frozen=True, slots=True)
class HostPlace:
    """A host of several, and the engine there."""

    name: str
    place: "Place"


@dataclass(frozen=True, slots=True)
class Place:
    """The engine: in this process, a service of its own, in another screen, with which it ends, nowhere, or one on each
    host.

    `gone` says since when it does not answer and `why`; 0 while it does. `words` is what a person should know of it
    beside that: that it is of another version.
    """

    kind: Kind
    pid: int = 0
    started: float = 0.0
    version: str = ""
    socket: str = ""
    gone: float = 0.0
    why: str = ""
    words: str = ""
    can_be_left: bool = False
    """True for one of this process that can go on in the background."""
    hosts: tuple[HostPlace, ...] = ()

    @property
    def attached(self) -> bool:
        """True for one of another process, which goes on without this screen."""
        return self.kind in ("service", "screen")


HERE = Place("here")
NAMED_MAX = 2
"""Hosts that are silent are named up to so many."""
_UNKNOWN = "not known yet"


def place_words(place: Place, style: Style) -> str:
    """One line: where it is, and whether it is there."""
    if place.kind == "none":
        return "engine: none runs; -read-only only looks, nothing is replicated"
    if place.kind == "hosts":
        return _hosts_words(place, style)
    if not place.attached:
        return f"engine: here, ends with this screen{'; q, b leave it running' if place.can_be_left else ''}"
    if place.gone:
        was = f" (was pid {place.pid})" if place.pid else ""
        return f"engine: gone {_since(place.gone, style)}{was}; attaches again when back"
    if not place.pid and place.words:
        return place.words
    if not place.pid:
        return f"engine: at {plain(place.socket)}, {_UNKNOWN}"
    kind = "service" if place.kind == "service" else "in another screen, ends with that"
    up = f"since {day_time(place.started)}" if style.slow else f"up {age(style.now - place.started)}"
    words = f", {place.words}" if place.words else ""
    return f"engine: {kind}, pid {place.pid}, {up}{words}"


def _hosts_words(place: Place, style: Style) -> str:
    silent = [item for item in place.hosts if item.place.gone]
    waiting = [item for item in place.hosts if not item.place.gone and not item.place.pid]
    words = [f"{plain(item.name)} silent {_since(item.place.gone, style)}" for item in silent[:NAMED_MAX]]
    if len(silent) > NAMED_MAX:
        words.append(f"{len(silent) - NAMED_MAX} more silent")
    words += [f"{len(waiting)} being connected to"] if waiting else []
    answering = len(place.hosts) - len(silent) - len(waiting)
    words.append(f"{counted(answering, 'host')} answering")
    return ", ".join(words)


def _since(time: float, style: Style) -> str:
    return f"since {day_time(time)}" if style.slow else f"for {age(style.now - time)}"


def gone_news(before: Place, after: Place) -> tuple[tuple[str, str], ...]:
    """What to tell when the engine goes away or is back, with how grave that is."""
    if after.kind == "hosts":
        known = {item.name: item.place for item in before.hosts}
        return tuple(news for item in after.hosts for news in _host_news(item.name, known.get(item.name), item.place))
    if after.gone and not before.gone:
        return (
            ("The engine is gone; shown is what it said last. This screen attaches again when it is back", "error"),
        )
    if before.gone and not after.gone:
        same = before.pid in (0, after.pid)
        return ((f"The engine is back{'' if same else ', another one than before'}: pid {after.pid}", "information"),)
    if after.words and after.words != before.words:
        return ((f"The engine is of another version: {after.words}. What both know is shown", "warning"),)
    return ()


def _host_news(name: str, before: Place | None, after: Place) -> tuple[tuple[str, str], ...]:
    if after.gone and not (before and before.gone):
        return ((f"{plain(name)} does not answer: {after.why}", "error"),)
    if before and before.gone and not after.gone:
        return ((f"{plain(name)} answers again", "information"),)
    if after.words and after.words != (before.words if before else ""):
        return ((f"{plain(name)}: the engine there is of another version: {after.words}", "warning"),)
    return ()

"""Which changes of state are worth a toast, one for each change and none for a retry, and which toasts stand. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replication.status import EngineStatus
from tui.text.naming import short_name
from tui.text.states import BEHIND, ERROR, NOT_HEARD, STOPPED, State, database_state, error_of

NAMED_MAX = 3
"""More databases that change at one time are given as a number."""

_NO_NEWS = (*STOPPED, *NOT_HEARD)
"""States that are no news when they come or go: who pauses is told so, and a host has a toast of its own."""
TOASTS_MAX = 3
"""More would cover what they are about."""
TOAST_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Told:
    """One toast: how often the same was told, and until when it stands."""

    words: str
    severity: str
    until: float
    times: int = 1

    @property
    def shown(self) -> str:
        """As it stands there."""
        return f"{self.words} (×{self.times})" if self.times > 1 else self.words


def told(before: Sequence[Told], words: str, severity: str, now: float) -> tuple[tuple[Told, ...], bool]:
    """Return the toasts that stand after one more, newest last, and whether those before it have changed."""
    standing = [item for item in before if item.until > now]
    same = next((item for item in standing if (item.words, item.severity) == (words, severity)), None)
    fresh = Told(words, severity, now + TOAST_SECONDS, same.times + 1 if same is not None else 1)
    others = [item for item in standing if item is not same]
    kept = others[max(0, len(others) + 1 - TOASTS_MAX) :]
    return (*kept, fresh), len(kept) < len(standing)


Trouble = Mapping[str, State | None]
"""By path: what is wrong with a database, None if nothing."""


def trouble_of(status: EngineStatus) -> Trouble:
    """What is wrong now, by path. A pause is no trouble, and does not end any; nor is a status that is not known."""
    found: dict[str, State | None] = {}
    for database in status.databases:
        state = database_state(database)
        found[database.path] = state if state in (BEHIND, ERROR, *_NO_NEWS) else None
    return found


def news(before: Trouble, after: Trouble, status: EngineStatus) -> list[tuple[str, str]]:
    """Words and severity for what changed from `before` to `after`, which is the trouble of `status`."""
    groups: dict[State | None, list[str]] = {}
    for path, state in after.items():
        was = before.get(path)
        if state is was or state in _NO_NEWS or was in _NO_NEWS:
            continue
        groups.setdefault(state, []).append(path)
    found = []
    for state, severity in ((ERROR, "error"), (BEHIND, "warning"), (None, "information")):
        paths = groups.get(state, [])
        word = state.word if state is not None else "sync recovered"
        if len(paths) > NAMED_MAX:
            found.append((f"{len(paths)} databases: {word}", severity))
            continue
        for path in paths:
            why = error_of(next(item for item in status.databases if item.path == path)) if state is ERROR else ""
            found.append((f"{short_name(path)}: {word}{', ' + why if why else ''}", severity))
    return found

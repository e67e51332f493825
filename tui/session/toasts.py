"""Which changes of state are worth a toast: one for each change, none for a retry. Pure."""

from collections.abc import Mapping

from replication.status import EngineStatus
from tui.text.naming import short_name
from tui.text.states import BEHIND, ERROR, NOT_HEARD, STOPPED, State, database_state, error_of

NAMED_MAX = 3
"""More databases that change at one time are given as a number."""

_NO_NEWS = (*STOPPED, *NOT_HEARD)
"""States whose coming and going is told by who made it so."""

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

"""Which changes of state are worth a toast: one for each change, none for a retry. Pure."""

from collections.abc import Mapping

from replication.status import EngineStatus
from tui.text.format import plain
from tui.text.states import BEHIND, ERROR, STOPPED, State, database_state, error_of

NAMED_MAX = 3
"""More databases that change at one time are given as a number."""

Trouble = Mapping[str, State | None]
"""By path: what is wrong with a database, None if nothing."""


def trouble_of(status: EngineStatus) -> Trouble:
    """What is wrong now, by path. A pause is no trouble, and does not end any."""
    found: dict[str, State | None] = {}
    for database in status.databases:
        state = database_state(database)
        found[database.path] = state if state in (BEHIND, ERROR, *STOPPED) else None
    return found


def news(before: Trouble, after: Trouble, status: EngineStatus) -> list[tuple[str, str]]:
    """Words and severity for what changed from `before` to `after`, which is the trouble of `status`."""
    groups: dict[State | None, list[str]] = {}
    for path, state in after.items():
        was = before.get(path)
        if state is was or state in STOPPED or was in STOPPED:
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
            name = plain(path).rpartition("/")[2]
            found.append((f"{name}: {word}{', ' + why if why else ''}", severity))
    return found

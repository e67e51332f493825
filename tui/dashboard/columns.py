"""The list of databases as text: which columns fit, in what order the rows stand, and each row. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from replication.status import DatabaseStatus
from tui.text.causes import cause
from tui.text.cells import cut_end, cut_path, fit
from tui.text.format import age, clock_time, plain, short_position
from tui.text.naming import host_of, split
from tui.text.standing import lag, lag_words, queue, queue_words
from tui.text.states import (
    BEHIND,
    ERROR,
    SILENT,
    STALE_SECONDS,
    database_state,
    lag_seconds,
)
from tui.text.style import Style, verified_of, verified_words

STATE_WIDTH = 10
NAME_WIDTH_MIN = 17
"""A path gets what the other columns leave, and at least this."""
HOST_WIDTH_MAX = 12
_HOST_TITLE = "HOST"


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its text for a database. It is there if all columns of a lower `rank` are and it fits."""

    title: str
    width: int
    rank: int
    cell: Callable[[DatabaseStatus, Style], str]


def _queue(database: DatabaseStatus, style: Style) -> str:
    return queue_words(queue(database))


def _lag(database: DatabaseStatus, style: Style) -> str:
    return lag_words(lag(database))


def _uploaded(database: DatabaseStatus, style: Style) -> str:
    newest = max((replica.last_upload for replica in database.replicas), default=0.0)
    return clock_time(newest) if newest else "-"


def _position(database: DatabaseStatus, style: Style) -> str:
    """How far it was copied; of one that fails, why."""
    if database_state(database) is ERROR:
        return cause(database)
    return short_position(database.position)


COLUMNS = (
    Column("POSITION", 26, 3, _position),
    Column("LAG", 5, 1, _lag),
    Column("QUEUE", 7, 4, _queue),
    Column("UPLOADED", 8, 5, _uploaded),
    Column("VERIFIED", 8, 2, lambda database, style: verified_words(verified_of(database), style)),
)


def host_width(databases: Iterable[DatabaseStatus]) -> int:
    """Cells for the names of hosts; 0 where all is on this machine."""
    longest = max((cell_len(plain(host_of(item.path))) for item in databases), default=0)
    return min(HOST_WIDTH_MAX, max(longest, len(_HOST_TITLE))) if longest else 0


def columns_for(width: int, hosts: int = 0) -> tuple[Column, ...]:
    """The columns that fit beside cursor, state, host in so many cells, and name."""
    left = width - (1 + STATE_WIDTH + 1 + _host_cells(hosts) + NAME_WIDTH_MIN)
    chosen = set()
    for column in sorted(COLUMNS, key=lambda item: item.rank):
        if column.width + 1 > left:
            break
        left -= column.width + 1
        chosen.add(column)
    return tuple(column for column in COLUMNS if column in chosen)


def header(width: int, seen: str = "", count: int = 0, hosts: int = 0) -> Text:
    """The titles; `seen` says which rows of so many are in sight."""
    columns = columns_for(width, hosts)
    name = _name_width(width, columns, hosts)
    notes = (f"DATABASE {seen} of {count}", f"DATABASE {seen}/{count}", f"{seen}/{count}") if seen else ()
    note = next((words for words in notes if cell_len(words) <= name), "DATABASE")
    titles = [fit("STATE", STATE_WIDTH), *([fit(_HOST_TITLE, hosts)] if hosts else []), fit(note, name)]
    titles += [fit(column.title, column.width) for column in columns]
    return Text(fit(" " + " ".join(titles), width), style="bold")


def row(database: DatabaseStatus, width: int, style: Style, cursor: bool = False, hosts: int = 0) -> Text:
    """One database in one line of exactly `width` cells; a host in their place says why there are none."""
    columns = columns_for(width, hosts)
    state = database_state(database)
    shown = style.state(state)
    stale = style.now - database.last_sync
    if database.last_sync and stale > STALE_SECONDS and database.state == "ok":
        # A green "ok" would lie: the database was not looked at for so long.
        shown = f"{style.mark(state.mark, state.ascii_mark)} {style.since(database.last_sync)} old"
    host, path = split(database.path)
    name = _name_width(width, columns, hosts)
    cells = [fit(column.cell(database, style), column.width) for column in columns]
    why = cause(database) if state is ERROR and COLUMNS[0] not in columns else ""
    line = Text(">" if cursor else " ")
    line.append(fit(shown, STATE_WIDTH), style=state.style if state.style != "default" else "")
    if hosts:
        line.append(f" {fit(plain(host), hosts)}")
    if host and not path:
        line.append(fit(f" {host_words(database, style)}", width - line.cell_len))
    else:
        line.append(" " + " ".join([_named(plain(path), why, name), *cells]))
    if cursor:
        line.stylize("reverse")
    return line


def _named(path: str, why: str, width: int) -> str:
    """A path, and behind it why it fails where no column has room for that; the path is what gives way."""
    if not why or width < NAME_WIDTH_MIN:
        return fit(cut_path(path, width), width)
    why = cut_end(why, width // 2)
    return fit(f"{cut_path(path, width - cell_len(why) - 1)} {why}", width)


def host_words(database: DatabaseStatus, style: Style) -> str:
    """A host that is in the place of its databases: since when nothing is heard of it, and why."""
    if database_state(database) is not SILENT:
        return plain(database.error) or "being connected to"
    since = f"since {style.at(database.last_sync)}" if style.slow else f"for {age(style.now - database.last_sync)}"
    return f"{since}: {plain(database.error)}"


def in_order(databases: Iterable[DatabaseStatus]) -> list[DatabaseStatus]:
    """Hosts that are silent and errors first, then what is behind, the longest first; the rest as configured, so that
    it stands still.
    """

    def urgency(database: DatabaseStatus) -> tuple[int, int]:
        state = database_state(database)
        if state is SILENT:
            return (-3, 0)
        if state is ERROR:
            return (-2, 0)
        return (-1, -int(lag_seconds(database))) if state is BEHIND else (0, 0)

    return sorted(databases, key=urgency)


def matches(database: DatabaseStatus, letters: str) -> bool:
    """True if path or state hold the letters, in any case."""
    return not letters or letters.lower() in f"{database.path} {database_state(database).word}".lower()


def _host_cells(hosts: int) -> int:
    return hosts + 1 if hosts else 0


def _name_width(width: int, columns: tuple[Column, ...], hosts: int) -> int:
    return max(1, width - (1 + STATE_WIDTH + 1 + _host_cells(hosts) + sum(column.width + 1 for column in columns)))

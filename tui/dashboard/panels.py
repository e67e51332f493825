"""The dashboard's panels as lines of text: summary, one database, upload queue, events. Pure.

Its promise: what comes from outside stands there as it is, without markup and without control characters.
"""

import re
from collections.abc import Iterable
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from replication.events import Event
from replication.scrub import scrub
from replication.status import DatabaseStatus, EngineStatus, ReplicaStatus
from tui.dashboard.columns import host_words
from tui.text.cells import cut_end, cut_start, fit_start
from tui.text.format import clock_time, plain, short_object, size
from tui.text.naming import is_host, short_name
from tui.text.standing import all_queued, behind_words, paused_words, queue_words, replica_queue, worst_lag
from tui.text.states import (
    BEHIND,
    ERROR,
    NO_ENGINE,
    OK,
    PAUSED,
    PAUSING,
    SHARED,
    STARTING,
    SYNCING,
    UNKNOWN,
    database_state,
    error_of,
    replica_state,
)
from tui.text.style import Style, verified_of

NAME_CELLS_MAX = 16
"""Cells for the name of a database beside an event."""
SPARK_MINUTES = 10
NUMBER_CELLS_MAX = 20
"""Up to this a fact is a name and a number; a longer one is words, which can be cut."""
CAUSE_LINES_MAX = 2
"""Lines that what is wrong may take below the list."""
FACT_LINES_MAX = 6
"""Lines that one fact may take beside the list."""
_MINUTE_SECONDS = 60.0
_SHORT = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{8}\b")
"""The name of a generation, of which its first half tells enough in a line."""
_LEVELS = {"debug": "DEBUG", "info": "INFO ", "warning": "WARN ", "error": "ERROR"}
_LEVEL_STYLES = {"warning": "yellow", "error": "red"}


def summary(status: EngineStatus, width: int, style: Style, frozen: bool) -> Text:
    """How all databases stand, in one line, with the clock at its end unless the line is slow."""
    # A host that does not answer has a row of its own, in place of its databases.
    databases = [item for item in status.databases if not is_host(item.path)]
    states = [database_state(database) for database in databases]
    line = Text(f" {len(databases)} database{'s' if len(databases) != 1 else ''} ")
    for state in (OK, SYNCING, SHARED, BEHIND, ERROR, UNKNOWN, PAUSED, PAUSING, NO_ENGINE, STARTING):
        count = states.count(state)
        if count or state is ERROR:
            mark = style.mark(state.mark, state.ascii_mark)
            line.append(f" {mark} {count} {state.word}", style=state.style if count else "")
    lag, queued = worst_lag(databases), all_queued(databases)
    end = "FROZEN" if frozen else "" if style.slow else f"{clock_time(style.now)}Z"
    for rest in (f"  max lag {lag}  queued {queued}", f"  lag {lag}  {queued}", f"  lag {lag}", ""):
        if line.cell_len + len(rest) + len(end) + 2 <= width:
            break
    line.append(rest)
    if end and (frozen or line.cell_len + len(end) + 1 <= width):
        # That nothing moves must be seen wherever there is a line at all.
        line.truncate(width - len(end) - 1, pad=True)
        line.append(end, style="bold reverse" if frozen else "")
    line.truncate(width)
    return line


def facts(database: DatabaseStatus, style: Style) -> list[list[Text]]:
    """What there is to know of a database, in groups: a wide panel has a group in a line, a narrow one a fact."""
    if is_host(database.path):
        return [[Text(host_words(database, style), style=database_state(database).style)]]
    position = database.position
    first = [_fact("generation", position.generation if position else "-")]
    began = _began(database)
    if began:
        first.append(_fact("since", began))
    if database.generation_reason:
        first.append(_fact("because", database.generation_reason))
    several = len(database.replicas) > 1
    groups = [first, *(_replica_facts(database, replica, style, several) for replica in database.replicas)]
    # What is wrong stands first, where no edge cuts it off.
    return [*([words] for words in _now(database, style)), *groups, _rates(database, style)]


def wide(groups: list[list[Text]], width: int) -> list[Text]:
    """One line for each group, cut at the edge.

    A short fact is left out instead, since half a number is worse than none.
    """
    lines = []
    for first, *others in groups:
        if not others and first.cell_len >= width:
            # What is wrong is not cut where there is a second line for it.
            lines += narrow([[first]], width)[:CAUSE_LINES_MAX]
            continue
        line = Text(" ") + first
        for fact in others:
            if line.cell_len + 3 + fact.cell_len <= width or fact.cell_len > NUMBER_CELLS_MAX:
                line += Text("   ") + fact
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def narrow(groups: list[list[Text]], width: int) -> list[Text]:
    """One line for each fact. A long one goes on in the next lines."""
    lines: list[Text] = []
    for fact in (fact for group in groups for fact in group):
        pieces = wrap(fact.plain, max(10, width - 3), max_lines=FACT_LINES_MAX, placeholder="…", break_on_hyphens=False)
        style = str(fact.spans[0].style) if fact.spans else str(fact.style)
        lines += [Text(f"{'  ' if number else ' '}{piece}", style=style) for number, piece in enumerate(pieces)]
    return lines


def queue(databases: Iterable[DatabaseStatus], width: int, rows_max: int, style: Style) -> list[Text]:
    """What waits for an upload, a line a replica, what is in flight first."""
    waiting = [
        (database, replica)
        for database in databases
        for replica in database.replicas
        if replica.uploading or replica.pending_bytes
    ]
    waiting.sort(key=lambda item: (not item[1].uploading, -item[1].pending_bytes))
    lines = []
    for database, replica in waiting[:rows_max]:
        state = replica_state(replica)
        mark = style.mark(state.mark, state.ascii_mark)
        name = cut_start(short_name(database.path), 24)
        words = f" {mark} {name:24} {cut_end(replica.name, 10):10} {queue_words(replica_queue(replica)):>8}  "
        lines.append(Text(cut_end(words + _flight(replica, style), width)))
    if len(waiting) > rows_max:
        lines[-1] = Text(cut_end(f"   … and {len(waiting) - rows_max + 1} more: u shows all", width))
    return lines or [Text(" everything is uploaded")]


def name_cells(events: Iterable[Event]) -> int:
    """Cells for the names of databases beside these events: what they need, up to NAME_CELLS_MAX."""
    return max((min(NAME_CELLS_MAX, cell_len(short_name(event.database))) for event in events), default=0)


def event_line(event: Event, width: int, name_cells: int) -> Text:
    """One event: time, level, database in so many cells, what, and its values."""
    line = Text(f" {clock_time(event.time)} ")
    line.append(_LEVELS.get(event.level, event.level.upper()), style=_LEVEL_STYLES.get(event.level, ""))
    line.append(f" {fit_start(short_name(event.database), name_cells)} {event_words(event)}")
    line.truncate(width, overflow="ellipsis")
    return line


def event_words(event: Event) -> str:
    """An event's message and values, on one line."""
    text = event.message
    for key, value in event.attributes:
        if value != "":
            label = "" if key in ("error", "result", "reason") else f"{key.replace('_', ' ')} "
            text += f", {label}{shorter(str(value))}"
    where = f"{event.replica}: " if event.replica else ""
    return plain(scrub(where + text))


def shorter(text: str) -> str:
    """A text with the names of generations cut to their first half."""
    return _SHORT.sub(r"\1", text)


def per_minute(times: Iterable[float], now: float) -> list[int]:
    """How many of `times` fell into each of the last SPARK_MINUTES minutes, the newest last."""
    counts = [0] * SPARK_MINUTES
    for time in times:
        back = int((now - time) // _MINUTE_SECONDS)
        if 0 <= back < SPARK_MINUTES:
            counts[SPARK_MINUTES - 1 - back] += 1
    return counts


def _replica_facts(database: DatabaseStatus, replica: ReplicaStatus, style: Style, several: bool) -> list[Text]:
    local, there = database.position, replica.position
    behind = behind_words(replica)
    same = local is not None and there is not None and local.generation == there.generation
    there_words = "-" if there is None else f"{there.index:08x}:{there.offset}" if same else str(there)
    if several:
        return [_fact(f"replica {replica.name}", there_words), _fact("behind", behind)]
    local_words = f"{local.index:08x}:{local.offset}" if local is not None else "-"
    found = [_fact("local", local_words), _fact("replica", there_words), _fact("behind", behind)]
    return [*found, _fact("wal", size(database.wal_bytes))]


def _rates(database: DatabaseStatus, style: Style) -> list[Text]:
    found = [_verified(database, style), _fact("retries", str(sum(item.errors_in_a_row for item in database.replicas)))]
    if not style.slow:
        # Bars move on by themselves, minute by minute.
        counts = per_minute((upload.time for item in database.replicas for upload in item.uploads), style.now)
        found.append(_fact("uploads/min", f"{style.bars(counts)} {counts[-1]}"))
    planned = [item.next_snapshot for item in database.replicas if item.next_snapshot]
    if planned:
        found.append(_fact("next snapshot", f"{clock_time(min(planned))[:5]}Z"))
    return found


def _now(database: DatabaseStatus, style: Style) -> list[Text]:
    """The lines that say what is wrong or under way."""
    lines = []
    error = error_of(database)
    if error:
        failed = next((replica for replica in database.replicas if replica.errors_in_a_row), None)
        when = f"try {failed.errors_in_a_row + 1} {style.until(failed.next_try)}: " if failed is not None else ""
        # Waiting is no failure: the mark is that of the state in the list.
        state = ERROR if failed is not None or database_state(database) is ERROR else STARTING
        colour = "red" if state is ERROR else "yellow"
        lines.append(Text(f"{style.mark(state.mark, state.ascii_mark)} {when}{plain(scrub(error))}", style=colour))
    for replica in database.replicas:
        # What failed stands above, with its next try.
        if replica.uploading and not (error and replica.errors_in_a_row):
            lines.append(Text(f"{style.mark('↑', '^')} {_flight(replica, style)}"))
    if words := paused_words(database, style):
        lines.append(Text(f"{style.mark(PAUSED.mark, PAUSED.ascii_mark)} {words}", style=PAUSED.style))
    lines += [
        Text(f"{style.mark('!', '!')} {plain(scrub(replica.duty_warning))}", style="yellow")
        for replica in database.replicas
        if replica.duty_warning
    ]
    if database.checkpoint_blocked:
        lines.append(Text(f"a reader keeps the WAL from being copied back: {database.checkpoint_blocked} tries"))
    return lines


def _flight(replica: ReplicaStatus, style: Style) -> str:
    if replica.errors_in_a_row:
        return f"try {replica.errors_in_a_row + 1} {style.until(replica.next_try)}: {plain(scrub(replica.last_error))}"
    if replica.uploading:
        done, total = replica.uploading_bytes, replica.uploading_total_bytes
        share = f" {min(100, 100 * done // total)}% of {size(total)}" if total else ""
        return f"uploading {short_object(replica.uploading)}{share}"
    return "waiting"


def _verified(database: DatabaseStatus, style: Style) -> Text:
    item = verified_of(database)
    if item is None:
        return _fact("verified", "not yet")
    words = {"ok": f"{style.mark('✓', 'ok')} {style.ago(item.time)}", "failed": "FAILED:", "inconclusive": "unclear:"}
    text = _fact("verified", words[item.outcome])
    if item.outcome != "ok":
        text.append(f" {plain(scrub(item.words))}")
    text.stylize({"ok": "green", "failed": "red"}.get(item.outcome, ""))
    return text


def _began(database: DatabaseStatus) -> str:
    text = database.generation_began
    return f"{text[5:10]} {text[11:16]}Z" if len(text) >= 16 else ""


def _fact(name: str, value: str) -> Text:
    return Text(f"{name} {plain(value)}")

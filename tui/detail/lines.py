"""The panels of one database as lines: head, WAL, replicas, generations. Values in, text out.

Its promise: every line fits its width, and nothing from outside is taken for markup.
"""

from rich.text import Text

from replication.restore.histories import GenerationSummary, HeldGeneration
from replication.status import DatabaseStatus, ReplicaStatus
from tui.detail.generations import Listing
from tui.text.blocks import error_lines, happened, state_text, upload_words, verified_text
from tui.text.cells import cut_end, cut_start, fit
from tui.text.format import clock_time, day_time, plain, short_position, size
from tui.text.standing import behind_words, lag, lag_words, paused_words, queue, queue_words
from tui.text.states import ERROR, PAUSED, database_state, replica_state
from tui.text.style import Style
from tui.text.timeline import ASCII, SIGNS, Window, axis, fitting, row

REPLICAS_MAX = 4
"""More replicas than this are only counted."""
_WIDE = 100
_INDENT = "   "


def head(database: DatabaseStatus, width: int, style: Style) -> list[Text]:
    """The line at the top: which database, and how it stands."""
    line = Text(" ")
    tail = f"lag {lag_words(lag(database))}   queued {queue_words(queue(database))}"
    if not style.slow:
        tail += f"   {clock_time(style.now)}Z"
    state = state_text(database_state(database), style)
    path = cut_start(plain(database.path), max(8, width - len(tail) - state.cell_len - 6))
    line.append(path, style="bold")
    line.append("  ")
    line.append_text(state)
    line.append(" " * max(2, width - line.cell_len - len(tail) - 1) + tail)
    return [line]


def troubles(database: DatabaseStatus, width: int) -> list[Text]:
    """What is wrong, for a terminal that has no room for anything else of it."""
    if database.error:
        return error_lines(database.error, width, "red" if database_state(database) is ERROR else "yellow")
    failing = [item for item in database.replicas if item.errors_in_a_row]
    return [line for item in failing[:1] for line in error_lines(f"{item.name}: {item.last_error}", width)]


def wal(database: DatabaseStatus, width: int, style: Style) -> list[Text]:
    """The WAL panel: what is copied, of which life of the WAL, and what checkpoints do."""
    salts = f"{database.wal_salt[:8]} {database.wal_salt[8:]}" if database.wal_salt else "-"
    never = "nothing copied: it is paused" if database.paused_at else "no commit copied yet"
    position = str(database.position) if database.position is not None else never
    checkpoint = f"checkpoint {happened(database.last_checkpoint, style, 'none yet')}"
    if database.checkpoint_words:
        checkpoint += f": {database.checkpoint_words}"
    lines = [f" {position}"]
    if not style.slow:
        # The time changes with every look, and a slow line is sent nothing but news.
        lines = [f" {position}   last sync {happened(database.last_sync, style)}"]
    if database.generation_began or database.generation_reason:
        began = f"{database.generation_began[5:16].replace('T', ' ')}Z" if database.generation_began else "unknown"
        lines.append(f" generation began {began}: {plain(database.generation_reason) or 'no reason recorded'}")
    frames = f"frames {database.wal_frames:,}   {size(database.wal_bytes)}"
    lines += [f" page size {database.page_size:,}   {frames}   salts {salts}", f" {checkpoint}"]
    made = [Text(cut_end(line, width)) for line in lines]
    if words := paused_words(database, style):
        made.append(Text(cut_end(f" {words}", width), style=PAUSED.style))
    if database.checkpoint_blocked:
        times = "once" if database.checkpoint_blocked == 1 else f"{database.checkpoint_blocked} times in a row"
        words = f" blocked {times}: another connection reads or writes; the WAL grows until it ends"
        made.append(Text(cut_end(words, width), style="yellow"))
    if database.error:
        made += error_lines(database.error, width, "red" if database_state(database) is ERROR else "yellow")
    return made


def replicas(database: DatabaseStatus, chosen: str, width: int, style: Style) -> list[Text]:
    """The replicas panel; `chosen` is the one whose generations are shown."""
    made: list[Text] = []
    for item in database.replicas[:REPLICAS_MAX]:
        made += _replica(item, item.name == chosen and len(database.replicas) > 1, width, style)
    if len(database.replicas) > REPLICAS_MAX:
        made.append(Text(f"   and {len(database.replicas) - REPLICAS_MAX} more"))
    if not database.replicas:
        made.append(Text("   none is configured: nothing of this database is replicated", style="yellow"))
    return made


def _replica(replica: ReplicaStatus, chosen: bool, width: int, style: Style) -> list[Text]:
    where = f"{short_position(replica.position)}   behind {behind_words(replica)}"
    line = Text(">" if chosen else " ")
    line.append_text(state_text(replica_state(replica), style, 11))
    line.append(f"{plain(replica.name)}  ", style="bold")
    room = width - line.cell_len - len(where) - 3
    line.append(fit(plain(replica.address), max(0, room)))
    line.append(f"  {where}")
    line.truncate(width)
    words = [f"uploaded {happened(replica.last_upload, style)}"]
    words.append(f"snapshot {happened(replica.snapshot_time, style, 'unknown')}")
    if replica.next_snapshot:
        words.append(f"next {day_time(replica.next_snapshot)}")
    words.append(verified_text(replica.verified, style))
    if replica.proven:
        words.append(f"restorable, checked {style.ago(replica.proven)}")
    made = [line, Text(cut_end(f"   {'   '.join(words)}", width))]
    if replica.verified is not None and replica.verified.outcome != "ok":
        made += error_lines(f"verification: {replica.verified.words}", width)
    if replica.warning:
        made += error_lines(replica.warning, width, "yellow")
    if replica.duty_warning:
        made += error_lines(replica.duty_warning, width, "yellow")
    if replica.lost:
        made += error_lines(replica.lost, width, "yellow")
    if upload := upload_words(replica):
        made.append(Text(cut_end(f"   uploading {upload}", width), style="cyan"))
    if replica.errors_in_a_row:
        times = "1 error" if replica.errors_in_a_row == 1 else f"{replica.errors_in_a_row} errors in a row"
        comes = style.until(replica.next_try)
        made += error_lines(f"{times}, next try {comes}: {replica.last_error}", width)
    return made


def generations_title(listing: Listing | None, replica: str, reading: bool, style: Style) -> str:
    """What the panel of generations says of itself."""
    if listing is None:
        return f"generations in {replica}: reading" if reading else f"generations in {replica}"
    if listing.error and not listing.generations:
        return f"generations in {replica}: {'reading again' if reading else 'none was read'}"
    count = f"{len(listing.generations)} generation" + ("" if len(listing.generations) == 1 else "s")
    if style.slow:
        return f"{count} in {replica}"
    return f"{count} in {replica}, {'reading again' if reading else f'read {clock_time(listing.read)}Z'}"


def generations_head(width: int) -> Text:
    """The names of the columns."""
    name = fit("GENERATION", 16 if width >= _WIDE else 10)
    head = f" {name}  {'START':12}  {'END':12}  {'SNAP':>4}  {'SEGM':>6}  {'SIZE':>7}"
    if width >= _WIDE:
        head += "  WHY IT BEGAN"
    return Text(cut_end(head, width), style="bold")


def generation_height(width: int) -> int:
    """Lines that each generation takes."""
    return 2 if width >= _WIDE else 3


def window_of(listing: Listing, width: int) -> Window:
    """The stretch of time that shows all generations."""
    first = min(item.summary.start for item in listing.generations)
    last = max(item.summary.end for item in listing.generations)
    return fitting(first.timestamp(), last.timestamp(), max(10, width - len(_INDENT) - 1))


def axis_line(window: Window) -> Text:
    """The times above the timelines."""
    return Text(_INDENT + axis(window), style="dim")


def generation(item: HeldGeneration, cursor: bool, window: Window, width: int, style: Style) -> list[Text]:
    """One generation with its timeline; why it began stands at the end, or on a line of its own where that is short."""
    wide, made = width >= _WIDE, item.summary
    line = Text(">" if cursor else " ")
    line.append(fit(made.generation, 16) if wide else fit(made.generation[:8], 10), style="bold" if cursor else "")
    line.append(f"  {day_time(made.start.timestamp())}  {day_time(made.end.timestamp())}")
    line.append(f"  {made.snapshots:>4,}  {made.segments:>6,}  {size(made.size):>7}")
    why = Text(_reason(made)) if made.restorable else Text("no snapshot: it cannot be restored", style="red")
    timeline = Text(_INDENT + row(item.point_map, window, marks=ASCII if style.ascii else SIGNS), style="cyan")
    lines = [Text.assemble(line, "  ", why), timeline] if wide else [line, Text.assemble(_INDENT, why), timeline]
    for text in lines:
        text.truncate(width, overflow="ellipsis")
    return lines


def generation_words(item: HeldGeneration, width: int, style: Style) -> list[Text]:
    """The generation under the cursor in full, and what is wrong with it."""
    made = item.summary
    words = f" {made.generation}  {_reason(made)}"
    if made.previous:
        words += f"; before it {made.previous[:8]}"
    lines = [Text(cut_end(words, width), style="dim")]
    lost = [missing.name for missing in item.point_map.missing]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        sign = (ASCII if style.ascii else SIGNS).missing
        lines.append(Text(cut_end(f" {sign} missing: {plain(lost[0])}{more}", width), style="red"))
    if item.point_map.damaged:
        words = f" damaged, left out: {plain(', '.join(item.point_map.damaged))}"
        lines.append(Text(cut_end(words, width), style="red"))
    return lines


def _reason(item: GenerationSummary) -> str:
    return plain(item.reason) or "why it began is not noted: Litestream wrote it"

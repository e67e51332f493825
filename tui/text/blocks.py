"""Lines that several screens show: titles, states, times, and errors with what comes next. Pure."""

import textwrap

from rich.cells import cell_len
from rich.text import Text

from replication.scrub import scrub
from replication.status import ReplicaStatus, Verification
from tui.text.cells import cut_end
from tui.text.format import plain, size
from tui.text.states import State
from tui.text.style import Style

ERROR_LINES_MAX = 3


def rule(title: str, width: int, style: Style, end: str = "") -> Text:
    """A line across the screen with a title in it, and words at its end where there is room for them."""
    bar = style.mark("─", "-")
    title = cut_end(plain(title), max(0, width - 4))
    line = Text(f"{bar} ", style="dim")
    line.append(title, style="bold not dim")
    line.append(" ")
    end = cut_end(plain(end), max(0, width - line.cell_len - 5)) if end else ""
    if not end:
        line.append(bar * max(0, width - line.cell_len))
        return line
    line.append(bar * max(0, width - line.cell_len - cell_len(end) - 3))
    line.append(f" {end} ", style="not dim")
    line.append(bar)
    return line


def state_text(state: State, style: Style, width: int = 0) -> Text:
    """Mark and word in the state's colour, filled to `width`."""
    return Text(style.state(state).ljust(width), style="" if state.style == "default" else state.style)


def happened(time: float, style: Style, never: str = "never") -> str:
    """When something was, or that it never was."""
    return style.ago(time) if time else never


def verified_text(verified: Verification | None, style: Style) -> str:
    """The last verification in a few words."""
    if verified is None:
        return "never verified"
    return f"verified {verified.outcome} {style.ago(verified.time)}"


def object_name(name: str) -> str:
    """The last part of an object's name, which tells index and offset: 00000003_00000020.wal."""
    return plain(name.rpartition("/")[2].removesuffix(".lz4"))


def upload_words(replica: ReplicaStatus) -> str:
    """How far the object in flight is, and its name; nothing if there is none."""
    if not replica.uploading or replica.errors_in_a_row:
        return ""
    total = replica.uploading_total_bytes
    share = f"{100 * replica.uploading_bytes // total}% of {size(total)}" if total else size(replica.uploading_bytes)
    also = f", and {object_name(replica.uploading_also)}" if replica.uploading_also else ""
    return f"{share}  {object_name(replica.uploading)}{also}"


def error_lines(words: str, width: int, style: str = "red") -> list[Text]:
    """An error on a few lines, indented; nothing in it is markup or an escape."""
    lines = textwrap.wrap(plain(scrub(words)), max(10, width - 4)) or [""]
    if len(lines) > ERROR_LINES_MAX:
        lines = [*lines[: ERROR_LINES_MAX - 1], lines[ERROR_LINES_MAX - 1] + "…"]
    return [Text(f"   {line}", style=style) for line in lines]

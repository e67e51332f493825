"""A restore under way and its end, as lines of text. Pure.

Its promise: at every moment it says which stage is being done, and at the end what was made, or that nothing was.
"""

from dataclasses import dataclass

from rich.text import Text

from replication.restore.meter import Phase, RestoreProgress
from replication.restore.restore import RestoreResult
from tui.text.blocks import error_lines
from tui.text.cells import cut_end, cut_start
from tui.text.format import age, counted, plain, size
from tui.text.style import Style

RATE_SECONDS_MIN = 0.5
"""Rate and time left are shown only after so long."""
_KEY_CELLS = 11
_BAR_CELLS = 20

PAUSE, RESUME = (
    "pause replication, look that nobody uses it",
    "keep the old content, write the new one, go on replicating",
)
_PHASES: dict[Phase, str] = {
    "plan": "list the replica and plan",
    "snapshot": "snapshot",
    "wal": "WAL segments",
    "check": "check",
    "done": "put in place",
}


@dataclass(frozen=True, slots=True)
class RunningRestore:
    """A restore under way: `progress` once the restore began, `seconds` since then.

    `over` is true for one in the place of the live database.
    """

    over: bool
    progress: RestoreProgress | None
    seconds: float
    cancelling: bool = False


def stages(run: RunningRestore) -> list[str]:
    """All stages, in order."""
    phases = [words for phase, words in _PHASES.items() if not (run.over and phase == "done")]
    return [PAUSE, *phases, RESUME] if run.over else phases


def at_stage(run: RunningRestore) -> int:
    """The number of the stage that is being done."""
    if run.progress is None:
        return 0
    number = list(_PHASES).index(run.progress.phase)
    return number + 1 if run.over else number


def lines(run: RunningRestore, width: int, style: Style) -> list[Text]:
    """The stages with ticks, and how far the restore is."""
    here, made = at_stage(run), []
    for number, words in enumerate(stages(run)):
        mark = style.mark("✔", "+") if number < here else style.mark("◐", "~") if number == here else " "
        line = Text(f" {mark} ", style="green" if number < here else "cyan" if number == here else "dim")
        line.append(words, style="" if number <= here else "dim")
        made.append(line)
    progress = run.progress
    if progress is not None and progress.bytes_total:
        share = progress.bytes_done / progress.bytes_total
        full = int(share * _BAR_CELLS)
        bar = style.mark("█", "#") * full + style.mark("░", ".") * (_BAR_CELLS - full)
        words = f" {bar} {int(100 * share):3}%  {size(progress.bytes_done)} of {size(progress.bytes_total)}"
        words += f"  {progress.objects_done}/{progress.objects_total} objects"
        if run.seconds >= RATE_SECONDS_MIN and progress.bytes_done:
            rate = progress.bytes_done / run.seconds
            words += f"  {size(rate)}/s"
            if progress.bytes_done < progress.bytes_total:
                words += f"  {age((progress.bytes_total - progress.bytes_done) / rate)} left"
        made += [Text(), Text(cut_end(words, width))]
    if run.cancelling:
        made += [Text(), Text(" cancelling: what was written is removed", style="yellow")]
    return made


def done(result: RestoreResult, kept: str, check: str, paused: bool, width: int, style: Style) -> list[Text]:
    """What was made.

    `kept` is where the old database is, if there was one; `paused` is true if replication still is; `check` is how
    SQLite checked it, "" where that is not known.
    """
    made = [Text(f" {style.mark('✔', '+')} ok, in {result.seconds:.2f} s", style="bold green"), Text()]
    objects = counted(result.segments + 1, "object")
    facts = [
        ("path", str(result.output)),
        ("size", f"{size(result.size)}, {result.pages} pages of {result.page_size} bytes"),
        ("position", str(result.position)),
        ("from", f"{result.replica}, {objects}, {size(result.bytes_fetched)}"),
        ("check", "none, as asked" if check == "none" else f"{check}: {result.check}" if check else result.check),
    ]
    if kept:
        facts.append(("old file", kept))
        begins = "a new generation begins when P resumes it" if paused else "a new generation begins with it"
        facts.append(("next", f"{begins}; start the application again"))
    for key, value in facts:
        value = plain(value)
        room = max(10, width - _KEY_CELLS - 1)
        shown = cut_start(value, room) if key in ("path", "old file") else cut_end(value, room)
        made.append(Text(f" {key:{_KEY_CELLS}}{shown}"))
    for warning in result.warnings:
        made += error_lines(warning, width, "yellow")
    return made


def failed(words: str, cancelled: bool, over: bool, paused: bool, width: int, style: Style) -> list[Text]:
    """Why nothing was restored, and that nothing was left behind."""
    head = "cancelled" if cancelled else f"{style.mark('✖', 'x')} failed"
    made = [Text(f" {head}", style="yellow" if cancelled else "bold red"), Text()]
    if not cancelled:
        made += error_lines(words, width)
        made.append(Text())
    goes_on = "is still paused" if paused else "goes on"
    left = f"The live database is as it was, and its replication {goes_on}." if over else "Nothing was left behind."
    return [*made, Text(f" {left}")]

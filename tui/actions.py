"""Every action of the screens, in one table. Bindings, footer, help and palette are made from it. Pure.

An action `sync` runs the method `action_sync` of the screen in front (or of the application). Its id is what a
user writes to give it other keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a key does. `keys` are Textual's names, single characters as they are."""

    id: str
    keys: tuple[str, ...]
    words: str
    """One or two words, for the footer."""
    help: str
    where: tuple[str, ...] = (EVERYWHERE,)
    """The screens that have it."""
    footer: int = 0
    """Its place in the footer, lowest first; 0 is not shown there."""
    changes_something: bool = False
    """True for an action that --read-only takes away."""


_LISTS = (
    "dashboard",
    "detail",
    "uploads",
    "log",
    "help",
    "plan",
    "preview",
    "differences",
    "jobs",
    "sql",
    "bring_back",
)
_SHORT_LISTS = ("palette", "find")
_ON_A_DATABASE = ("dashboard", "detail")

ACTIONS: tuple[Action, ...] = (
    Action("snapshot", ("s",), "Snapshot", "write a snapshot to every replica now", _ON_A_DATABASE, 1, True),
    Action("restore", ("r",), "Restore", "choose a moment and restore it", _ON_A_DATABASE, 2),
    Action("detail", ("enter",), "Detail", "generations, WAL and replicas of the database", ("dashboard",), 3),
    Action("filter", ("/",), "Filter", "show only what holds these letters", ("dashboard", "log"), 4),
    Action("restore_latest", ("R",), "Latest", "restore the latest commit to a new file", _ON_A_DATABASE, 0, True),
    Action("verify", ("v",), "Verify", "restore to a temporary file, compare with the source", _ON_A_DATABASE, 7, True),
    Action("sync", ("y",), "Sync", "look and upload now, waiting for no gap and no retry", _ON_A_DATABASE, 0, True),
    Action("pause", ("P",), "Pause", "pause replication of the database, or resume it", _ON_A_DATABASE, 0, True),
    Action("uploads", ("u",), "Uploads", "what is uploaded now, waits, and was uploaded", _ON_A_DATABASE),
    Action("log", ("L",), "Log", "everything that happened", _ON_A_DATABASE),
    Action("jobs", ("J",), "Jobs", "restores and other jobs of the engine, and what came of them", _ON_A_DATABASE),
    # Moving about.
    Action("next_trouble", ("n",), "Trouble", "to the next database or host in trouble", ("dashboard",)),
    Action("trouble_before", ("N",), "Trouble before", "to the one in trouble before", ("dashboard",)),
    Action("up", ("up", "k"), "Up", "one row up", (*_LISTS, *_SHORT_LISTS)),
    Action("down", ("down", "j"), "Down", "one row down", (*_LISTS, *_SHORT_LISTS)),
    Action("page_up", ("pageup",), "Page up", "a page up", _LISTS),
    Action("page_down", ("pagedown",), "Page down", "a page down", _LISTS),
    Action("first", ("home",), "First", "to the first row", _LISTS),
    Action("last", ("end",), "Last", "to the last row", _LISTS),
    # Detail, uploads, log.
    Action("reload", ("g",), "Reload", "read the list of generations from the replica again", ("detail", "restore"), 3),
    Action("retry", ("x",), "Retry now", "try what waits for its next try at once", ("uploads",), 1, True),
    Action("level", ("v",), "Level", "show only this level and above", ("log",), 1),
    Action("follow", ("space",), "Follow", "keep the newest line in sight, or stop", ("log",), 2),
    Action("save", ("w",), "Save", "write the lines shown to a file", ("log",), 3),
    Action("open_job", ("enter",), "Open", "a restore: how far it is, and what came of it", ("jobs",), 1),
    Action("cancel_job", ("c",), "Cancel", "cancel this job; what it wrote is removed", ("jobs", "reopened"), 1, True),
    # The restore picker.
    Action("point_before", ("left", "up", "h", "k"), "Point", "the commit before", ("restore",)),
    Action("point_after", ("right", "down", "l", "j"), "Point after", "the commit after", ("restore",)),
    Action("page_before", ("pageup",), "Page before", "as many commits back as are in sight", ("restore",)),
    Action("page_after", ("pagedown",), "Page after", "as many commits on", ("restore",)),
    Action("find", ("F",), "Find", "find the commit before a table went, or anything else changed", ("restore",), 1),
    Action("type_time", ("t",), "Time", "type a time: 12:04, 3am, -15m, yesterday 14:00", ("restore",), 2),
    Action("tell", ("T",), "Tell", "read what commits did, however much of the replica that takes", ("restore",)),
    Action("look", ("space",), "Look", "open the database of this moment and look at its tables", ("restore",), 2),
    Action("run", ("enter",), "Restore", "restore this point", ("restore",), 2),
    Action("output", ("e",), "Output", "choose the path of the restored file", ("restore",), 5),
    Action(
        "over", ("W",), "Over", "restore over the live database: asks, and keeps the old file", ("restore",), 0, True
    ),
    Action("check", ("i",), "Check", "how SQLite checks the result: none, quick, full", ("restore",)),
    Action("plan", ("p",), "Plan", "the objects that would be fetched", ("restore",)),
    Action("snapshot_before", ("[",), "Snapshot", "the snapshot before", ("restore",)),
    Action("snapshot_after", ("]",), "Snapshot after", "the snapshot after", ("restore",)),
    Action("minute_before", ("m",), "-1 minute", "a minute earlier", ("restore",)),
    Action("minute_after", ("M",), "+1 minute", "a minute later", ("restore",)),
    Action("hour_before", ("o",), "-1 hour", "an hour earlier", ("restore",)),
    Action("hour_after", ("O",), "+1 hour", "an hour later", ("restore",)),
    Action("day_before", ("d",), "-1 day", "a day earlier", ("restore",)),
    Action("day_after", ("D",), "+1 day", "a day later", ("restore",)),
    Action("generation_newer", ("{",), "Newer generation", "the generation above", ("restore",)),
    Action("generation_older", ("}",), "Older generation", "the generation below", ("restore",)),
    Action("zoom_in", ("+",), "Zoom in", "a shorter stretch of time", ("restore",)),
    Action("zoom_out", ("-",), "Zoom out", "a longer stretch of time", ("restore",)),
    Action("oldest", ("home",), "Oldest", "the oldest point of the generation", ("restore",)),
    Action("newest", ("end",), "Newest", "the newest point of the generation", ("restore",)),
    # A restore under way, and the tables of another moment.
    Action("close", ("enter",), "Close", "back, when it has ended", ("restoring", "reopened"), 1),
    Action("rows", ("enter",), "Rows", "the rows of this table that differ from today's", ("preview",), 1),
    Action("mark", ("space",), "Mark", "mark this row, or no longer", ("differences",), 2),
    Action(
        "bring_back",
        ("b",),
        "Bring back",
        "bring rows back into the live database: marked ones, or all of the table; first it says what would happen",
        ("preview", "differences"),
        1,
        True,
    ),
    Action(
        "bring_back_found", ("b",), "Bring back", "bring back what a search found to be lost", ("restore",), 0, True
    ),
    Action("sql", ("s",), "SQL", "ask SQL of that moment, which only reads", ("restore", "preview", "differences"), 6),
    # Rows brought back.
    Action("apply", ("enter",), "Bring back", "do what the preview says, as one transaction", ("bring_back",), 1, True),
    Action(
        "conflict", ("c",), "Conflict", "what becomes of a row in the way: skip, replace or abort", ("bring_back",), 2
    ),
    Action("write", ("w",), "Write", "write the rows to a file, as SQL or CSV", ("bring_back",), 3, True),
    # Quit.
    Action("leave_running", ("b",), "Background", "leave replication running, without a screen", ("quit",), 1),
    Action("wait_and_quit", ("w",), "Wait and quit", "upload what is left, then end", ("quit",), 2),
    Action("quit_now", ("n",), "Quit now", "end at once; what is left goes with the next start", ("quit",), 3),
    # Everywhere.
    Action("help", ("?",), "Help", "the keys of this screen, and the marks"),
    Action("quit", ("q", "ctrl+c"), "Quit", "end, or leave it running; attached, only detach"),
    Action("back", ("escape",), "Back", "to the screen before"),
    Action("palette", ("ctrl+p", ":"), "Palette", "all actions of this screen, by name"),
    Action("next_panel", ("tab",), "Next panel", "to the next panel"),
    Action("freeze", ("f",), "Freeze", "hold the display still, or let it go on; replication goes on"),
)

FOOTER_KEYS_MAX = 6
"""A seventh would be cut off at 80 columns."""

_SHOWN = {
    "enter": "⏎",
    "escape": "esc",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}
_SHOWN_ASCII = {"enter": "Enter", "left": "Left", "right": "Right", "up": "Up", "down": "Down"}

Keys = Mapping[str, tuple[str, ...]]


def actions_of(where: str, read_only: bool = False) -> Iterator[Action]:
    """The actions of a screen in the table's order, those of every screen last."""
    for action in ACTIONS:
        if (where in action.where or EVERYWHERE in action.where) and not (read_only and action.changes_something):
            yield action


def footer_of(where: str, read_only: bool = False) -> list[Action]:
    """What the footer shows, at most FOOTER_KEYS_MAX, most important first; at its end the way out, always."""
    ends = ("help", "quit") if where == "dashboard" else ("help", "back")
    actions = list(actions_of(where, read_only))
    always = [item for item in actions if item.id in ends]
    others = sorted((item for item in actions if item.footer), key=_footer_place)
    return others[: FOOTER_KEYS_MAX - len(always)] + always


def _footer_place(action: Action) -> int:
    return action.footer


def keys_of(action: Action, keys: Keys) -> tuple[str, ...]:
    """The keys of an action, with those that the user gave it in place of its own."""
    return keys.get(action.id, action.keys)


def shown_key(key: str, ascii: bool = False) -> str:
    """A key as people write it."""
    return (_SHOWN_ASCII.get(key) if ascii else None) or _SHOWN.get(key, key)

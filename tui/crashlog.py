"""The log of the screen: a file, as the terminal is taken. Events of the engine, and errors that nobody foresaw.

Its promise: bounded in size, readable by its owner alone, and never the reason why anything fails.
"""

import logging
import logging.handlers
import os
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

from replication.events import Event
from replication.logs import attrs
from replication.scrub import scrub
from tui.format import plain

LOG_BYTES_MAX = 1_000_000
"""Size of the file; one older file of this size is kept beside it."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LOGGER = "tui.screen"


def log_path(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/litestream-tui/log, by default below ~/.local/state."""
    base = environ.get("XDG_STATE_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path(os.path.expanduser("~/.local/state"))  # noqa: PTH111
    return folder / "litestream-tui" / "log"


def open_log(path: Path) -> Path | None:
    """Send the log there; the path, or None if no file can be written. Nothing goes to the terminal either way."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    handler: logging.Handler
    try:
        for folder in reversed([path.parent, *path.parent.parents]):
            # Each of its own: `parents=True` leaves the mode of all but the last to the umask.
            folder.mkdir(exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES_MAX, backupCount=1, delay=True)
    except OSError:
        root.addHandler(logging.NullHandler())
        return None
    handler.setFormatter(_Formatter())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("replication", "tui"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.raiseExceptions = False
    return path


def record(error: BaseException, where: str) -> str:
    """Write an error that nobody foresaw, with its traceback; the one line to show for it."""
    lines = "".join(traceback.format_exception(error))
    logging.getLogger(_LOGGER).error("unforeseen error in %s\n%s", where, lines)
    return scrub(f"{type(error).__name__} in {where}: {error}".replace("\n", " "))


def write(events: Iterable[Event]) -> None:
    """Write what happened in the engine; what is only for debugging is left out."""
    for event in events:
        values = attrs(**dict(event.attributes))
        if event.database:
            values["attrs"] = {"db": event.database, "replica": event.replica, **values["attrs"]}
        logging.getLogger("tui.engine").log(_LEVELS[event.level], event.message, extra=values)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values = getattr(record, "attrs", {})
        text = " ".join([record.getMessage(), *(f"{key}={value}" for key, value in values.items() if value != "")])
        if values:
            # One event is one line, whatever its values hold; only a traceback has several.
            text = plain(text)
        return scrub(f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S%z')} {record.levelname} {text}")

"""The log of the screen, which goes to a file because the screen has the terminal: events and unexpected errors.

Its promise: bounded in size, readable by its owner alone, and never the reason why anything fails. Under sudo its
folder may be another user's: it is reached through no link that leads elsewhere, and only a plain file is
written to.
"""

import logging
import logging.handlers
import os
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from replication.events import Event
from replication.logs import attrs
from replication.nofollow import make_folder, open_nearest, open_plain, opened
from replication.scrub import scrub
from tui.text.format import plain

LOG_BYTES_MAX = 1_000_000
"""Size of the file; one older file of this size is kept beside it."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LOGGER = "tui.screen"


def log_path(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/litestream-tui/log, by default below ~/.local/state."""
    base = environ.get("XDG_STATE_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path(os.path.expanduser("~/.local/state"))  # noqa: PTH111
    return folder / "litestream-tui" / "log"


@dataclass(frozen=True, slots=True)
class ScreenLog:
    """The file that the log goes to, or why it goes nowhere."""

    path: Path | None
    problem: str = ""


def open_log(path: Path) -> ScreenLog:
    """Send the log to a file, or nowhere if that cannot be written. Nothing goes to the terminal either way."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old, _Rotating):
            old.close()
    try:
        handler = _Rotating(path)
    except OSError as error:
        root.addHandler(logging.NullHandler())
        return ScreenLog(None, f"No log of this screen is kept: {error.filename or path}: {error.strerror}")
    handler.setFormatter(_Formatter())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("replication", "tui"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.raiseExceptions = False
    return ScreenLog(path)


def record(error: BaseException, where: str) -> str:
    """Write an unexpected error, with its traceback. Return the one line to show for it."""
    lines = "".join(traceback.format_exception(error))
    logging.getLogger(_LOGGER).error("unexpected error in %s\n%s", where, lines)
    return scrub(f"{type(error).__name__} in {where}: {error}".replace("\n", " "))


def write(events: Iterable[Event]) -> None:
    """Write what happened in the engine, without what is only for debugging."""
    for event in events:
        values = attrs(**dict(event.attributes))
        if event.database:
            values["attrs"] = {"db": event.database, "replica": event.replica, **values["attrs"]}
        logging.getLogger("tui.engine").log(_LEVELS[event.level], event.message, extra=values)


class _Rotating(logging.handlers.RotatingFileHandler):
    """Reaches the file and the older one from their folder, which stays open. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._folder, missing = open_nearest(path.parent)
        try:
            for name in missing:
                with opened(self._folder) as above:
                    self._folder, _ = make_folder(above, name, 0o700)
            super().__init__(path, maxBytes=LOG_BYTES_MAX, backupCount=1)
        except BaseException:
            os.close(self._folder)
            raise

    def _open(self) -> TextIOWrapper:
        file = open_plain(self._folder, Path(self.baseFilename).name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(file, "a", encoding=self.encoding, errors=self.errors)

    def doRollover(self) -> None:  # noqa: N802 (its name)
        name = Path(self.baseFilename).name
        if self.stream is not None:
            self.stream.close()
        # The next record opens the file. If it cannot be renamed it cannot be written to either, and does not grow.
        self.stream = None
        with suppress(FileNotFoundError):
            os.rename(name, f"{name}.1", src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def close(self) -> None:
        super().close()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values = getattr(record, "attrs", {})
        text = " ".join([record.getMessage(), *(f"{key}={value}" for key, value in values.items() if value != "")])
        if values:
            # One event is one line, whatever its values hold; only a traceback has several.
            text = plain(text)
        return scrub(f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S%z')} {record.levelname} {text}")

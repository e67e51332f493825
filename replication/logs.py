"""The log of the command line, in the shapes of Litestream: text lines of Go's slog, or JSON.

    time=2026-11-22T16:52:23.881Z level=INFO msg="replicating to" db=/srv/app.db replica=s3

Its promise: one event is one line, whatever its values hold, and no line holds a registered secret, a
traceback or an escape that a terminal would obey. It leaves to the caller what is worth a line.
Times are UTC. Modules log through logging.getLogger(__name__), with values given as `extra=attrs(db=path)`.
"""

import json
import logging
import math
import os
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from replication.line_writer import LineWriter
from replication.scrub import register_secret, scrub

__all__ = ["LEVELS", "attrs", "register_secret", "set_up_logging"]

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
"""The words of the configuration."""

VALUE_CHARS_MAX = 4096
"""A longer message or value is cut."""

FLUSH_SECONDS_MAX = 1.0
"""How long the end of the program waits for the reader of the log."""

PROGRAM_LOGGERS = ("replication", "tui")
"""Those the level is for. Libraries log from warnings up: at debug, botocore writes signed requests."""

_RESET = "\x1b[0m"
_COLOURS = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARN": "\x1b[33m", "ERROR": "\x1b[31m"}
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def attrs(**values: object) -> dict[str, dict[str, object]]:
    """Values for one log line: `logger.info("sync", extra=attrs(db=path, size=12))`."""
    return {"attrs": values}


def set_up_logging(
    level: str = "info",
    type: str = "text",
    stderr: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Send the log to stdout, stderr or `stream`; a second call replaces the first.

    `level` is one of LEVELS, `type` text or json; anything else is a ValueError.
    """
    if level not in LEVELS or type not in ("text", "json"):
        raise ValueError(f"there is no log level {level!r} with type {type!r}")
    target = stream or (sys.stderr if stderr else sys.stdout)
    colour = target.isatty() and not os.environ.get("NO_COLOR")
    handler = _LineHandler(target)
    handler.setFormatter(_JSONFormatter() if type == "json" else _TextFormatter(colour))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _LineHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in PROGRAM_LOGGERS:
        logging.getLogger(name).setLevel(LEVELS[level])


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be written is lost, for replication must not stop over its log.

    The reader of a pipe or a terminal may stop reading: those are written to by a thread of their own, and lines that
    wait for it in vain are counted, and the count is logged once the reader is back.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines = LineWriter(stream.fileno(), self._tell_of_lost) if _may_wait(stream) else None

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines is None:
            super().emit(record)
            return
        try:
            self._lines.put(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        if self._lines is None:
            super().flush()
        else:
            self._lines.flush(FLUSH_SECONDS_MAX)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  The name is logging's.
        pass

    def _tell_of_lost(self, count: int) -> bytes:
        words = f"{count} lines of this log are lost, since nobody read it"
        record = logging.LogRecord(__name__, logging.WARNING, "", 0, words, None, None)
        return f"{self.format(record)}\n".encode(errors="backslashreplace")


def _may_wait(stream: TextIO) -> bool:
    """True for what a reader stands behind."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False  # it has no descriptor, as under a test


class _TextFormatter(logging.Formatter):
    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = _level(record)
        rest = [f"msg={quote(_message(record))}"]
        rest += [f"{quote(key)}={quote(_text(value))}" for key, value in _attributes(record).items()]
        if self._colour:
            level = f"{_COLOURS[level]}{level}{_RESET}"
        return f"time={_time(record, 'milliseconds')} level={level} {' '.join(rest)}"


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record, "microseconds"), "level": _level(record), "msg": _message(record)}
        values = {
            key: value if isinstance(value, int | None) else _number_or_text(value)
            for key, value in _attributes(record).items()
            if key not in line
        }
        text = json.dumps({**line, **values}, ensure_ascii=False)
        # JSON itself escapes only some control characters.
        return text if text.isprintable() else json.dumps({**line, **values})


def quote(text: str) -> str:
    """`text` as slog writes it: bare if it can be, else as a Go string literal."""
    bare = bool(text) and not any(char in ' ="' or not char.isprintable() for char in text)
    return text if bare else '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision)[:-6] + "Z"


def _level(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "ERROR"
    if record.levelno >= logging.WARNING:
        return "WARN"
    return "INFO" if record.levelno >= logging.INFO else "DEBUG"


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        # Arguments that do not fit the message: the line is worth more than its arguments.
        message = str(record.msg)
    return _cut(scrub(message))


def _attributes(record: logging.LogRecord) -> dict[str, object]:
    values = dict(getattr(record, "attrs", {}))
    if record.exc_info and record.exc_info[1] is not None:
        values.setdefault("error", record.exc_info[1])
    return {scrub(key): value for key, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _cut(scrub(str(value)))


def _number_or_text(value: object) -> float | str:
    return value if isinstance(value, float) and math.isfinite(value) else _text(value)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…"

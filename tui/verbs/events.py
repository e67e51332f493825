"""events: what happened in the engine that runs, a line each; -follow goes on until interrupted or the engine ends."""

import signal
import time
from argparse import Namespace
from contextlib import closing
from datetime import UTC, datetime

from replication.control.client import Client
from replication.errors import NoEngineError
from replication.events import Event
from replication.wire import dumps
from tui.verbs.console import complain, say
from tui.verbs.running_engine import client_of

_WAIT_SECONDS = 20.0
_AGAIN_SECONDS = 1.0


def run(args: Namespace) -> int:
    """Print the events, and return the exit code."""
    if args.follow:
        # A service that follows is ended so, and has told all that it has read.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with closing(client_of(args)) as client:
        seen = _tell(client.events_since(args.after), args.json)
        if not args.follow:
            return 0
        seen = max(seen, args.after)
        while True:
            seen = max(seen, _tell(_next(client, seen), args.json))


def _next(client: Client, seen: int) -> list[Event]:
    """The next events. An engine that is started anew is waited for, and its end is reported once."""
    told = False
    while True:
        try:
            return client.wait_events(seen, _WAIT_SECONDS)
        except NoEngineError as error:
            if not told:
                complain(f"{error}; waiting for the next one")
                told = True
            time.sleep(_AGAIN_SECONDS)


def _tell(events: list[Event], as_json: bool) -> int:
    if events:
        say("\n".join(dumps(event) if as_json else _line(event) for event in events))
    return events[-1].number if events else 0


def _line(event: Event) -> str:
    """As the log has it: time, level, message, and what belongs to it."""
    when = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = {"db": event.database, "replica": event.replica, **dict(event.attributes)}
    shown = "".join(f" {key}={_quoted(str(value))}" for key, value in values.items() if value != "")
    return f"{when} {event.level.upper():7} {_plain(event.message)}{shown}"


def _quoted(text: str) -> str:
    text = _plain(text)
    return f'"{text}"' if not text or any(char in text for char in ' "=') else text


def _plain(text: str) -> str:
    # Names from outside may hold what a terminal obeys.
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)

"""The control of an engine that runs elsewhere, over its Unix socket.

Its promise: whatever the connection does, each call either has the engine's answer or raises: NoEngineError in words
if none answers. It connects again by itself, and a job is begun once, however often that takes. It leaves to the caller
when to ask again.
"""

import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import h11

from replication.control import requests as ask
from replication.control.commands import Commands
from replication.control.http import HTTPError, Message, Wire
from replication.control.peer import connect
from replication.control.requests import CHANGES
from replication.control.values import API, Failure, Info, JobStatus, error_of
from replication.errors import EngineError, NoEngineError, NotAllowedError, UsageError
from replication.events import Event
from replication.scrub import quoted
from replication.status import BY_HAND, UPLOADS_MAX, EngineStatus, ReplicaStatus, Upload
from replication.wire import Plain, WireError, loads, plain, value_of, values_of

ANSWER_BYTES_MAX = 256 << 20
"""Bytes of an answer: a list of all restore points of years is some megabytes."""
ANSWER_SECONDS_MAX = 15.0
"""An engine that does not answer for so long, beside what it was asked to wait, hangs."""
IDLE_MAX = 4
"""Connections that are kept for the next request."""
READ_ONLY_HEADER = "litestream-tui-read-only"
UPLOADS_MARGIN_SECONDS = 2.0
"""An upload that ends while a status is made may be reported late, by at most this."""
_WAIT_SECONDS_MAX = 25.0

Connect = Callable[[], socket.socket]
"""Makes a connection. Raises NoEngineError, or another ReplicationError."""


class Client(Commands):
    """A JobControl. Safe from any thread; `close` lets go of its connections."""

    def __init__(self, path: Path | str, read_only: bool = False, connect_: Connect | None = None) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._connect: Connect = connect_ or (lambda: connect(self.path))
        self._idle: list[tuple[Wire, socket.socket]] = []
        self._keeps = True
        self.answer_seconds = ANSWER_SECONDS_MAX
        """How long an answer is waited for, beside what the engine is asked to wait."""
        self._lock = threading.Lock()
        self._numbers = _Numbers()
        self._uploads = Uploads()

    def close(self) -> None:
        """Let go of the connections; each question after that makes one for itself."""
        with self._lock:
            self._keeps = False
            idle, self._idle = self._idle, []
        for _, connected in idle:
            connected.close()

    # -- asking -----------------------------------------------------------------------------------------------------

    def info(self) -> Info:
        found: Info = _value(Info, self._ask("GET", "/v1/info"))
        if found.api > API:
            raise EngineError(
                f"the engine, pid {found.pid}, is litestream-tui {found.version}, and newer than this program "
                "understands; use the litestream-tui of that version"
            )
        return found

    def status(self) -> EngineStatus:
        after = self._uploads.after
        return self._uploads.merged(_value(EngineStatus, self._ask("GET", f"/v1/status?uploads_after={after!r}")))

    def events_since(self, number: int) -> list[Event]:
        return self._events(number, 0.0)

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        return self._events(number, seconds)

    def look(self, number: int) -> tuple[EngineStatus, list[Event]]:
        """How everything stands, and the events after that one."""
        return self.status(), self.events_since(number)

    def hurry(self) -> None:
        """Connect at once, where that is waited for: not here."""

    def begin(self, request: ask.Request, key: str = "") -> JobStatus:
        if self.read_only and request.DO in CHANGES:
            raise NotAllowedError("this client may only read, and gives no command")
        body = {"do": request.DO, "key": key or secrets.token_hex(8), **plain(request)}
        return _job(self._ask("POST", "/v1/jobs", body, again=True))

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        query = {"version": str(version)} if version >= 0 else {}
        return _job(self._ask("GET", f"/v1/jobs/{quote(id, safe='')}", wait=seconds, query=query))

    def jobs(self) -> tuple[JobStatus, ...]:
        found = self._ask("GET", "/v1/jobs")
        return _values(JobStatus, found.get("jobs") if isinstance(found, dict) else None)

    def cancel(self, id: str) -> JobStatus:
        return _job(self._ask("DELETE", f"/v1/jobs/{quote(id, safe='')}", again=True))

    def forget(self, id: str) -> None:
        self._ask("DELETE", f"/v1/jobs/{quote(id, safe='')}", again=True, query={"forget": "1"})

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        body = {"database": database, "holder": holder, "lease_seconds": lease_seconds}
        self._ask("POST", "/v1/renew", body, again=True)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        found = self._ask("POST", "/v1/resume", {"database": database, "holder": holder}, again=True)
        return _values(str, found.get("holders") if isinstance(found, dict) else None)

    def stop(self) -> None:
        self._ask("POST", "/v1/stop", {})

    # -- inside -----------------------------------------------------------------------------------------------------

    def _events(self, number: int, wait: float) -> list[Event]:
        found = self._ask("GET", "/v1/events", wait=wait, query={"after": str(self._numbers.theirs(number))})
        if not isinstance(found, dict):
            raise EngineError("the engine's answer cannot be understood: no events")
        events = _values(Event, found.get("events"))
        if self._numbers.is_another(str(found.get("engine"))):
            # Another engine than the one that the number is of: all that it has is news.
            found = self._ask("GET", "/v1/events?after=0")
            events = _values(Event, found.get("events") if isinstance(found, dict) else None)
        return self._numbers.ours(events)

    def _ask(
        self,
        method: str,
        target: str,
        body: Plain = None,
        wait: float = 0.0,
        query: dict[str, str] | None = None,
        again: bool | None = None,
    ) -> Plain:
        """What the engine answers. `again` says whether asking twice does no harm, as it does not for GET."""
        wait = min(max(0.0, wait), _WAIT_SECONDS_MAX)
        query = {**(query or {}), **({"wait": f"{wait:.3f}"} if wait else {})}
        target += ("&" if "?" in target else "?") + urlencode(query) if query else ""
        sent = None if body is None else dumps_request(body)
        message = self.exchange(method, target, sent, wait + self.answer_seconds, again or method == "GET")
        try:
            found = loads(message.body) if message.header("content-type") == "application/json" else None
        except WireError as error:
            raise EngineError(f"the engine's answer cannot be understood: {error}") from None
        if message.status == 200 and found is not None:
            return found
        with suppress(WireError):
            raise error_of(value_of(Failure, found))
        raise EngineError(f"the engine at {self.path} answers {message.status}: it does not know {method} {target}")

    def exchange(
        self, method: str, target: str, body: bytes | None, seconds: float, again: bool, read_only: bool = False
    ) -> Message:
        """One request and its answer, whatever it is, within so many seconds; `again` says whether asking twice does
        no harm. `read_only` is for this request alone. Raises NoEngineError, or EngineError.
        """
        headers = [("Host", "litestream-tui")]
        if self.read_only or read_only:
            headers.append((READ_ONLY_HEADER, "yes"))
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        try:
            request = h11.Request(method=method, target=target, headers=headers)
        except (h11.LocalProtocolError, UnicodeError):
            raise UsageError(f"{quoted(f'{method} {target}')!r} is no request: it must be one line of ASCII") from None
        failed: Exception = OSError("it ended while it was asked")
        for fresh in (False, True) if again else (True,):
            # The engine lets go of one that was idle for long, and nobody knows before asking; so does one that ends,
            # of all at once.
            wire, connected = self._connection(fresh)
            try:
                wire.send(request, body or b"", seconds)
                message = wire.receive(seconds)
            except TimeoutError as error:
                connected.close()
                raise EngineError(
                    f"the engine at {self.path} has not answered within {seconds:.0f} seconds; it may hang: look at "
                    "its log"
                ) from error
            except (OSError, HTTPError, h11.LocalProtocolError) as error:
                connected.close()
                failed = error
                continue
            except BaseException:
                connected.close()
                raise
            if message is not None:
                self._keep(wire, connected)
                return message
            connected.close()
        raise NoEngineError(
            f"the engine at {self.path} ended, or let go of the connection, while it was asked ({failed}); ask again, "
            "and see whether it still runs"
        )

    def _connection(self, fresh: bool) -> tuple[Wire, socket.socket]:
        with self._lock:
            if self._idle and not fresh:
                return self._idle.pop()
        connected = self._connect()
        return Wire(h11.CLIENT, connected, ANSWER_BYTES_MAX), connected

    def _keep(self, wire: Wire, connected: socket.socket) -> None:
        with self._lock:
            if self._keeps and len(self._idle) < IDLE_MAX and wire.next():
                self._idle.append((wire, connected))
                return
        connected.close()


class _Numbers:
    """Numbers of events that go on over a restart of the engine, which begins at 1 again. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine = ""
        self._before = 0
        """What is added to a number of this engine."""
        self._seen = 0

    @property
    def engine(self) -> str:
        with self._lock:
            return self._engine

    def theirs(self, number: int) -> int:
        with self._lock:
            return max(0, number - self._before)

    def is_another(self, engine: str) -> bool:
        with self._lock:
            known, self._engine = self._engine, engine
            if known in ("", engine):
                return False
            self._before = self._seen
            return True

    def ours(self, events: tuple[Event, ...]) -> list[Event]:
        with self._lock:
            found = [replace(event, number=event.number + self._before) for event in events]
            self._seen = max([self._seen, *(event.number for event in found)])
            return found


class Uploads:
    """The last uploads of each replica, of which an engine sends only the new ones. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[Upload, ...]] = {}
        self.after = 0.0

    def merged(self, status: EngineStatus) -> EngineStatus:
        """The status with all uploads that are known."""
        with self._lock:
            # What is stored in this moment may be reported later, with a time from before.
            self.after = max(0.0, status.time - UPLOADS_MARGIN_SECONDS)
            known = self._known
            self._known = {}
            return replace(
                status,
                databases=tuple(
                    replace(item, replicas=tuple(self._with(known, item.path, one) for one in item.replicas))
                    for item in status.databases
                ),
            )

    def _with(
        self, known: dict[tuple[str, str], tuple[Upload, ...]], path: str, replica: ReplicaStatus
    ) -> ReplicaStatus:
        before = known.get((path, replica.name), ())
        # What the engine sends once more, for the margin, is among the last that are known.
        new = tuple(item for item in replica.uploads if item not in before[-len(replica.uploads) - 1 :])
        uploads = (*before, *new)[-UPLOADS_MAX:] if new else before
        self._known[(path, replica.name)] = uploads
        return replace(replica, uploads=uploads)


def dumps_request(body: Plain) -> bytes:
    """A request's body. No secret is taken out of it, for a path must arrive as it is."""
    import json

    return json.dumps(body, allow_nan=False).encode()


def _value(kind: type[Any], data: Plain) -> Any:
    try:
        return value_of(kind, data)
    except WireError as error:
        raise EngineError(f"the engine's answer cannot be understood: {error}") from None


def _values(kind: type[Any], data: Plain) -> tuple[Any, ...]:
    try:
        return values_of(kind, data)
    except WireError as error:
        raise EngineError(f"the engine's answer cannot be understood: {error}") from None


def _job(data: Plain) -> JobStatus:
    # Loaded when one is needed: it brings all that restores.
    from replication.control.results import job_of

    try:
        return job_of(data)
    except WireError as error:
        raise EngineError(f"the engine's answer cannot be understood: {error}") from None

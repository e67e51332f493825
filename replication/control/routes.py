"""Which request means what: ours under /v1/, and those of Litestream 0.5's socket in its shapes. No socket is here.

Its promise: every request has an answer, whatever it holds, and rights are checked here: a client that
may only read gets no command, and another user whom the socket's permissions let in nothing that names a path, shows
what a database holds or ends the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from replication.control import litestream
from replication.control.contract import JobControl
from replication.control.requests import CHANGES, FOR_THE_OWNER, REQUESTS, SECONDS_MAX
from replication.control.values import failure_of
from replication.errors import BusyError, NoEngineError, NoJobError, NotAllowedError, ReplicationError, UsageError
from replication.scrub import quoted
from replication.status import EngineStatus
from replication.wire import Plain, WireError, dumps, loads, plain, value_of

WAIT_SECONDS_MAX = 30.0
"""No request waits longer for news."""
KEY_CHARS_MAX = 64
_END = 1 << 53
JSON, TEXT = "application/json", "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `owner` is true for the user who runs the engine and for root, `read_only` if the client said so."""

    method: str
    target: str
    body: bytes = b""
    owner: bool = True
    read_only: bool = False
    may_wait: bool = True
    """False if so many requests wait already that this one is answered at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    body: str
    kind: str = JSON
    allowed: tuple[str, ...] = field(default=())
    """The methods that the path has, if it has not the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed request: `rest` is the end of its path. The query and the body are read when they are asked for."""

    asked: Asked
    rest: str
    query: Mapping[str, str]

    @property
    def values(self) -> dict[str, Plain]:
        """The body, which must be an object. Raises UsageError."""
        try:
            found = loads(self.asked.body or b"{}")
        except WireError as error:
            raise UsageError(f"the body cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise UsageError("the body must be a JSON object")
        return found

    def number(self, name: str, default: float, most: float) -> float:
        """A number of the query. Raises UsageError."""
        text = self.query.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1e15:
            raise UsageError(f"{name} must be a number from 0 up, not {quoted(text)!r}")
        return min(value, most)

    @property
    def wait(self) -> float:
        """How many seconds to wait for news."""
        seconds = self.number("wait", 0.0, WAIT_SECONDS_MAX)
        return seconds if self.asked.may_wait else 0.0

    def changes(self) -> None:
        """Raise NotAllowedError if the client may only read: the request changes something."""
        if self.asked.read_only:
            raise NotAllowedError("this client may only read, and gets no command")

    def owner_only(self, what: str) -> None:
        """Raise NotAllowedError unless the user runs the engine, or is root."""
        if not self.asked.owner:
            raise NotAllowedError(f"{what} is for the user who runs the engine, and for root")


def answer(control: JobControl, asked: Asked) -> Answer:
    """The answer to any request. It raises nothing."""
    try:
        parts = urlsplit(asked.target)
        query = dict(parse_qsl(parts.path and parts.query, keep_blank_values=True, max_num_fields=20, errors="replace"))
        if parts.path in litestream.ROUTES:
            return _of_litestream(control, asked, parts.path, query)
        return _ours(control, asked, parts.path, query)
    except ReplicationError as error:
        return _failed(error)
    except ValueError as error:
        return _failed(UsageError(f"the request cannot be read: {error}"))
    except Exception as error:  # a defect in one answer is told to who asked, and ends nothing else
        return Answer(500, dumps(failure_of(error)))


def _failed(error: ReplicationError) -> Answer:
    kinds = {UsageError: 400, NotAllowedError: 403, NoJobError: 404, BusyError: 503, NoEngineError: 503}
    return Answer(kinds.get(type(error), 409), dumps(failure_of(error)))


def _of_litestream(control: JobControl, asked: Asked, path: str, query: Mapping[str, str]) -> Answer:
    route = litestream.ROUTES[path]
    if asked.method != route.method:
        return Answer(405, "Method Not Allowed\n", TEXT, (route.method,))
    call = Call(asked, "", query)
    try:
        if route.changes:
            call.changes()
        if route.owner:
            call.owner_only(path)
        values = call.values if route.method == "POST" else query
        return Answer(200, dumps(route.handle(control, values)))
    except litestream.RefusedError as error:
        return Answer(error.status, dumps({"error": error.words}))
    except ReplicationError as error:
        kinds = {UsageError: 400, NotAllowedError: 403}
        return Answer(kinds.get(type(error), 500), dumps({"error": str(error)}))


def _ours(control: JobControl, asked: Asked, path: str, query: Mapping[str, str]) -> Answer:
    name, _, rest = path.removeprefix("/v1/").partition("/")
    if not path.startswith("/v1/") or name not in _ROUTES or (rest and name != "jobs"):
        return Answer(404, "404 page not found\n", TEXT)
    found = _ROUTES[name].get(asked.method)
    if found is None:
        return Answer(405, "Method Not Allowed\n", TEXT, tuple(_ROUTES[name]))
    return Answer(200, dumps(found(control, Call(asked, rest, query))))


# -- what there is under /v1/ ---------------------------------------------------------------------------------------


def _info(control: JobControl, call: Call) -> Plain:
    return plain(control.info())


def _status(control: JobControl, call: Call) -> Plain:
    status, database = control.status(), call.query.get("database")
    if database is not None:
        status = replace(status, databases=tuple(item for item in status.databases if item.path == database))
        if not status.databases:
            raise UsageError(f"{quoted(database)!r} is not in the configuration")
    return plain(_with_uploads(status, call.number("uploads_after", float("inf"), 1e15)))


def _with_uploads(status: EngineStatus, after: float) -> EngineStatus:
    """The status with newer uploads alone: a client that asks each second has the others."""
    return replace(
        status,
        databases=tuple(
            replace(
                database,
                replicas=tuple(
                    replace(replica, uploads=tuple(item for item in replica.uploads if item.time > after))
                    for replica in database.replicas
                ),
            )
            for database in status.databases
        ),
    )


def _events(control: JobControl, call: Call) -> Plain:
    after = int(call.number("after", 0, 1e15))
    events = control.wait_events(after, call.wait) if call.wait else control.events_since(after)
    return {"engine": control.info().engine, "events": [plain(event) for event in events]}


def _job(control: JobControl, call: Call) -> Plain:
    if not call.rest:
        return {"jobs": [plain(job) for job in control.jobs()]}
    # Without a version, a request that waits does so for the end of the job.
    version = int(call.number("version", _END if call.wait else -1, _END))
    job = control.job(call.rest, version, call.wait)
    if job.do in FOR_THE_OWNER:
        call.owner_only(f"the result of {job.do}")
    return plain(job)


def _begin(control: JobControl, call: Call) -> Plain:
    if call.rest:
        raise UsageError("a job is begun at /v1/jobs, and cancelled by DELETE /v1/jobs/ID")
    values = call.values
    do, key = values.pop("do", None), values.pop("key", "")
    if not isinstance(do, str) or do not in REQUESTS:
        raise UsageError(f'"do" must be one of {", ".join(REQUESTS)}')
    if not isinstance(key, str) or len(key) > KEY_CHARS_MAX:
        raise UsageError(f'"key" must be a text of at most {KEY_CHARS_MAX} letters')
    kind: type[Any] = REQUESTS[do]
    strange = set(values) - {item.name for item in fields(kind)}
    if strange:
        # A command without what the unknown key was to say would not be the one that was meant.
        known = ", ".join(item.name for item in fields(kind))
        raise UsageError(f"{do} knows nothing of {quoted(min(strange))!r}; it knows {known}")
    if do in CHANGES:
        call.changes()
    if do in FOR_THE_OWNER:
        call.owner_only(do)
    try:
        request = value_of(kind, values)
    except WireError as error:
        raise UsageError(str(error)) from None
    return plain(control.begin(request, key))


def _cancel(control: JobControl, call: Call) -> Plain:
    job = control.job(call.rest)
    if job.do in CHANGES:
        call.changes()
    if job.do in FOR_THE_OWNER:
        call.owner_only(f"cancelling {job.do}")
    if call.query.get("forget"):
        control.forget(call.rest)
    else:
        control.cancel(call.rest)
    return plain(control.job(call.rest))


def _renew(control: JobControl, call: Call) -> Plain:
    call.changes()
    call.owner_only("renewing a pause")
    values = value_of(_Renewal, call.values)
    if not 0 < values.lease_seconds <= SECONDS_MAX:
        raise UsageError(f"lease_seconds must be seconds from 0 to {SECONDS_MAX:.0f}")
    control.renew(values.database, values.holder, values.lease_seconds)
    return {}


def _resume(control: JobControl, call: Call) -> Plain:
    call.changes()
    call.owner_only("resuming")
    values = value_of(_Resumption, call.values)
    return {"holders": list(control.resume(values.database, values.holder))}


def _stop(control: JobControl, call: Call) -> Plain:
    call.changes()
    call.owner_only("ending the engine")
    control.stop()
    return {"pid": control.info().pid}


@dataclass(frozen=True, slots=True)
class _Renewal:
    database: str
    holder: str
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class _Resumption:
    database: str
    holder: str


_ROUTES: Mapping[str, Mapping[str, Any]] = {
    "info": {"GET": _info},
    "status": {"GET": _status},
    "events": {"GET": _events},
    "jobs": {"GET": _job, "POST": _begin, "DELETE": _cancel},
    "renew": {"POST": _renew},
    "resume": {"POST": _resume},
    "stop": {"POST": _stop},
}
"""What there is, by the first word after /v1/ and the method."""


def routes() -> tuple[tuple[str, str], ...]:
    """Every request that has an answer, as method and path: what the reference has to tell."""
    own = [(method, f"/v1/{name}") for name, methods in _ROUTES.items() for method in methods]
    return (*own, *((route.method, path) for path, route in litestream.ROUTES.items()))

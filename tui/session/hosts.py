"""The engines of several hosts as one JobControl, so that no screen knows of hosts but by names.

Here a database is called HOST:PATH and a job HOST:ID. A command is for the host in the name that it carries, and goes
there without it. Statuses and events of all hosts are put together:

    screen --begin("web1:/data/a.db")--> Hosts --begin("/data/a.db")--> Attached of web1
    screen <--status: web1:/data/a.db, web2:/data/b.db-- Hosts <-- the last status of each Attached

Its promise: a host that hangs or is gone holds up no other one. Each Attached asks its host in a thread of its own, and
what it said last is there at once. One that does not answer is a row in place of its databases, which says since when.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replication.control import BY_HAND
from replication.control.commands import Commands
from replication.control.requests import Request
from replication.control.values import API, Info, JobStatus
from replication.errors import EngineError, NoEngineError, NoJobError, NotAllowedError, ReplicationError
from replication.events import EVENTS_MAX, Event
from replication.status import DatabaseState, DatabaseStatus, EngineStatus
from tui.session.attached import Attached
from tui.session.place import HostPlace, Place
from tui.text.naming import far, split
from tui.version import version

JOBS_SECONDS_MAX = 2.0
"""How long all hosts are waited for when they are asked for their jobs; one that is later is left out."""
_PATHS = ("output", "kept")
"""Fields of requests with a path that must be on the host of the database."""
_IDS = ("look", "points", "history", "preview")
"""Fields of requests with the id of a job."""


@dataclass(slots=True)
class _Known:
    """The rows of a host, kept until its status or its place is another object, and which events were taken over."""

    status: EngineStatus | None = None
    place: Place | None = None
    databases: tuple[DatabaseStatus, ...] = ()
    events: int = 0
    """The number of the last event that was taken over."""


class Hosts(Commands):
    """See above. `changed` is called, from any thread, when there is something new to show."""

    def __init__(self, engines: Mapping[str, Attached]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._engines = dict(engines)
        self._known = {name: _Known() for name in engines}
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._number = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        """Set from a change until the status is asked for: `changed` is called once for all changes until then."""
        for engine in self._engines.values():
            engine.changed = self._changed

    def start(self) -> None:
        """Begin to ask all of them."""
        for engine in self._engines.values():
            engine.start()

    def close(self) -> None:
        """Ask no more, and let go of the connections. The engines go on."""
        for engine in self._engines.values():
            engine.close()

    @property
    def place(self) -> Place:
        """Where the engines are, and which answer."""
        places = tuple(HostPlace(name, engine.place) for name, engine in self._engines.items())
        return Place("hosts", hosts=places)

    def _changed(self) -> None:
        if not self._news.is_set():
            self._news.set()
            self.changed()

    # -- how they stand -----------------------------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        self._news.clear()
        found: list[DatabaseStatus] = []
        for name, engine in self._engines.items():
            found += self._of_host(name, engine)
        return EngineStatus(time.time(), tuple(found))

    def _of_host(self, name: str, engine: Attached) -> tuple[DatabaseStatus, ...]:
        known, place, status = self._known[name], engine.place, engine.status()
        if known.status is not status or known.place is not place:
            rows = [] if place.pid and not place.gone else [_host_row(name, place)]
            known.databases = (*rows, *(replace(item, path=far(name, item.path)) for item in status.databases))
            known.status, known.place = status, place
        return known.databases

    def events_since(self, number: int) -> list[Event]:
        with self._lock:
            new: list[tuple[str, Event]] = []
            for name, engine in self._engines.items():
                events = engine.events_since(self._known[name].events)
                if events:
                    self._known[name].events = events[-1].number
                new += ((name, event) for event in events)
            for name, event in sorted(new, key=lambda item: item[1].time):
                self._number += 1
                self._events.append(replace(event, number=self._number, database=far(name, event.database)))
            return [event for event in self._events if event.number > number]

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        self._news.wait(seconds)
        return self.events_since(number)

    # -- commands -----------------------------------------------------------------------------------------------------

    def info(self) -> Info:
        names = tuple(item.path for item in self.status().databases)
        return Info(version(), API, "", 0, 0.0, "", names, "hosts")

    def sync_now(self, database: str | None = None) -> None:
        """Sync a database, HOST:PATH. For HOST: alone, connect to it now. Without a name both, for all hosts."""
        if database:
            name, path = split(database)
            engine = self._engine(name)
            engine.hurry()
            if path:
                engine.sync_now(path)
            return
        for engine in self._engines.values():
            engine.hurry()
            if not engine.place.gone:
                threading.Thread(target=_quietly, args=(engine.sync_now,), name="sync host", daemon=True).start()

    def begin(self, request: Request, key: str = "") -> JobStatus:
        named: Any = request
        ids = [getattr(named, field) for field in _IDS if hasattr(named, field)]
        name, path = split(getattr(named, "database", "") or "")
        changes: dict[str, Any] = {"database": path} if hasattr(named, "database") else {}
        if ids:
            name = split(ids[0])[0]
            changes |= {field: split(getattr(named, field))[1] for field in _IDS if hasattr(named, field)}
        elif not path:
            engine = self._engine(name)
            raise NoEngineError(f"{name} does not answer: {engine.place.why or 'it is being connected to'}")
        for field in _PATHS:
            if text := getattr(named, field, ""):
                changes[field] = _of(name, text)
        return _job(name, self._engine(name).begin(replace(named, **changes), key))

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        name, theirs = self._split_id(id)
        return _job(name, self._engine(name).job(theirs, version, seconds))

    def jobs(self) -> tuple[JobStatus, ...]:
        found: dict[str, tuple[JobStatus, ...]] = {}

        def ask(name: str, engine: Attached) -> None:
            _quietly(lambda: found.update({name: tuple(_job(name, job) for job in engine.jobs())}))

        asking = [
            threading.Thread(target=ask, args=item, name="jobs of host", daemon=True) for item in self._engines.items()
        ]
        for thread in asking:
            thread.start()
        end = time.monotonic() + JOBS_SECONDS_MAX
        for thread in asking:
            thread.join(max(0.0, end - time.monotonic()))
        return tuple(job for name in self._engines for job in found.get(name, ()))

    def cancel(self, id: str) -> JobStatus:
        name, theirs = self._split_id(id)
        return _job(name, self._engine(name).cancel(theirs))

    def forget(self, id: str) -> None:
        name, theirs = self._split_id(id)
        self._engine(name).forget(theirs)

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        name, path = split(database)
        self._engine(name).renew(path, holder, lease_seconds)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        name, path = split(database)
        return self._engine(name).resume(path, holder)

    def stop(self) -> None:
        raise NotAllowedError(
            "there are several engines; end the one that is meant with litestream-tui stop on its host"
        )

    def _split_id(self, id: str) -> tuple[str, str]:
        name, theirs = split(id)
        if not name:
            raise NoJobError(f"there is no job {id!r}")
        return name, theirs

    def _engine(self, name: str) -> Attached:
        engine = self._engines.get(name)
        if engine is None:
            raise EngineError(f"{name or 'this machine'} is none of the hosts that are shown")
        return engine


def _host_row(name: str, place: Place) -> DatabaseStatus:
    """The row of a host that is silent, or was not heard of yet, in place of its databases."""
    state: DatabaseState = "unknown" if place.gone else "starting"
    return DatabaseStatus(far(name, ""), state, place.why or place.words, None, "", 0, 0, place.gone, 0.0, 0, ())


def _of(name: str, path: str) -> str:
    """A path as it is called on the host `name`. Raises EngineError for a path of another host."""
    host, rest = split(path)
    if host and host != name:
        raise EngineError(f"{path} is on {host}, and the database is on {name}; name a path there")
    return rest


def _job(name: str, job: JobStatus) -> JobStatus:
    """A job of the host `name`, with the names that it has here."""
    result = job.result
    if isinstance(getattr(result, "output", None), Path):
        result = replace(result, output=Path(far(name, str(result.output))))
    database = far(name, job.database) if job.database else ""
    return replace(job, id=far(name, job.id), database=database, result=result)


def _quietly(call: Callable[[], None]) -> None:
    try:
        call()
    except ReplicationError:
        # That the host does not answer is told where it stands.
        return

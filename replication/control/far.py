"""The control of an engine on another host. A program, such as ssh, runs a relay there (relay.py) and is its pipe.

    here                                          there
    FarClient -- Connection ==stdin, stdout of ssh== Relay -- socket of the engine

Two kinds of question go over it. A *look* asks what is new, and is answered once something is (Watch); one thread asks
look after look. Every other question is a request to the engine's socket, carried as it is (Ask).

    connected --nothing comes for a while--> silent --and for 30 s--> given up, a new connection
        ^___________something comes____________|

Its promise: a host that hangs, a line that drops and a program that cannot be run cost whoever asks a bounded time, and
are told in words. Only `look` makes a connection, after waits that grow; every other question fails at once if there is
none, or if the host is silent.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from replication.control.client import Client, Uploads
from replication.control.connection import Connection, Explain, Pending, Program
from replication.control.differences import patched
from replication.control.http import Message
from replication.control.relay import Ask, Watch
from replication.control.requests import Request
from replication.control.skew import Skew
from replication.control.values import Info, JobStatus
from replication.errors import EngineError, NoEngineError, ReplicationError
from replication.events import Event
from replication.status import EngineStatus
from replication.wire import Plain, WireError, loads, plain, value_of, values_of

MARGIN_SECONDS = 3.0
"""A relay whose answer is overdue by so much is silent."""
CONNECT_SECONDS_MAX = 20.0
"""How long it may take to log in and to start the relay."""
SILENT_SECONDS_MAX = 30.0
"""A relay from which nothing has come for so long is given up, and another one is started."""
AGAIN_SECONDS_MIN = 1.0
AGAIN_SECONDS_MAX = 30.0
"""Between two tries to connect; the first comes at once."""
_OPEN_SECONDS = 0.25
"""Between two looks whether the relay has said its first word."""
STEADY_SECONDS = 10.0
"""After a connection that lasted for so long the next try to connect comes at once."""


@dataclass(frozen=True, slots=True)
class Route:
    """How to get there: `name` is what people call it, `start` runs the relay, `explain` says why it ended."""

    name: str
    start: Callable[[], Program]
    explain: Explain


class FarClient(Client):
    """A JobControl. `look` is for one thread, everything else for any."""

    def __init__(
        self,
        route: Route,
        read_only: bool = False,
        refresh: float = 1.0,
        wait: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """The relay looks at the engine every `refresh` seconds, and answers a look after `wait` at the latest.

        `clock` measures waits. `now` is this host's time, to which the times of the other host are brought (Skew).
        """
        super().__init__(route.name, read_only)
        self.name = route.name
        self.connection: Connection | None = None
        self._route = route
        self._refresh = refresh
        self._wait = wait
        self._clock = clock
        self._now = now
        self._skew = Skew()
        self._watch: Pending | None = None
        """The look that is under way. It stays while a host is silent, since its answer may still come."""
        self._document: Plain = None
        """The status as plain values, to which the next look tells what changed."""
        self._told_uploads = Uploads()
        """The uploads by looks alone: these have times to the millisecond, and would not equal others."""
        self._silent = False
        """True from when a look said that nothing comes from there until something does."""
        self._why = "it is being connected to"
        self._again = 0.0
        """Seconds until the next try to connect, after one that failed."""
        self._next_try = 0.0
        self._began = 0.0
        """When this connection was begun."""
        self._hurry = threading.Event()
        self._closed = False

    def close(self) -> None:
        """Let go of the connection, for good."""
        self._closed = True
        self._hurry.set()
        if self.connection is not None:
            # The relay ends with its input, and what brings it here may wait for a host that hangs.
            self.connection.kill()

    @property
    def _is_closed(self) -> bool:
        return self._closed

    def hurry(self) -> None:
        """Connect at once, in place of waiting for the next try, or for an answer of a host that is silent."""
        self._again = 0.0
        self._hurry.set()
        if self._silent and self.connection is not None:
            self.connection.close(f"{self.name} was silent, and is connected to anew")

    # -- how things stand ---------------------------------------------------------------------------------------------

    def look(self, number: int) -> tuple[EngineStatus, list[Event]]:
        """The status, and the events after number `number`, once there is something new.

        Raises NoEngineError when the host becomes silent: the next call waits on for the same answer. And when the
        connection has ended: the next call waits until it is time to connect again.
        """
        connection = self._connected()
        try:
            if self._watch is None:
                watch = Watch(self._refresh, self._wait, self._numbers.engine, self._numbers.theirs(number))
                self._watch = connection.begin({"watch": plain(watch)})
            body = self._answer(connection, self._watch)
        except ReplicationError:
            if connection.ended:
                self._lost(connection.ended)
            elif not self._silent:
                self._watch = None
            raise
        self._watch, self._silent = None, False
        if self._clock() - self._began > STEADY_SECONDS:
            self._again = 0.0
        return self._news(body)

    def _answer(self, connection: Connection, pending: Pending) -> bytes:
        """Wait for the answer to a look. Raises NoEngineError once nothing has come for as long as is allowed."""
        while True:
            heard = connection.heard
            allowed = self._wait + MARGIN_SECONDS if connection.open else CONNECT_SECONDS_MAX
            if self._silent:
                allowed = SILENT_SECONDS_MAX
            left = heard + allowed - self._clock()
            found = connection.wait(pending, left if connection.open else min(left, _OPEN_SECONDS))
            if found is not None:
                return found[1]
            if connection.heard > heard or self._clock() < heard + allowed:
                # Something came, and not the whole of it; or it is still being connected to.
                continue
            words = "nothing comes from there: it hangs, or the line is cut"
            if self._silent or not connection.open:
                connection.close(words)
            self._silent = not connection.ended
            raise NoEngineError(words)

    def _news(self, body: bytes) -> tuple[EngineStatus, list[Event]]:
        """What an answer to a look says: its changes put into the status that is known, all by our clock."""
        heard = self._now()
        try:
            found = loads(body)
            if not isinstance(found, dict):
                raise WireError("an object is needed")
            self._document = patched(self._document, found.get("status"))
            status = self._told_uploads.merged(value_of(EngineStatus, self._document))
            events = values_of(Event, found.get("events", []))
        except WireError as error:
            # What comes next would be a change of something that is not known here.
            self._document = None
            if self.connection is not None:
                self.connection.close()
            raise EngineError(f"what {self.name} answers cannot be understood: {error}") from None
        if found.get("engine"):
            self._numbers.is_another(str(found["engine"]))
        if found.get("status") is not None:
            self._skew.compare(status.time, heard)
        return self._skew.status(status), self._skew.events(self._numbers.ours(events))

    # -- what the socket answers, by our clock ------------------------------------------------------------------------

    def info(self) -> Info:
        return self._skew.info(super().info())

    def status(self) -> EngineStatus:
        return self._skew.status(super().status())

    def _events(self, number: int, wait: float) -> list[Event]:
        return self._skew.events(super()._events(number, wait))

    def begin(self, request: Request, key: str = "") -> JobStatus:
        return self._skew.job(super().begin(request, key))

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        return self._skew.job(super().job(id, version, seconds))

    def jobs(self) -> tuple[JobStatus, ...]:
        return tuple(self._skew.job(job) for job in super().jobs())

    def cancel(self, id: str) -> JobStatus:
        return self._skew.job(super().cancel(id))

    # -- the connection -----------------------------------------------------------------------------------------------

    def _connected(self) -> Connection:
        """The connection, or a new one if that has ended, after what is left of the wait before the next try."""
        if self.connection is not None and not self.connection.ended:
            return self.connection
        self._hurry.clear()
        if not self._closed:
            self._hurry.wait(max(0.0, self._next_try - self._clock()))
        if self._closed:
            raise NoEngineError("the connection was closed")
        try:
            made = Connection(self._route.start(), self._route.explain)
        except ReplicationError as error:
            self._lost(str(error))
            raise
        self._watch, self._document, self._silent = None, None, False
        self.connection, self._began = made, self._clock()
        if self._is_closed:
            made.kill()
        return made

    def _lost(self, why: str) -> None:
        """Note why the connection has ended, or could not be made, and when to try next."""
        self._why = why
        self._watch = None
        self._next_try = self._clock() + self._again
        self._again = min(AGAIN_SECONDS_MAX, max(AGAIN_SECONDS_MIN, 2 * self._again))

    def exchange(
        self, method: str, target: str, body: bytes | None, seconds: float, again: bool, read_only: bool = False
    ) -> Message:
        connection = self.connection
        if connection is None or connection.ended:
            raise NoEngineError(f"{self.name} is not connected, so nothing was done: {self._why}")
        if self._silent or not connection.open:
            raise NoEngineError(f"{self.name} does not answer, so nothing was done")
        asked = Ask(method, target, seconds, again, self.read_only or read_only)
        pending = connection.begin({"ask": plain(asked)}, body or b"")
        found = connection.wait(pending, seconds + MARGIN_SECONDS)
        if found is None:
            raise NoEngineError(f"{self.name} has not answered within {seconds:.0f} seconds; it may hang")
        head, answer = found
        status, kind = head.get("status"), head.get("kind")
        if not isinstance(status, int) or not isinstance(kind, str):
            raise EngineError(f"what {self.name} answers cannot be understood")
        return Message("", "", status, (("content-type", kind),), answer)

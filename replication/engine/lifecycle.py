"""The lifecycle of one database in an engine: in which phase it is, who works on it, and who keeps it paused.

Its promise: nothing else says so. A phase changes only by a transition of TABLE; work on the database and on its
replicas is admitted and counted here; and "paused" is said once nothing is under way and the database was let go of.
`State` is pure, and a test walks everything that can become of it. `Lifecycle` is one state behind a lock; what a
change of phase calls for is done by the caller that caused it, outside the lock.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum

from replication.engine.leases import Leases
from replication.errors import DatabaseError, PausedError


class Phase(Enum):
    """Where a database is in its lifecycle."""

    STARTING = "starting"
    """The database is to be synced for the first time, at the start or after a pause."""
    WAITING = "waiting"
    """There is no database yet, or no longer."""
    RUNNING = "running"
    """The database was synced. Whether all is well with it is another question, which its health answers."""
    PAUSING = "pausing"
    """Nothing begins any more; what is under way is broken off or waited for."""
    LEAVING = "leaving"
    """Nothing is under way: the database is being let go of."""
    RETURNING = "returning"
    """The database is being let go of, and is replicated again after that."""
    PAUSED = "paused"
    """The database was let go of: another program may have it."""
    CLOSING = "closing"
    """The last sync and the last uploads are done."""
    ENDING = "ending"
    """Nothing begins any more; what is under way is broken off or waited for, and then it is let go of for good."""
    CLOSED = "closed"


class Transition(Enum):
    """What moves a database from one phase to another."""

    FOUND = "a sync ended, well or with an error"
    MISSING = "a sync found no database"
    PAUSE = "the first who wants it paused"
    RESUME = "nobody wants it paused any more"
    LEAVE = "nothing is under way: it may be let go of"
    LEFT = "it was let go of"
    STAYED = "it could not be let go of"
    CLOSE = "the engine closes"
    DRAINED = "the last uploads were made, or their time is over"
    END = "it was let go of for good"


_P, _T = Phase, Transition
_AT_WORK = (_P.STARTING, _P.WAITING, _P.RUNNING)

TABLE: dict[tuple[Phase, Transition], Phase] = {
    **{(phase, _T.FOUND): _P.RUNNING for phase in _AT_WORK},
    **{(phase, _T.MISSING): _P.WAITING for phase in _AT_WORK},
    **{(phase, _T.PAUSE): _P.PAUSING for phase in _AT_WORK},
    **{(phase, _T.CLOSE): _P.CLOSING for phase in _AT_WORK},
    # A sync that was under way when these began.
    **{
        (phase, transition): phase
        for phase in (_P.PAUSING, _P.CLOSING, _P.ENDING)
        for transition in (_T.FOUND, _T.MISSING)
    },
    (_P.PAUSING, _T.RESUME): _P.STARTING,
    (_P.PAUSING, _T.LEAVE): _P.LEAVING,
    (_P.PAUSING, _T.CLOSE): _P.ENDING,
    (_P.LEAVING, _T.RESUME): _P.RETURNING,
    (_P.LEAVING, _T.LEFT): _P.PAUSED,
    (_P.LEAVING, _T.STAYED): _P.PAUSING,
    (_P.LEAVING, _T.CLOSE): _P.ENDING,
    (_P.RETURNING, _T.PAUSE): _P.LEAVING,
    (_P.RETURNING, _T.LEFT): _P.STARTING,
    (_P.RETURNING, _T.STAYED): _P.STARTING,
    (_P.RETURNING, _T.CLOSE): _P.ENDING,
    (_P.PAUSED, _T.RESUME): _P.STARTING,
    (_P.PAUSED, _T.CLOSE): _P.ENDING,
    (_P.CLOSING, _T.DRAINED): _P.ENDING,
    (_P.ENDING, _T.LEFT): _P.ENDING,
    (_P.ENDING, _T.STAYED): _P.ENDING,
    (_P.ENDING, _T.END): _P.CLOSED,
}
"""Every transition that is possible in a phase, and the phase that it leads to."""

ADMITS = frozenset({*_AT_WORK, _P.CLOSING})
"""Phases in which work may begin, and work that is under way goes on."""
HELD = frozenset({_P.PAUSING, _P.LEAVING, _P.PAUSED})
"""Phases in which a holder wants it paused."""
ENDS = frozenset({_P.CLOSING, _P.ENDING, _P.CLOSED})
"""Phases from which no way leads back."""


@dataclass(frozen=True, slots=True)
class State:
    """A phase, how many work on the database, and who wants it paused. Pure. What TABLE lacks raises KeyError."""

    phase: Phase = Phase.STARTING
    at_work: int = 0
    """How many pieces of work are under way. Letting go is one as well."""
    leases: Leases = field(default_factory=Leases)

    def after(self, transition: Transition) -> "State":
        """The state after a transition that changes only the phase."""
        return replace(self, phase=TABLE[self.phase, transition])

    def begun(self) -> "State | None":
        """The state with one more piece of work, or None if none may begin."""
        # At every sync and upload, twice: `replace` costs several times as much.
        return State(self.phase, self.at_work + 1, self.leases) if self.phase in ADMITS else None

    def ended(self) -> "State":
        """The state with one piece of work less."""
        return State(self.phase, self.at_work - 1, self.leases)

    def held(self, holder: str, until: float) -> "State":
        """The state once `holder` wants it paused until then, or goes on wanting it."""
        held = self if self.leases else self.after(Transition.PAUSE)
        return replace(held, leases=self.leases.with_lease(holder, until))

    def released(self, holder: str) -> "State":
        """The state once `holder` does not want it paused any more."""
        return self._with(self.leases.without(holder))

    def lapsed(self, now: float) -> "State":
        """The state without the holders whose lease is over at `now`."""
        return self._with(self.leases.at(now))

    def leaving(self) -> "State | None":
        """The state while the database is being let go of, or None if something is under way or nobody wants that."""
        if self.phase is not Phase.PAUSING or self.at_work:
            return None
        return replace(self.after(Transition.LEAVE), at_work=1)

    def left(self, transition: Transition) -> "State":
        """The state after `leaving`: by LEFT if the database was let go of, by STAYED if it could not be."""
        return self.after(transition).ended()

    def closing(self) -> "State":
        """The state once the engine closes, or is asked to again."""
        return replace(self.after(Transition.CLOSE), leases=Leases()) if self.phase not in ENDS else self

    def ending(self) -> "State":
        """The state once there is no more time for last uploads."""
        return self.after(Transition.DRAINED) if self.phase is Phase.CLOSING else self

    def _with(self, leases: Leases) -> "State":
        after = self.after(Transition.RESUME) if self.leases and not leases else self
        return replace(after, leases=leases)


class Lifecycle:
    """The state of one database. Any thread may ask and act."""

    def __init__(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._idle: Callable[[], None] = lambda: None
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._state = State()

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call this whenever the last work under way has ended and a pause waits for that."""
        self._idle = call

    @property
    def state(self) -> State:
        """The state as it is now: a value."""
        return self._state

    @property
    def phase(self) -> Phase:
        return self._state.phase

    # -- work -----------------------------------------------------------------------------------------------------

    @contextmanager
    def working(self) -> Iterator[None]:
        """A block of work on the database or on a replica of it. Raises PausedError if none may begin."""
        with self._changed:
            begun = self._state.begun()
            if begun is None:
                raise self._refusal()
            self._state = begun
        try:
            yield
        finally:
            with self._changed:
                state = self._become(self._state.ended())
            if state.phase is Phase.PAUSING and not state.at_work:
                self._idle()

    def check(self) -> None:
        """Raise PausedError if what is under way is to be broken off."""
        if self._state.phase not in ADMITS:
            raise self._refusal()

    def synced(self, found: bool) -> None:
        """A sync has ended, and has `found` a database or not. Called while it is counted as work."""
        with self._changed:
            self._become(self._state.after(Transition.FOUND if found else Transition.MISSING))

    # -- pausing --------------------------------------------------------------------------------------------------

    def hold(self, holder: str, lease_seconds: float | None) -> float:
        """Want it paused for so many seconds, or until `release`. Return when that ends, in the time of time.monotonic.

        Raises DatabaseError if the engine closes.
        """
        until = float("inf") if lease_seconds is None else self._monotonic() + lease_seconds
        with self._changed:
            if self._state.phase in ENDS:
                raise DatabaseError(f"{self._name} cannot be paused: the program is ending")
            self._become(self._state.held(holder, until))
        return until

    def renew(self, holder: str, lease_seconds: float) -> float:
        """Want it paused for so many seconds from now on. Return when that ends, as `hold` does.

        Raises PausedError if `holder` no longer holds it.
        """
        until = self._monotonic() + lease_seconds
        with self._changed:
            if holder not in self._state.leases:
                raise PausedError(f"{self._name} is no longer paused for {holder}: that was not renewed in time")
            self._become(self._state.held(holder, until))
        return until

    def release(self, holder: str) -> tuple[State, State]:
        """Want it paused no longer for that holder. Return the state before and after."""
        with self._changed:
            before = self._state
            return before, self._become(before.released(holder))

    def lapse(self) -> tuple[State, State]:
        """Forget the holds that were not renewed in time. Return the state before and after."""
        with self._changed:
            before = self._state
            return before, self._become(before.lapsed(self._monotonic()))

    def wait_paused(self, holder: str) -> None:
        """Wait until it is paused. Raises PausedError if `holder` lets go of it before, or loses it."""
        with self._changed:
            self._changed.wait_for(lambda: self.phase is Phase.PAUSED or holder not in self._state.leases)
            if holder not in self._state.leases:
                raise PausedError(f"{self._name} was not paused: it was asked to go on before it had been let go of")

    def leave(self) -> bool:
        """Begin to let go of it.

        Return False if something is under way, or nobody wants that. The caller then calls `left`.
        """
        with self._changed:
            leaving = self._state.leaving()
            if leaving is not None:
                self._become(leaving)
            return leaving is not None

    def left(self, transition: Transition) -> Phase:
        """Say whether it was let go of (LEFT) or could not be (STAYED). Return the phase that it has now."""
        with self._changed:
            return self._become(self._state.left(transition)).phase

    # -- ending ---------------------------------------------------------------------------------------------------

    def close(self) -> Phase:
        """Begin to end. Return CLOSING if a last sync and last uploads are wanted."""
        with self._changed:
            return self._become(self._state.closing()).phase

    def drained(self) -> None:
        """Let nothing begin any more."""
        with self._changed:
            self._become(self._state.ending())

    def ended(self) -> None:
        """The database was let go of for good."""
        with self._changed:
            self._become(self._state.after(Transition.END))

    def wait(self, what: Callable[[State], bool], timeout_seconds: float) -> bool:
        """Wait until `what` is true of the state. Return False if that did not come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: what(self._state), max(0.0, timeout_seconds))

    # -- the lock is held in what follows ---------------------------------------------------------------------------

    def _become(self, state: State) -> State:
        if state != self._state:
            self._state = state
            self._changed.notify_all()
        return state

    def _refusal(self) -> PausedError:
        if self._state.phase in ENDS:
            return PausedError(f"{self._name} is not replicated any more: the program is ending")
        who = ", ".join(self._state.leases.holders)
        by = f" by {who}" if who else ""
        return PausedError(f"{self._name} is paused{by}: nothing is copied or uploaded until it goes on")

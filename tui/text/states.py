"""The six words for how a database or a replica stands, and their marks. Pure.

Its promise: a state is told by its word and mark; colour only repeats them.
"""

from dataclasses import dataclass

from replication.status import DatabaseState, DatabaseStatus, EngineStatus, ReplicaState, ReplicaStatus
from tui.text.naming import is_host

STALE_SECONDS = 15.0
"""A database that was not looked at for so long shows that age in place of "ok"."""


SYNCING_SECONDS_MIN = 2.0
"""A commit that is on its way for less is none to be told of."""
ANSWER_SECONDS_MAX = 5.0
"""A replica whose position is unknown for so long is taken to lack all that it may lack."""
QUICK_BYTES_MAX = 4_000_000
"""Bytes that a healthy replica may lack without a question at the end: they are uploaded then."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One state. `urgency` sorts: higher comes first. `style` is a colour of the terminal's own sixteen.

    There is one object of each, compared by identity: thousands are at every poll.
    """

    word: str
    mark: str
    ascii_mark: str
    style: str
    urgency: int

    def shown(self, ascii: bool) -> str:
        """Mark and word."""
        return f"{self.ascii_mark if ascii else self.mark} {self.word}"


OK = State("ok", "●", "o", "green", 0)
SYNCING = State("syncing", "◐", "~", "cyan", 1)
STARTING = State("starting", "?", "?", "default", 2)
PAUSING = State("pausing", "◌", "-", "magenta", 3)
PAUSED = State("paused", "◌", "-", "magenta", 4)
NO_ENGINE = State("stopped", "◌", "-", "magenta", 4)
SHARED = State("shared", "◆", "#", "yellow", 5)
BEHIND = State("behind", "▲", "!", "yellow", 6)
UNKNOWN = State("unknown", "?", "?", "red", 7)
ERROR = State("error", "✖", "x", "red", 8)
SILENT = State("silent", "✖", "x", "red", 9)

STATES = (OK, SYNCING, STARTING, PAUSING, PAUSED, NO_ENGINE, SHARED, BEHIND, UNKNOWN, ERROR, SILENT)
"""From well to worst."""

LEGEND: dict[State, str] = {
    OK: "the replica has every commit, or gets it just now",
    SYNCING: "commits are on their way to the replica for longer than two seconds",
    STARTING: "not looked at yet, there is no file yet, or another litestream-tui still has it",
    PAUSING: "nothing begins any more; what is being uploaded is waited for",
    PAUSED: "paused by P or for a restore: nothing is copied or uploaded",
    NO_ENGINE: "no engine replicates it: what -read-only shows where none runs",
    SHARED: "every commit is there, and another program writes to the same place: Enter says which",
    BEHIND: "commits have waited for longer than a few seconds",
    UNKNOWN: "the engine does not answer: shown is what it said last",
    ERROR: "the last try failed; the next one comes by itself",
    SILENT: "a host that does not answer; it is connected to again by itself, at once with y",
}

STOPPED = (PAUSING, PAUSED, NO_ENGINE)
"""Nothing is copied: whatever is committed now is in no replica."""
NOT_HEARD = (UNKNOWN, SILENT)
"""Nobody says how it stands."""

_DATABASE: dict[DatabaseState, State] = {
    "starting": STARTING,
    "waiting": STARTING,
    "ok": OK,
    "busy": SYNCING,
    "error": ERROR,
    "pausing": PAUSING,
    "paused": PAUSED,
    "stopped": NO_ENGINE,
    "unknown": UNKNOWN,
}
_REPLICA: dict[ReplicaState, State] = {
    "starting": STARTING,
    "ok": OK,
    "syncing": SYNCING,
    "behind": BEHIND,
    "error": ERROR,
}


def replica_state(replica: ReplicaStatus) -> State:
    """How one replica stands; one that another program writes to as well is never simply ok."""
    state = _REPLICA[replica.state]
    if state is SYNCING and replica.lag_seconds < SYNCING_SECONDS_MIN:
        # Busy and healthy: its commits arrive as fast as they are made.
        state = OK
    return SHARED if replica.warning and state in (OK, SYNCING) else state


def database_state(database: DatabaseStatus) -> State:
    """How a database stands: the worst of itself and its replicas; paused is paused, and pausing is not yet."""
    worst = _DATABASE[database.state]
    if worst in STOPPED:
        return worst
    if worst is UNKNOWN:
        return SILENT if is_host(database.path) else UNKNOWN
    if worst is STARTING and database.position is not None and database.error:
        # The database was there in this run, and is gone.
        return ERROR
    for replica in database.replicas:
        state = replica_state(replica)
        if state.urgency > worst.urgency:
            worst = state
    return worst


def in_trouble(database: DatabaseStatus) -> bool:
    """True for what a person has to look at: a host that is silent, and not each of its databases."""
    return database_state(database) in (SHARED, BEHIND, ERROR, SILENT)


def lag_seconds(database: DatabaseStatus) -> float:
    """Age of the oldest commit that some replica lacks."""
    return max((replica.lag_seconds for replica in database.replicas), default=0.0)


def pending_bytes(database: DatabaseStatus) -> int:
    """Bytes of WAL not uploaded yet, over all replicas."""
    return sum(replica.pending_bytes for replica in database.replicas)


def left_to_upload(status: EngineStatus) -> int:
    """Bytes whose upload the end of the program would not just do on its way: those of databases that are not paused
    and replicas that fail, are behind, are at their first snapshot, or have much to send.
    """
    return sum(
        replica.pending_bytes
        for database in status.databases
        if database_state(database) not in STOPPED
        for replica in database.replicas
        if not _soon_done(replica)
    )


def stopped(status: EngineStatus) -> list[str]:
    """The paths of databases whose commits of now are in no replica, because they are paused or about to be."""
    return [database.path for database in status.databases if database_state(database) in STOPPED]


def _soon_done(replica: ReplicaStatus) -> bool:
    state = _REPLICA[replica.state]
    if state is STARTING:
        # What a replica lacks is not known before it has answered, unless its first snapshot is on its way.
        return not replica.uploading and replica.lag_seconds < ANSWER_SECONDS_MAX
    return state is SYNCING and replica.pending_bytes <= QUICK_BYTES_MAX


def error_of(database: DatabaseStatus) -> str:
    """What is wrong now, in the engine's words, or nothing."""
    if database.error:
        return database.error
    return next((replica.last_error for replica in database.replicas if replica.errors_in_a_row), "")

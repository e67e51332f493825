"""How far a replica is behind, as far as that is known: no 0 stands for what nobody knows. Pure.

None is what is not known: nothing was ever received, or the replica has not said yet where it stands.
"""

from collections.abc import Iterable

from replication.status import DatabaseStatus, ReplicaStatus
from tui.text.format import age, size
from tui.text.states import STARTING, database_state, replica_state
from tui.text.style import Style

UNKNOWN = "-"
SOME_BYTES = 1
"""What an engine says where something waits, and nobody knows how much."""


def replica_lag(replica: ReplicaStatus) -> float | None:
    """The age of the oldest commit that it lacks."""
    return replica.lag_seconds if _is_known(replica) or replica.lag_seconds else None


def replica_queue(replica: ReplicaStatus) -> int | None:
    """Bytes that wait for their upload; of a first snapshot, what is left of it."""
    if _is_known(replica):
        return replica.pending_bytes if replica.pending_bytes != SOME_BYTES else None
    left = replica.uploading_total_bytes - replica.uploading_bytes
    return left if left > 0 else None


def lag(database: DatabaseStatus) -> float | None:
    """The age of the oldest commit that some replica lacks."""
    found = [replica_lag(item) for item in database.replicas]
    known = [item for item in found if item is not None]
    if not known or (database_state(database) is STARTING and not any(known)):
        return None
    # What is behind says more than what is not known, and that more than one that has everything.
    return max(known) if max(known) or len(known) == len(found) else None


def queue(database: DatabaseStatus) -> int | None:
    """Bytes that wait, over all replicas."""
    found = [replica_queue(item) for item in database.replicas]
    known = [item for item in found if item is not None]
    return sum(known) if known and (sum(known) or len(known) == len(found)) else None


def lag_words(seconds: float | None) -> str:
    """A lag in a few cells."""
    return UNKNOWN if seconds is None else age(seconds)


def queue_words(count: int | None) -> str:
    """Bytes in a few cells."""
    return UNKNOWN if count is None else size(count) if count else "0"


def behind_words(replica: ReplicaStatus) -> str:
    """How far one replica is behind, in bytes and time."""
    count, seconds = replica_queue(replica), replica_lag(replica)
    if count is None:
        return f"{UNKNOWN} ({age(seconds)})" if seconds else UNKNOWN
    return size(count) + (f" ({age(seconds)})" if seconds else "")


def worst_lag(databases: Iterable[DatabaseStatus]) -> str:
    """The longest lag of all that are more than starting, with a sign if some are not known."""
    found = [lag(item) for item in databases if database_state(item) is not STARTING]
    known = [item for item in found if item is not None]
    if not known or (len(known) < len(found) and not max(known)):
        return "unknown" if found else UNKNOWN
    return f"{'>' if len(known) < len(found) else ''}{age(max(known))}"


def all_queued(databases: Iterable[DatabaseStatus]) -> str:
    """The bytes that wait of the same, with a sign if some are not known."""
    found = [queue(item) for item in databases if database_state(item) is not STARTING]
    known = [item for item in found if item is not None]
    if not known or (len(known) < len(found) and not sum(known)):
        return "unknown" if found else UNKNOWN
    return f"{'>' if len(known) < len(found) else ''}{size(sum(known))}"


def paused_words(database: DatabaseStatus, style: Style) -> str:
    """Since when it is paused, and what came of that; nothing if it is not."""
    if not database.paused_at:
        return ""
    seconds = lag(database)
    since = f"paused since {style.at(database.paused_at)}"
    if not style.slow:
        since += f" ({age(style.now - database.paused_at)})"
    if seconds is None:
        return since
    certain = "commits since are" if queue(database) is not None else "there may be commits that are"
    waits = f"{certain} in no replica" if seconds else "nothing was committed since"
    return f"{since}: {waits}"


def _is_known(replica: ReplicaStatus) -> bool:
    return replica.position is not None and replica_state(replica) is not STARTING

"""Classes of work for a store, so that nobody waits for another's trouble: what shares threads, and how many.

Each class has threads of its own at each store. So a store that is silent holds up no replica elsewhere, and a
snapshot, a validation or a removal, however long it takes, no commit.
"""

from enum import Enum

from replication.pool import Lane


class Work(Enum):
    """What is to be done for a replica, and how many of it go to one store at once."""

    COMMITS = "commits"
    """Segments, and first snapshots so small that they are like one."""
    RETRIES = "retries"
    """The same for replicas whose last try failed: many that hang hold up none that goes well at the same store."""
    FIRST = "first snapshots"
    """Large ones: the commits of their own database wait for them, nobody else's."""
    DUTIES = "duties"
    """Later snapshots, proofs, retention and validation: no commit waits for them."""


COMMITS_AT_ONCE = 8
RETRIES_AT_ONCE = 4
FIRST_SNAPSHOTS_AT_ONCE = 2
DUTIES_AT_ONCE = 2
"""Each at one store. Few, as they keep the processor busy that commits need too."""
_AT_ONCE = {
    Work.COMMITS: COMMITS_AT_ONCE,
    Work.RETRIES: RETRIES_AT_ONCE,
    Work.FIRST: FIRST_SNAPSHOTS_AT_ONCE,
    Work.DUTIES: DUTIES_AT_ONCE,
}


def lane(work: Work, store: str) -> Lane:
    """Where such work is done for a store."""
    return Lane(f"{work.value} {store}", _AT_ONCE[work])

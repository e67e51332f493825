"""Keeping writers out of a database for a moment, so that nobody can append to its WAL.

The caller ends it with ROLLBACK, and soon: pin.py does.
"""

import time
from collections.abc import Callable

import apsw

BARRIER_WAIT_SECONDS_MAX = 0.1
"""How long a checkpoint tries to get in between writers.

This database's own copying stands still that long, so it is short.
"""
TRY_SECONDS = 0.001
"""Between two tries, after the eager ones."""
_EAGER_SECONDS = 0.03
"""For so long there is no pause between two tries: a busy writer lets go of its lock for microseconds only."""


def keep_writers_out(connection: apsw.Connection) -> bool:
    """Begin to write with `connection`, between two transactions of others. Return False if they left no room."""
    connection.set_busy_handler(_try_until(time.monotonic() + BARRIER_WAIT_SECONDS_MAX))
    try:
        connection.execute("BEGIN IMMEDIATE")
    except apsw.BusyError:
        return False
    return True


def _try_until(deadline: float) -> Callable[[int], bool]:
    """A busy handler for SQLite that tries eagerly, then at short intervals, until `deadline` (of time.monotonic)."""
    eager = time.monotonic() + _EAGER_SECONDS

    def again(tries: int) -> bool:
        now = time.monotonic()
        if now >= eager:
            time.sleep(TRY_SECONDS)
        return now < deadline

    return again

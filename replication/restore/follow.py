"""One plan after the other, until one leads to the target: for whoever follows plans, to a file or to anything else."""

from collections.abc import Callable
from typing import TypeVar

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    StorageError,
    UnprovenSnapshotError,
)
from replication.restore.layout import Attempts

_T = TypeVar("_T")


def follow(attempts: Attempts, run: Callable[[Attempts], _T]) -> _T:
    """Return what `run` makes of the first plan that serves; it follows the plan of these attempts once.

    Raises what `run` raises and no other plan can mend, and what each replica has said.
    """
    while True:
        try:
            return _follow(attempts, run)
        except (StorageError, CorruptObjectError, ReplicaGapError, NoRestorePointError) as error:
            # Raises what all of them said, if none is left that reaches as far.
            attempts = attempts.instead(error)


def _follow(attempts: Attempts, run: Callable[[Attempts], _T]) -> _T:
    """Follow a plan, and make it anew while retention or a new snapshot changes the replica under it."""
    while True:
        try:
            return run(attempts)
        except (ObjectNotFoundError, CorruptObjectError, ReplicaGapError, UnprovenSnapshotError) as error:
            attempts.plan_again(error)

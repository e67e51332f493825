"""A point that was picked in one replica: restored from that one, or from another that has that very commit.

Its promise: what comes out is the state that was picked, and it is said which replica gave it if it is another one.
Nothing else stands in for it: neither the nearest commit, nor a snapshot of which nothing tells what it holds.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ReplicaGapError,
    ReplicationError,
    StorageError,
    with_words,
)
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult, prepare, restore
from replication.restore.target import AtPosition


def restore_picked(
    sources: Sequence[OpenReplica],
    picked: str,
    output: Path,
    options: RestoreOptions,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> RestoreResult:
    """As `restore`, first from the replica named `picked` alone; without a name, from the one that answers best.

    Others are asked only if that one fails. Raises as `restore`; then the error names what each of them said.
    """
    first = [source for source in sources if source.name == picked]
    others = [source for source in sources if source.name != picked]
    if not first:
        return restore(sources, output, options, progress, cancel)
    try:
        return restore(first, output, options, progress, cancel)
    except (StorageError, CorruptObjectError, ReplicaGapError, NoRestorePointError) as error:
        if not others:
            raise
        failed = error
    try:
        _check_same(others, options, cancel)
        result = restore(others, output, options, progress, cancel)
    except (StorageError, CorruptObjectError, ReplicaGapError, NoRestorePointError) as error:
        raise _neither(picked, failed, [source.name for source in others], error) from None
    end = "" if str(failed).endswith((".", "!", "?")) else "."
    words = (
        f"Replica {picked}, where this point was picked, could not be restored from: {failed}{end} "
        f"{result.replica} has that very commit, and was used instead."
    )
    return replace(result, warnings=(words, *result.warnings))


def _check_same(sources: Sequence[OpenReplica], options: RestoreOptions, cancel: threading.Event | None) -> None:
    """Raise NoRestorePointError if what they would restore may be another state than the one that was picked."""
    target = options.target
    assert isinstance(target, AtPosition)
    prepared = prepare(sources, options, cancel)
    if not prepared.proves(target.position):
        raise NoRestorePointError(
            f"nothing proves that what replica {prepared.source.name} has of {target.position} is the same state"
        )


def _neither(picked: str, failed: ReplicationError, others: Sequence[str], error: ReplicationError) -> ReplicationError:
    """The first error, with what the other replicas said. If they are several, their words name them already."""
    said = f"Replica {others[0]}: {error}" if len(others) == 1 else str(error)
    return with_words(failed, f"Replica {picked}: ", f"No other replica can stand in for it. {said}")

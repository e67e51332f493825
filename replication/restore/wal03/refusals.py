"""Why nothing is restored, in words: what each replica says of it, and what can be had instead."""

from collections.abc import Sequence

from replication.errors import (
    CorruptObjectError,
    NoBackupError,
    NoRestorePointError,
    ReplicaGapError,
    ReplicationError,
    with_words,
)
from replication.restore.open_replica import OpenReplica
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.offers import Offer, OfferOrRefusal, Refusal


def unreadable(ahead: Offer, best: Offer) -> ReplicationError:
    """What to say of a replica that has commits after all that can be restored: they are in a damaged snapshot."""
    instead = f"What can be restored is {best.end}, from replica {best.source.name}: name it with -position."
    if ahead.catalog.damaged:
        return CorruptObjectError(ahead.catalog.damaged[-1], "its note is wrong", instead)
    return ReplicaGapError(f"Replica {ahead.source.name} has commits up to {ahead.known}. {instead}")


def refused(answers: Sequence[OfferOrRefusal]) -> ReplicationError:
    """The first error, with what each of the other replicas says."""
    first = answers[0]
    assert isinstance(first, Refusal)
    if len(answers) == 1:
        return first.error
    told = [f"Replica {item.source.name}: {_words(item)}" for item in answers[1:]]
    return with_words(first.error, f"Replica {first.source.name}: ", " ".join(told))


def nothing(
    sources: Sequence[OpenReplica], found: Sequence[tuple[OpenReplica, Catalog]], generation: str | None
) -> NoRestorePointError:
    where = ", ".join(source.address for source in sources) or "no replica"
    if found:
        names = ", ".join(sorted({catalog.generation for _, catalog in found}))
        return NoRestorePointError(
            f"No snapshot in {where}, so nothing can be restored; generations without one: {names}."
        )
    if generation is not None:
        return NoRestorePointError(
            f"Generation {generation} is not in {where}. The generations verb lists those that are."
        )
    return NoBackupError(f"No backup in {where}: nothing has been replicated there yet, or the path is another one.")


def _words(answer: OfferOrRefusal) -> str:
    if isinstance(answer, Refusal):
        return str(answer.error)
    name = answer.source.name
    if answer.torn:
        return f"{answer.torn} is damaged, too; what comes before that is told with -replica {name}."
    return f"it can be restored up to {answer.end}: name it with -replica {name}."

"""The layouts of replicas that can be read, a row each, and which of them some replicas have."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from replication.errors import StorageError, UsageError
from replication.restore.layout import Layout
from replication.restore.open_replica import OpenReplica
from replication.restore.wal03.layout import WAL03

LAYOUTS: tuple[Layout, ...] = (WAL03(),)
"""Where a replica holds nothing yet, it counts as one of the first."""


def layout_of(replicas: Sequence[OpenReplica]) -> Layout:
    """The layout of what these replicas hold. As long as there is one layout, no store is asked.

    Raises StorageError if none of them answers, and UsageError if some hold one layout and some another.
    """
    first, *others = LAYOUTS
    if not others or not replicas:
        return first
    with ThreadPoolExecutor(len(replicas), thread_name_prefix="layout") as pool:
        answers = list(pool.map(_held_by, replicas))
    failures = [answer for answer in answers if isinstance(answer, StorageError)]
    if len(failures) == len(answers):
        raise failures[0]
    found = [layout for layout in LAYOUTS if any(layout in answer for answer in answers if isinstance(answer, list))]
    if len(found) > 1:
        names = " and ".join(layout.name for layout in found)
        where = ", ".join(replica.address for replica in replicas)
        raise UsageError(
            f"{where} hold replicas in the layouts {names}, and which of them is newer cannot be told. Nothing was "
            "done. Name a place that holds only one of them."
        )
    return found[0] if found else first


def _held_by(replica: OpenReplica) -> list[Layout] | StorageError:
    try:
        return [layout for layout in LAYOUTS if layout.holds(replica)]
    except StorageError as error:
        return error

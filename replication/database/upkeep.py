"""What of the shadow WAL is still needed, by whom, and how much of it waits for each replica.

It promises that nothing is removed that a replica or an image needs, and that what waits is measured by the files that
are there. It leaves to the caller to say where the replicas stand. Used under the lock of its database, but for
`is_due`.
"""

from collections.abc import Sequence

from replication.database.current import CurrentGeneration
from replication.database.open_database import OpenDatabase
from replication.local.backlog import INDEXES_KEPT, Backlog, ShadowSizes
from replication.position import Position
from replication.space import Disk

CLEANED_BYTES = 1 << 20
"""While an image is read, the WAL that it keeps is measured each time so much more was copied."""


class Upkeep:
    """Keeps the local folder of one database as small as its replicas allow."""

    def __init__(self, current: CurrentGeneration) -> None:
        self._current = current
        self._sizes = ShadowSizes()
        self._cleaned: Position | None = None
        """The position when shadow WAL was removed last."""
        self._lowest_kept: dict[str, int] = {}
        """By generation, the lowest index that was kept then: those before it are gone."""

    @property
    def shadow_bytes(self) -> int:
        """Bytes of the shadow WAL of the generation in use, as far as was looked at. Waits for nobody."""
        here = self._current.position
        return 0 if here is None else here.offset + self._sizes.done_with(here.generation)

    def is_due(self, opened: OpenDatabase | None) -> bool:
        """True once there is something to remove since that was done last, whatever the replicas do."""
        here, cleaned = self._current.position, self._cleaned
        if here is None or cleaned is None:
            return here is not None
        if (here.generation, here.index) != (cleaned.generation, cleaned.index):
            return True
        return opened is not None and bool(opened.images) and here.offset >= cleaned.offset + CLEANED_BYTES

    def backlogs(self, positions: Sequence[Position | None], waits_for_room: bool) -> list[Backlog]:
        """What waits in the shadow WAL for replicas at these positions, one each.

        None means that the position is not known.

        With `waits_for_room` what is here of the generation is of no more use once a replica has it.
        """
        here, names = self._current.position, self._current.names
        if here is None:
            return [Backlog(0) for _ in positions]
        self._sizes.update(self._current.shadow, names, here)
        kept = 0 if waits_for_room else INDEXES_KEPT
        return [self._sizes.backlog(position, names, here, kept) for position in positions]

    def end_images(self, opened: OpenDatabase, limit: int) -> None:
        """End the images for which too much waits: no snapshot is worth the application's disk."""
        here, names, shadow = self._current.position, self._current.names, self._current.shadow
        if here is None or not opened.images:
            return
        self._sizes.update(shadow, names, here)
        for image in opened.images:
            size = self._sizes.backlog(image.position, names, here).size
            # No checkpoint runs meanwhile: of the index in use there are two copies, the WAL and ours.
            size += 2 * (here.offset - (image.position.offset if image.position.index == here.index else 0))
            if why := Backlog(size).too_much(limit, Disk.of(shadow.meta_path)):
                image.ended = why

    def clean(self, replicas: Sequence[Position | None], opened: OpenDatabase | None, waits_for_room: bool) -> None:
        """Remove shadow WAL that none of these replicas needs, nor an image, but for the index before the one in use.

        Of a replica whose position is None nothing is known: it may need all that is there.
        """
        current = self._current
        here, shadow = current.position, current.shadow
        positions = [position for position in replicas if position is not None]
        if here is None:
            return
        self._cleaned = here
        if len(positions) < len(replicas):
            return
        current.arrivals.forget(positions)
        if opened is not None:
            # Segments go on while an image is read, which has pages of its commit, and of all since, from here.
            positions += [image.position for image in opened.images]
        needed = {position.generation for position in positions} | {here.generation}
        while current.names and current.names[0] not in needed:
            shadow.remove_generation(current.names[0])
            current.names = current.names[1:]
        if all(position.generation == here.generation for position in positions):
            lowest = min([here.index, *(position.index for position in positions)])
            if waits_for_room and all(position == here for position in positions):
                # Every replica has it, and nothing more comes to it.
                shadow.remove_below(here.generation, here.index + 1)
            elif lowest > self._lowest_kept.get(here.generation, -1):
                shadow.remove_below(here.generation, lowest - 1)
                self._sizes.forget_below(here.generation, lowest - 1)
                self._lowest_kept = {here.generation: lowest}

"""Who else writes to a replica, or goes on with its history: what is reported, and which generations are theirs.

It keeps what was seen in this run; what must outlive it is in disowned.py. It leaves to the caller what follows.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from replication.events import Emit
from replication.local.generation_info import GenerationInfo
from replication.position import Position
from replication.replica.disowned import disown, disowned
from replication.replica.source import SourceDatabase
from replication.replica.wal03.compare import DivergedError
from replication.replica.wal03.holdings import Holdings
from replication.replica.wal03.neighbours import Neighbours, alive_since
from replication.storage.writer import Writer, writer_words

OTHERS_SHOWN_MAX = 5
"""Generations of others that a warning names."""
_FAR = datetime.max.replace(tzinfo=UTC)
_COARSE = timedelta(seconds=2)
"""Some stores keep times no finer."""


def _went_on(holdings: Sequence[Holdings], current: str) -> set[str]:
    """Generations that were written to after the current one was begun here, by the times of the store.

    We send all of an old one before that, whatever our notes say of it.
    """
    began = [min(held.times) for held in holdings if held.generation == current and held.times]
    return {
        held.generation
        for held in holdings
        if began and held.generation != current and held.times and max(held.times) > began[0] + _COARSE
    }


class Others:
    """Used by one thread at a time; `warning` may be read by any."""

    def __init__(self, name: str, address: str, database: SourceDatabase, writer: Writer, emit: Emit) -> None:
        self._name = name
        self._address = address
        self._database = database
        self._writer = writer
        self._emit = emit
        self._neighbours = Neighbours()
        self._first_object = ""
        """The first that was written in this run."""
        self._written: set[str] = set()
        """The generations that were written to in this run."""
        self._alarm = ""
        """Who else goes on with our history, in words."""
        self._parted: set[str] = set()
        """Generations that another program goes on with."""
        self._beside = ""
        """Who else writes here, in words."""

    @property
    def warning(self) -> str:
        """What a person should know of them, or nothing."""
        return self._alarm or self._beside

    def writing(self, object_name: str) -> None:
        """An object of ours is about to be written."""
        self._written.add(object_name.split("/")[1])

    def wrote(self, object_name: str) -> None:
        """An object of ours is stored."""
        self._first_object = self._first_object or object_name

    def look(self, holdings: Sequence[Holdings]) -> set[str]:
        """Report that another program writes here, once for each change. Return the generations that it writes."""
        generation_info = self._database.generation_info
        ours = {
            generation_info.generation,
            generation_info.previous,
            *generation_info.earlier,
            *self._database.generations,
            *self._written,
        }
        theirs = disowned(self._database.meta_path)
        ours -= theirs.keys()
        ours -= _went_on(holdings, generation_info.generation)
        if self._neighbours.look(holdings, ours, self._first_object):
            names = ", ".join(self._neighbours.found[:OTHERS_SHOWN_MAX])
            self._beside = names and (
                f"another program writes to {self._address} as well (generation {names}); restores may find "
                "either database there, so give each a path of its own"
            )
            self._emit("warning", "others write to this replica", generations=names or "none any more")
        others = {*self._neighbours.found, *(name for name, certain in theirs.items() if certain)}
        with suppress(ValueError):
            began = datetime.fromisoformat(generation_info.began)
            # The host's clock may have been ahead when the generation began: the store has its first object.
            stored = [
                min(held.times, default=_FAR) for held in holdings if held.generation == generation_info.generation
            ]
            others |= alive_since(holdings, ours, min([began, *stored]))
        return others

    def tell(self, found: DivergedError, position: Position | None) -> None:
        """Another program goes on with our history, by what was found; said once of each generation.

        `position` is where the replica was; None at its start.
        """
        generation = found.foreign.partition("/")[2].partition("/")[0]
        # Until this run has written there it may as well be what this database was set back from, by a backup or a
        # loss of power.
        certain = position is not None and generation in self._written
        if generation and generation not in self._parted:
            self._parted.add(generation)
            who = writer_words(found.other, self._writer)
            self._alarm = (
                f"another program goes on with the same history in {self._address}: {found.foreign} was written by "
                f"{who}, and "
                "is not what this database has. It was left as it is, and this program goes on with a new generation. "
                + (
                    "The volume, virtual machine or local folder was copied: stop one of the two, or give it a path "
                    "of its own; until then restores may find either database there"
                    if certain
                    else "If the volume, virtual machine or local folder was copied, stop one of the two, or give it "
                    "a path of its own. If this database was set back to an older copy of it, all is well"
                )
            )
            disown(self._database.meta_path, self._name, generation, self._alarm, certain=certain)
            words = "another program writes the same history" if certain else "the replica holds another history"
            self._emit("error" if certain else "warning", words, object=found.foreign, warning=self._alarm)

    def parted_from(self, generation_info: GenerationInfo) -> list[str]:
        """The generations before this one that another program goes on with, so that this is not simply the newer."""
        theirs = disowned(self._database.meta_path)
        return [name for name in (generation_info.previous, *generation_info.earlier) if name in theirs]

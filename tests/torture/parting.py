"""The state machine with nothing but what copies, clocks, places and retention do, so that these meet often.

What SQLite and its files go through is left to machine.py.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.torture.choices import PICKS, REPLICAS
from tests.torture.machine import Machine

_NONE: Any = None


class Parting(Machine):
    """Rules that are none here, and those that are rare there."""

    spill = end = read = checkpoint_of_others = close_application = open_application = replace = _NONE
    die = remove_shm = rewrite = use_other_name = mend = remove_wal = sync_again = stop = start = _NONE

    @precondition(lambda self: self.history is not None and self.other is None)
    @rule(with_memory=st.booleans())
    def clone_now(self, with_memory: bool) -> None:
        self.clone(with_memory, rarely=True)

    @precondition(lambda self: self.history is not None and self.other is None)
    @rule(names=st.sampled_from([("near",), ("far", "near")]), alive=st.booleans(), cleanly=st.booleans())
    def fail_over_now(self, names: tuple[str, ...], alive: bool, cleanly: bool) -> None:
        self.fail_over(names, alive, cleanly, rarely=True)

    @rule(cleanly=st.booleans())
    def lose_folder_now(self, cleanly: bool) -> None:
        self.lose_folder(cleanly, rarely=True)

    @rule(name=REPLICAS, anew=st.booleans())
    def lose_place_now(self, name: str, anew: bool) -> None:
        self.lose_place(name, anew, rarely=True)

    @rule(name=REPLICAS, pick=PICKS)
    def lose_last(self, name: str, pick: int) -> None:
        """Whoever wrote it may send it again, with more in it."""
        if self.world.lose_last(name, pick):
            for side in self.all_sides:
                side.causes.add("emptied")

"""The rules of the state machine: every step that hypothesis may choose, and what is looked at after each.

The volume may be cloned: then there are two sides, which take turns until either of them ends.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from replication.database.checkpoint import CheckpointPolicy
from tests.torture.choices import (
    ASKED,
    ELSEWHERE,
    JUMPS,
    KINDS,
    MEANWHILE,
    MODES,
    MOMENTS,
    OFF,
    PICKS,
    PUTS,
    RARELY,
    REPLICAS,
    REWRITES,
    SIDES,
    WANTED,
    WINDOWS,
)
from tests.torture.cloning import act, clone, fail_over, retire
from tests.torture.crew import Crew
from tests.torture.history import History
from tests.torture.interleaving import Between
from tests.torture.mortal import FRAMES, Mortal
from tests.torture.place import Clock
from tests.torture.settling import check_end, settle
from tests.torture.world import World

RESTORES_A_HISTORY = 2
"""Restores of each replica at the end, besides the latest state; in memory every point is checked."""
STEP_SECONDS = 0.2
"""What a step takes, by the true time."""


class Machine(RuleBasedStateMachine):
    """The rules. What is shared by all histories is set on a subclass (see below)."""

    crews: list[dict[str, Crew]]
    """Of each side."""
    mortal: Mortal
    between: Between
    counts: Counter[str]
    clock: Clock
    place: Path

    def __init__(self) -> None:
        super().__init__()
        self.history: History | None = None
        self.other: History | None = None
        """The other side, if there are two."""
        self.sides = 0
        self.sound = False

    @property
    def now(self) -> History:
        """The history, in the middle of a step."""
        assert self.history is not None
        self.sound = False
        return self.history

    @initialize(
        page_size=st.sampled_from([512, 1024, 4096]),
        auto_vacuum=st.sampled_from(["NONE", "FULL"]),
        autocheckpoint=st.sampled_from([0, 8]),
        policy=st.sampled_from(
            [CheckpointPolicy(10**6, 0, 0), CheckpointPolicy(10, 0, 0), CheckpointPolicy(20, 40, 60)]
        ),
        tick_seconds=st.sampled_from([0, 0, 1, 2]),
        whole_seconds=st.tuples(st.booleans(), st.booleans()),
    )
    def begin(
        self,
        page_size: int,
        auto_vacuum: str,
        autocheckpoint: int,
        policy: CheckpointPolicy,
        tick_seconds: int,
        whole_seconds: tuple[bool, bool],
    ) -> None:
        self.clock.ahead = 0.0
        self.between.coarse.seconds = tick_seconds
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        self.world = World(self.root, self.clock, self.counts, self.between, whole_seconds)
        settings = (page_size, auto_vacuum, autocheckpoint)
        folder = self.root / "side-0"
        folder.mkdir()
        self.history = History(folder, self.crews[0], self.mortal, self.between, self.world, settings, policy)
        self.history.begin()
        self.counts["histories"] += 1

    @property
    def all_sides(self) -> list[History]:
        """One or two."""
        return [side for side in (self.history, self.other) if side is not None]

    @rule(writer=SIDES, kind=KINDS)
    def commit(self, writer: str, kind: str) -> None:
        self.now.commit(writer, kind)

    @rule(writer=SIDES)
    def spill(self, writer: str) -> None:
        self.now.spill(writer)

    @rule(how=st.sampled_from(["COMMIT", "ROLLBACK"]))
    def end(self, how: str) -> None:
        self.now.end(how)

    @rule(side=SIDES)
    def read(self, side: str) -> None:
        self.now.read(side)

    @rule(side=SIDES, mode=MODES)
    def checkpoint_of_others(self, side: str, mode: str) -> None:
        self.now.checkpoint_of_others(side, mode)

    @rule(again=st.booleans(), rarely=RARELY)
    def close_application(self, again: bool, rarely: bool) -> None:
        if not rarely:
            self.now.commit("right", "medium")
            return
        self.now.close_application()
        if again:
            self.now.open_application()

    @rule()
    def open_application(self) -> None:
        self.now.open_application()

    @rule(leave_wal=st.booleans(), rarely=RARELY)
    def replace(self, leave_wal: bool, rarely: bool) -> None:
        if rarely:
            self.now.replace(leave_wal)
        else:
            self.now.commit("left", "large")

    @rule(kind=KINDS, moment=MOMENTS)
    def die(self, kind: str, moment: int) -> None:
        self.now.die(kind, moment)

    @rule(again=st.booleans(), rarely=RARELY)
    def remove_shm(self, again: bool, rarely: bool) -> None:
        if rarely:
            self.now.remove_shm(again)
        else:
            self.now.die("small", FRAMES)

    @rule(how=REWRITES, rarely=RARELY)
    def rewrite(self, how: str, rarely: bool) -> None:
        if rarely:
            self.now.rewrite(how)
        else:
            self.now.commit("left", "medium")

    @rule(rarely=RARELY)
    def use_other_name(self, rarely: bool) -> None:
        if rarely:
            self.now.use_other_name()
        else:
            self.now.commit("right", "small")

    @rule()
    def mend(self) -> None:
        self.now.mend()

    @rule(rarely=RARELY)
    def remove_wal(self, rarely: bool) -> None:
        if rarely:
            self.now.remove_wal()
        else:
            self.now.commit("right", "update")

    # -- clocks and places ----------------------------------------------------------------------------------------

    @rule(seconds=JUMPS)
    def jump(self, seconds: float) -> None:
        self.clock.ahead += seconds
        self.counts["clock jumps"] += 1

    @rule(name=REPLICAS, seconds=JUMPS, right=st.booleans())
    def jump_of_a_place(self, name: str, seconds: float, right: bool) -> None:
        store = self.world.stores[name]
        store.ahead = 0.0 if right else store.ahead + seconds
        self.counts["clock jumps of a place"] += 1

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 2.0, 30.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.clock.wait(seconds)

    @rule(name=REPLICAS)
    def outage(self, name: str) -> None:
        self.world.outage(name)

    @rule(name=REPLICAS, anew=st.booleans(), rarely=RARELY)
    def lose_place(self, name: str, anew: bool, rarely: bool) -> None:
        """A replica is emptied, or another place takes its part."""
        if not rarely:
            self.now.upload(name, [], None, False)
        elif anew:
            for side in self.all_sides:
                side.stop(True)
            self.world.replace(name)
            for side in self.all_sides:
                side.start([])
        else:
            self.world.empty(name)
            for side in self.all_sides:
                side.causes.add("emptied")

    @rule(kind=WANTED, names=ASKED, named=st.booleans(), pick=PICKS, off=OFF)
    def ask(self, kind: str, names: tuple[str, ...], named: bool, pick: int, off: float) -> None:
        self.world.ask(self.world.request(kind, names, named, pick, off))

    @rule(kind=WANTED, names=ASKED, named=st.booleans(), pick=PICKS, off=OFF)
    def ask_again(self, kind: str, names: tuple[str, ...], named: bool, pick: int, off: float) -> None:
        self.world.ask(self.world.request(kind, names, named, pick, off))

    # -- two sides ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.history is not None and self.other is None)
    @rule(with_memory=st.booleans(), rarely=RARELY)
    def clone(self, with_memory: bool, rarely: bool) -> None:
        if rarely:
            self.sides += 1
            crews = next(crews for crews in self.crews if crews is not self.now.crews)
            self.other = clone(self.now, self.root / f"side-{self.sides}", crews, with_memory)
        else:
            self.now.commit("left", "small")

    @precondition(lambda self: self.history is not None and self.other is None)
    @rule(names=ASKED, alive=st.booleans(), cleanly=st.booleans(), rarely=RARELY)
    def fail_over(self, names: tuple[str, ...], alive: bool, cleanly: bool, rarely: bool) -> None:
        """Another host restores the latest state, and goes on with that; the old one is gone, or comes back."""
        if not rarely:
            self.now.commit("left", "small")
            return
        crews = next(crews for crews in self.crews if crews is not self.now.crews)
        self.sides += 1
        made = fail_over(self.now, self.root / f"side-{self.sides}", crews, names, alive)
        if made is not None:
            self.history, self.other = made, self.history
            if not alive:
                assert self.other is not None
                retire(self.other, False, cleanly)
                self.other = None

    @precondition(lambda self: self.other is not None)
    @rule()
    def turn(self) -> None:
        self.history, self.other = self.other, self.history

    @precondition(lambda self: self.other is not None)
    @rule(verbs=ELSEWHERE)
    def elsewhere(self, verbs: list[str]) -> None:
        assert self.other is not None
        for verb in verbs:
            act(self.other, verb)

    @precondition(lambda self: self.other is not None)
    @rule(this_one=st.booleans(), settled=st.booleans(), cleanly=st.booleans(), rarely=st.booleans())
    def end_a_side(self, this_one: bool, settled: bool, cleanly: bool, rarely: bool) -> None:
        assert self.other is not None
        if rarely:
            if this_one:
                self.turn()
            retire(self.other, settled, cleanly)
            self.other = None
        else:
            self.elsewhere(["commit", "near"])

    # -- the engine -----------------------------------------------------------------------------------------------

    @rule(planned=MEANWHILE)
    def sync(self, planned: list[str]) -> None:
        self.now.sync(planned)

    @rule(planned=MEANWHILE)
    def sync_again(self, planned: list[str]) -> None:
        self.now.sync(planned)

    @rule(planned=MEANWHILE)
    def checkpoint(self, planned: list[str]) -> None:
        self.now.checkpoint(planned)

    @rule(name=REPLICAS, planned=MEANWHILE, puts=PUTS, lose=st.booleans())
    def upload(self, name: str, planned: list[str], puts: int | None, lose: bool) -> None:
        self.now.upload(name, planned, puts, lose)

    @rule(name=REPLICAS, planned=MEANWHILE, puts=PUTS, lose=st.booleans())
    def upload_again(self, name: str, planned: list[str], puts: int | None, lose: bool) -> None:
        self.now.upload(name, planned, puts, lose)

    @rule(name=REPLICAS, planned=MEANWHILE, puts=PUTS, lose=st.booleans())
    def snapshot(self, name: str, planned: list[str], puts: int | None, lose: bool) -> None:
        self.now.snapshot(name, planned, puts, lose)

    @rule(name=REPLICAS, seconds=WINDOWS)
    def retention(self, name: str, seconds: float) -> None:
        self.now.retention(name, seconds)

    @rule(cleanly=st.booleans(), planned=MEANWHILE)
    def restart(self, cleanly: bool, planned: list[str]) -> None:
        self.now.stop(cleanly)
        self.now.start(planned)

    @rule(cleanly=st.booleans(), rarely=RARELY)
    def stop(self, cleanly: bool, rarely: bool) -> None:
        if rarely:
            self.now.stop(cleanly)
        else:
            self.now.sync([])

    @rule(cleanly=st.booleans(), rarely=RARELY)
    def lose_folder(self, cleanly: bool, rarely: bool) -> None:
        """The local folder is lost, as where a container has none that stays."""
        if rarely:
            self.now.lose_folder(cleanly)
        else:
            self.now.sync([])

    @rule(planned=MEANWHILE)
    def start(self, planned: list[str]) -> None:
        self.now.start(planned)

    @invariant()
    def holds(self) -> None:
        for side in self.all_sides:
            side.check()
        if self.history is not None:
            self.clock.wait(STEP_SECONDS)
            self.counts["state-machine steps"] += 1
        self.sound = True

    def teardown(self) -> None:
        failed = not self.sound
        try:
            if self.sound and self.history is not None:
                self.world.all_back()
                if self.other is not None:
                    settle(self.other)
                check_end(self.history, RESTORES_A_HISTORY)
        except BaseException:
            failed = True
            raise
        finally:
            for side in self.all_sides:
                if failed:
                    print("\n".join(side.said))
                side.finish()
            if self.history is not None:
                shutil.rmtree(self.root)

"""Everything that may happen to a database, in any order: a state machine against the oracle of all commits.

Hypothesis chooses the steps, and makes a failure small. Promises 1, 2, 3, 5 and 8, and: no new
generation without a cause. The volume may be cloned: then there are two sides, which take turns until either ends.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from replication.database.checkpoint import CheckpointPolicy
from tests.torture.cloning import clone, retire
from tests.torture.conftest import Torture
from tests.torture.crew import Crew
from tests.torture.history import History
from tests.torture.interleaving import Between, interleaved
from tests.torture.mortal import FRAMES, TORN, Mortal
from tests.torture.place import Clock, skewed
from tests.torture.world import World

HISTORIES_A_ROUND = 5
STEPS_SHORT, STEPS_LONG = 80, 200
"""Steps of a history."""
SHRINK = "TORTURE_SHRINK" in os.environ
"""Making a failure small takes minutes: for the one who looks into it."""
RESTORES_A_HISTORY = 2
"""Restores of each replica at the end, besides the latest state; in memory every point is checked."""
STEP_SECONDS = 0.2
"""What a step takes, by the true time."""

SIDES = st.sampled_from(["left", "right"])
REPLICAS = st.sampled_from(["near", "near", "far"])
KINDS = st.sampled_from(["small", "small", "medium", "large", "update", "shrink", "vacuum"])
MODES = st.sampled_from(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
JUMPS = st.sampled_from([1.0, -1.0, 60.0, -3600.0, 3600.0, 86400.0 * 400, -86400.0 * 400])
OTHERS = st.sampled_from(
    ["", "", "", "commit small", "commit small", "commit large", "commit shrink", "commit vacuum"]
    + [f"checkpoint {mode}" for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE")]
    + ["read", "spill", "end COMMIT", "end ROLLBACK"]
    + [f"die {FRAMES}", f"die {FRAMES}", f"die {TORN}", "die 0", "die 3"]
    # The WAL restarted in one place, twice if nothing of ours prevents it.
    + ["checkpoint PASSIVE, commit small", "commit small, checkpoint PASSIVE"]
    + ["commit small, checkpoint PASSIVE, commit small, checkpoint TRUNCATE"]
    + [
        f"die {FRAMES}, commit small",
        f"checkpoint PASSIVE, die {FRAMES}",
        f"checkpoint PASSIVE, die {FRAMES}, commit small",
    ]
)


def _spread(plan: list[tuple[int, str]]) -> list[str]:
    """What happens at each place between two of our steps: "" is nothing."""
    return [name for places, action in plan for name in [""] * places + [action]]


PLACES_MAX = 24
"""Places that are passed over before an action: a checkpoint of ours has about as many."""
SPREAD = st.lists(st.tuples(st.integers(0, PLACES_MAX), OTHERS), max_size=3).map(_spread)
MEANWHILE: st.SearchStrategy[list[str]] = st.one_of(st.just([]), st.lists(OTHERS, max_size=12), SPREAD, SPREAD)
RARELY = st.sampled_from([False, False, False, False, True])
"""What ends a generation comes rarely, so that generations grow long; in its place there is a commit."""
MOMENTS = st.one_of(st.sampled_from([FRAMES, FRAMES, FRAMES, TORN]), st.integers(0, 40))
"""When a writer dies: most often where its commit is whole in the WAL, and does not count."""
REWRITES = st.sampled_from(["", "commit", "closed", "closed", "tidy", "smaller tidy"])
ASKED = st.sampled_from([("near",), ("far",), ("near", "far"), ("far", "near"), ("near", "far"), ("far", "near")])
WANTED = st.sampled_from(["latest", "latest", "time", "time", "time", "index", "position"])
PICKS = st.integers(0, 10**4)
OFF = st.sampled_from([0.0, 0.0, 0.005, 1.0, -1.0])
WINDOWS = st.sampled_from([0.01, 1.0, 2.0, 5.0, 60.0, 86400.0])
VERBS = ["copy", "far", "checkpoint", "snapshot", "retention", "restart", "kill"]
ELSEWHERE = st.lists(
    st.sampled_from(["commit"] * 3 + ["near"] * 2 + VERBS),
    min_size=1,
    max_size=5,
)
"""What the other side does meanwhile."""
PUTS = st.one_of(st.none(), st.none(), st.integers(0, 3))


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

    @precondition(lambda self: self.other is not None)
    @rule()
    def turn(self) -> None:
        self.history, self.other = self.other, self.history

    @precondition(lambda self: self.other is not None)
    @rule(verbs=ELSEWHERE)
    def elsewhere(self, verbs: list[str]) -> None:
        assert self.other is not None
        for verb in verbs:
            self._act_elsewhere(self.other, verb)

    def _act_elsewhere(self, side: History, verb: str) -> None:
        if verb == "commit":
            side.commit("left", "medium")
        elif verb == "copy":
            side.sync([])
        elif verb in ("near", "far"):
            side.sync([])
            side.upload(verb, [], None, False)
        elif verb == "checkpoint":
            side.checkpoint([])
        elif verb == "snapshot":
            side.snapshot("near", [], None, False)
        elif verb == "retention":
            side.retention("near", 2.0)
        else:
            side.stop(verb == "restart")
            side.start([])

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
        try:
            if self.sound and self.history is not None:
                self.world.all_back()
                if self.other is not None:
                    self.other.settle()
                self.history.check_end(RESTORES_A_HISTORY)
        finally:
            for side in self.all_sides:
                side.finish()
            if self.history is not None:
                shutil.rmtree(self.root)


@pytest.fixture
def machine(torture: Torture, tmp_path: Path) -> Iterator[type[Machine]]:
    """The machine with its processes, the places between our steps, and a folder in memory where there is room."""
    crews = [{"left": Crew(), "right": Crew()} for _ in range(2)]
    mortal, clock = Mortal(), Clock()
    memory = Path("/dev/shm")
    with (
        interleaved() as between,
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as place,
    ):
        for name, value in skewed(clock).items():
            patch.setattr(name, value)
        shared: dict[str, Any] = {
            "crews": crews,
            "mortal": mortal,
            "between": between,
            "counts": torture.counts,
            "clock": clock,
        }
        yield type("Machine", (Machine,), {**shared, "place": Path(place)})
    for crew in [crew for pair in crews for crew in pair.values()]:
        crew.end()
    mortal.end()


def test_state_machine(torture: Torture, machine: type[Machine]) -> None:
    options = settings(
        max_examples=HISTORIES_A_ROUND,
        stateful_step_count=STEPS_LONG if torture.long else STEPS_SHORT,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    for chance in torture.rounds(short=4):
        run_state_machine_as_test(seed(chance.getrandbits(64))(machine), settings=options)
    print(dict(torture.counts))
    assert torture.counts["restore points checked"] > torture.counts["histories"]

"""Everything that may happen to a database, in any order: a state machine against the oracle of all commits.

Hypothesis chooses the steps, and makes a failure small. Promises 1, 2, 3 and 5, and: no new generation without a cause.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from replication.database.checkpoint import CheckpointPolicy
from tests.torture.conftest import Torture
from tests.torture.crew import Crew
from tests.torture.history import Clock, History, skewed
from tests.torture.interleaving import Between, interleaved
from tests.torture.mortal import FRAMES, TORN, Mortal

HISTORIES_A_ROUND = 5
STEPS_SHORT, STEPS_LONG = 80, 200
"""Steps of a history."""
SHRINK = "TORTURE_SHRINK" in os.environ
"""Making a failure small takes minutes: for the one who looks into it."""
RESTORES_A_HISTORY = 2
"""Restores by the program itself of each replica, besides the latest state; in memory every point is checked."""

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
PUTS = st.one_of(st.none(), st.none(), st.integers(0, 3))


class Machine(RuleBasedStateMachine):
    """The rules. What is shared by all histories is set on a subclass (see below)."""

    crews: dict[str, Crew]
    mortal: Mortal
    between: Between
    counts: Counter[str]
    clock: Clock
    place: Path

    def __init__(self) -> None:
        super().__init__()
        self.history: History | None = None
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
    )
    def begin(
        self, page_size: int, auto_vacuum: str, autocheckpoint: int, policy: CheckpointPolicy, tick_seconds: int
    ) -> None:
        self.clock.offset = 0.0
        self.between.coarse.seconds = tick_seconds
        folder = Path(tempfile.mkdtemp(dir=self.place))
        shared = (folder, self.crews, self.mortal, self.between, self.counts, self.clock)
        self.history = History(*shared, (page_size, auto_vacuum, autocheckpoint), policy)
        self.counts["histories"] += 1

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

    @rule(seconds=JUMPS)
    def jump(self, seconds: float) -> None:
        self.now.jump(seconds)

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

    @rule(name=REPLICAS, seconds=st.sampled_from([0.01, 60.0, 86400.0]))
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
        if self.history is not None:
            self.history.check()
            self.counts["state-machine steps"] += 1
        self.sound = True

    def teardown(self) -> None:
        if self.history is not None:
            try:
                if self.sound:
                    self.history.check_end(RESTORES_A_HISTORY)
            finally:
                self.history.finish()


@pytest.fixture
def machine(torture: Torture, tmp_path: Path) -> Iterator[type[Machine]]:
    """The machine with its processes, the places between our steps, and a folder in memory where there is room."""
    crews, mortal = {"left": Crew(), "right": Crew()}, Mortal()
    clock = Clock()
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
    for crew in crews.values():
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

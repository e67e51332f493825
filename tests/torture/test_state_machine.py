"""Everything that may happen to a database, in any order: a state machine against the oracle of all commits.

Hypothesis chooses the steps, and makes a failure small. Promises 1, 2, 3, 5 and 8, and: no new generation without a
cause.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.torture.conftest import Torture
from tests.torture.crew import Crew
from tests.torture.interleaving import interleaved
from tests.torture.machine import Machine
from tests.torture.mortal import Mortal
from tests.torture.parting import Parting
from tests.torture.place import Clock, skewed

HISTORIES_A_ROUND = 5
STEPS_SHORT, STEPS_LONG = 80, 200
"""Steps of a history."""
SHRINK = "TORTURE_SHRINK" in os.environ
"""Making a failure small takes minutes: for the one who looks into it."""


@pytest.fixture(params=[Machine, Parting], ids=["all", "parting"])
def machine(request: pytest.FixtureRequest, torture: Torture, tmp_path: Path) -> Iterator[type[Machine]]:
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
        yield type("Machine", (request.param,), {**shared, "place": Path(place)})
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
    for chance in torture.rounds(short=1 if issubclass(machine, Parting) else 4):
        run_state_machine_as_test(seed(chance.getrandbits(64))(machine), settings=options)
    print(dict(torture.counts))
    assert torture.counts["restore points checked"] > torture.counts["histories"]

"""How long a torture test goes on, from which seed, and where it says what it survived.

Without TORTURE_MINUTES every test runs its short form, as part of `make test`. `make torture MINUTES= SEED=` lets each
go on for so many minutes, and appends one line a test to torture-report.jsonl.
"""

import itertools
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

MINUTES = float(os.environ.get("TORTURE_MINUTES", "0"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
REPORT = Path(__file__).parents[2] / "torture-report.jsonl"
OVERTIME_SECONDS = 900
"""For the round that is under way when the time is over, and for what is checked after it."""


class Torture:
    """The length of one test, its chance, and what it counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seed = SEED
        self.long = MINUTES > 0
        self._end = time.monotonic() + MINUTES * 60

    def rounds(self, short: int, at_least: int = 1) -> Iterator[random.Random]:
        """A chance for each round: `short` rounds, or as many as fit into the minutes, `at_least` so many of these.

        Counted as "rounds".

        A round that fails is repeated alone by its number: SEED=seed and TORTURE_ROUND=number.
        """
        only = os.environ.get("TORTURE_ROUND")
        for number in [int(only)] if only else itertools.count():
            over = number >= at_least and time.monotonic() > self._end if self.long else number >= short
            if number and not only and over:
                return
            print(f"seed {self.seed} round {number}", flush=True)
            yield random.Random(f"{self.seed}/{number}")
            self.counts["rounds"] += 1


@pytest.fixture
def torture(request: pytest.FixtureRequest) -> Iterator[Torture]:
    """The length and the chance of this test; what it counted is reported if it runs for minutes."""
    began = time.monotonic()
    made = Torture()
    yield made
    if made.long:
        line = {
            "test": request.node.name,
            "seed": made.seed,
            "commit": _commit(),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "failed": request.session.testsfailed > 0,
            **made.counts,
        }
        with REPORT.open("a") as file:
            file.write(json.dumps(line) + "\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Minutes are more than a test may usually take."""
    if MINUTES:
        for item in items:
            if "torture" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(MINUTES * 60 + OVERTIME_SECONDS))


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPORT.parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()

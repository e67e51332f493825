"""Promise 2 in a model: whatever the order of steps, no frame is skipped; and the model is SQLite's.

Every order is tried, not a sample. That the search can find a lost frame is shown by protocols with a step left out;
that the model's rules are those of SQLite, by doing the same on real connections.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.torture import model
from tests.torture.conftest import Torture
from tests.torture.crew import Crew
from tests.torture.model import NONE, State, Variant

FRAMES_SHORT, FRAMES_LONG = 3, 6
"""Frames that one life of the WAL may have."""
FRAMES_BROKEN = 2
"""As many are enough to lose one."""
WALK_STEPS = 150
READERS = ("pin", "helper", "reader")
MODES = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")


def test_no_order_of_steps_skips_a_frame_or_tears_an_image(torture: Torture) -> None:
    states, way = model.explore(FRAMES_LONG if torture.long else FRAMES_SHORT)
    assert way == [], f"lost after: {way}"
    assert states > 40_000
    torture.counts["model states"] = states


@pytest.mark.parametrize("variant", Variant.BROKEN)
def test_without_a_step_the_model_loses_a_frame(variant: str) -> None:
    states, way = model.explore(FRAMES_BROKEN, variant)
    print(f"{variant}: {states} states, then: {', '.join(way)}")
    assert way, "the search does not see what is missing"


class Real:
    """The same steps on real connections."""

    def __init__(self, path: Path, crew: Crew) -> None:
        self.crew, self.path = crew, path
        for name in (*READERS, "writer", "checkpoint"):
            crew.open(name, path, 1024, "NONE", 0)
        crew.run("writer", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES(1, 0)")
        assert crew.run("checkpoint", "PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]

    def salts(self) -> bytes:
        # The -wal carries no locks, so it may be opened and closed here.
        return self.path.with_name(f"{self.path.name}-wal").read_bytes()[16:24]


class Walk:
    """Model and SQLite side by side."""

    def __init__(self, real: Real, chance: random.Random) -> None:
        self.real, self.chance = real, chance
        self.state = State()
        self.salts = b""

    def step(self) -> str:
        writer = self.state.writer == NONE
        name = self.chance.choice([*READERS, "write", "write", "write", "checkpoint", "checkpoint"])
        if name in READERS:
            return self._read(name)
        if name == "checkpoint":
            return self._checkpoint(self.chance.choice(MODES))
        return self._begin_writing() if writer else self._end_writing()

    def _read(self, name: str) -> str:
        if getattr(self.state, name) == NONE:
            self.real.crew.run(name, "BEGIN", "SELECT b FROM t")
            self.state = self._with(name, model.mark(self.state))
            return "read"
        self.real.crew.run(name, "COMMIT")
        self.state = self._with(name, NONE)
        return "end reading"

    def _with(self, reader: str, mark: int) -> State:
        changed: dict[str, Any] = {reader: mark}
        return self.state._replace(**changed)

    def _begin_writing(self) -> str:
        assert model.may_write(self.state)
        assert self.real.crew.run("writer", "BEGIN IMMEDIATE") is not None
        self.state = self.state._replace(writer=model.mark(self.state))
        return "write"

    def _end_writing(self) -> str:
        if self.chance.random() < 0.2:
            self.real.crew.run("writer", "ROLLBACK")
            self.state = self.state._replace(writer=NONE)
            return "roll back"
        before, self.state = self.state, model.commit(self.state)
        # One row of one page: the transaction is one frame.
        assert self.real.crew.run("writer", "UPDATE t SET b = b + 1", "COMMIT") is not None
        salts = self.real.salts()
        restarted = self.state.frames == 1
        assert (salts != self.salts) == restarted, (
            f"restarted: {salts != self.salts}, in the model {restarted}: {before}"
        )
        self.salts = salts
        return "restart" if restarted else "append"

    def _checkpoint(self, mode: str) -> str:
        before = self.state
        under_way = model.begin_checkpoint(before, False, mode != "PASSIVE", mode == "TRUNCATE")
        after = model.end_checkpoint(under_way)
        assert under_way.checkpoint is not None
        busy = mode != "PASSIVE" and not under_way.checkpoint.locks_writers
        if mode != "PASSIVE" and not busy:
            busy = under_way.checkpoint.safe < before.frames
            busy = busy or (mode in ("RESTART", "TRUNCATE") and max(model.marks(before)) > 0)
        expected = [[int(busy), after.frames, after.backfilled]]
        found = self.real.crew.run("checkpoint", f"PRAGMA wal_checkpoint({mode})")
        assert found == expected, f"{mode} answers {found}, in the model {expected}: {before}"
        self.state = after
        return f"{mode} {'busy' if busy else 'done'}"


def test_the_model_is_what_sqlite_does(torture: Torture, tmp_path: Path) -> None:
    crew = Crew()
    seen: set[str] = set()
    for number, chance in enumerate(torture.rounds(short=10)):
        walk = Walk(Real(tmp_path / f"{number}.db", crew), chance)
        for _ in range(WALK_STEPS):
            seen.add(walk.step())
            torture.counts["steps of model and SQLite alike"] += 1
        crew.close_all()
    crew.end()
    assert seen >= {"restart", "append", *(f"{mode} {how}" for mode in MODES[1:] for how in ("busy", "done"))}

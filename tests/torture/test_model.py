"""Promise 2 in a model: whatever the order of steps, no frame is skipped; and the model is SQLite's.

Every order is tried, not a sample. That the search can find a lost frame is shown by protocols with a step left out;
that the model's rules are those of SQLite, by doing the same on real connections, and with writers that are killed.
"""

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, frames_in
from tests.torture import model, model_wal
from tests.torture.conftest import Torture
from tests.torture.crew import Crew
from tests.torture.model import Variant
from tests.torture.model_wal import HEADED, NONE, PUT, State
from tests.torture.mortal import FRAMES, TORN, Mortal

FRAMES_SHORT, FRAMES_LONG = 3, 6
"""Frames that one life of the WAL may have."""
FRAMES_BROKEN = 2
"""As many are enough to lose one."""
WALK_STEPS = 150
READERS = ("pin", "helper", "reader")
MODES = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")
UPDATE = "UPDATE t SET b = random()"
"""One row of one page, and so one frame, unlike any other."""
WRITE = ["BEGIN IMMEDIATE", UPDATE, "COMMIT"]


def test_no_order_of_steps_skips_a_frame_or_tears_an_image(torture: Torture) -> None:
    states, way = model.explore(FRAMES_LONG if torture.long else FRAMES_SHORT)
    assert way == [], f"lost after: {way}"
    assert states > 100_000
    torture.counts["model states"] = states


@pytest.mark.parametrize("variant", Variant.BROKEN)
def test_without_a_step_the_model_loses_a_frame(variant: str) -> None:
    states, way = model.explore(FRAMES_BROKEN, variant)
    print(f"{variant}: {states} states, then: {', '.join(way)}")
    assert way, "the search does not see what is missing"


class Real:
    """The same steps on real connections. The test's own process has no SQLite, so it may look at every file."""

    def __init__(self, path: Path, crew: Crew) -> None:
        self.crew, self.path = crew, path
        self.wal, self.index = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
        for name in (*READERS, "writer", "checkpoint"):
            crew.open(name, path, 1024, "NONE", 0)
        crew.run("writer", "PRAGMA synchronous = OFF")
        crew.run("writer", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES(1, 0)")
        assert crew.run("checkpoint", "PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]

    def salts(self) -> bytes:
        return self.wal.read_bytes()[16:24]

    def frames(self) -> int:
        """Whole frames that the file holds, as whoever reads it alone sees them."""
        data = self.wal.read_bytes()
        if len(data) < WAL_HEADER_SIZE:
            return 0
        header = WALHeader.parse(data[:WAL_HEADER_SIZE])
        return frames_in(data[WAL_HEADER_SIZE:], header, header.sums).count

    def counts(self) -> tuple[int, int] | None:
        """Frames counted, and of them copied back; None if the index is torn."""
        data = self.index.read_bytes()
        if data[:48] != data[48:96]:
            return None
        return struct.unpack_from("=I", data, 16)[0], struct.unpack_from("=I", data, 96)[0]


class Walk:
    """Model and SQLite side by side."""

    def __init__(self, real: Real, mortal: Mortal, chance: random.Random) -> None:
        self.real, self.mortal, self.chance = real, mortal, chance
        self.state = State()
        self.salts = b""

    def step(self) -> str:
        name = self.chance.choice([*READERS, "write", "write", "write", "checkpoint", "checkpoint", "die"])
        if name == "die" and self.state.writer == NONE:
            if self.chance.random() < 0.5:
                self._free()
            done = self._die()
        elif name in READERS and getattr(self.state, name) != NONE:
            done = self._end_reading(name)
        elif name not in READERS and name != "checkpoint" and self.state.writer != NONE:
            done = self._end_writing()
        else:
            # Whoever comes next mends an index that is torn. Nobody is in the way, for all go one after the other.
            whole = model_wal.ready(self.state)
            assert whole is not None
            self.state = whole
            if name in READERS:
                done = self._read(name)
            elif name == "checkpoint":
                done = self._checkpoint(self.chance.choice(MODES))
            else:
                done = self._begin_writing()
        self._compare(done)
        return done

    def _compare(self, done: str) -> None:
        state = self.state
        expected = None if state.torn_index else (state.frames, state.backfilled)
        assert self.real.counts() == expected, f"{done}: the index has {self.real.counts()}, the model {state}"
        in_file = (state.old or state.frames) + state.loose
        assert self.real.frames() == in_file, f"{done}: the file has {self.real.frames()} frames, the model {state}"

    def _read(self, name: str) -> str:
        assert self.real.crew.run(name, "BEGIN", "SELECT b FROM t") is not None
        self.state = self._with(name, model_wal.mark(self.state))
        return "read"

    def _end_reading(self, name: str) -> str:
        self.real.crew.run(name, "COMMIT")
        self.state = self._with(name, NONE)
        return "end reading"

    def _with(self, reader: str, mark: int) -> State:
        changed: dict[str, Any] = {reader: mark}
        return self.state._replace(**changed)

    def _begin_writing(self) -> str:
        assert model_wal.may_write(self.state)
        assert self.real.crew.run("writer", "BEGIN IMMEDIATE") is not None
        self.state = self.state._replace(writer=model_wal.mark(self.state))
        return "write"

    def _end_writing(self) -> str:
        if self.chance.random() < 0.2:
            self.real.crew.run("writer", "ROLLBACK")
            self.state = self.state._replace(writer=NONE)
            return "roll back"
        before, self.state = self.state, model_wal.commit(self.state)
        assert self.real.crew.run("writer", UPDATE, "COMMIT") is not None
        salts = self.real.salts()
        restarted = self.state.frames == 1
        if not before.frames and not before.old:
            # Into an empty WAL, or over what a dead one left: with the salts that he had, or with others by chance.
            self.salts = salts
            return "begin over a dead one's" if before.loose else "begin"
        assert (salts != self.salts) == restarted, (
            f"restarted: {salts != self.salts}, in the model {restarted}: {before}"
        )
        self.salts = salts
        return "restart" if restarted else "append"

    def _free(self) -> None:
        """Nobody reads, and all is copied back: whoever writes next begins the WAL anew."""
        self.state = model_wal.ready(self.state) or self.state
        for name in READERS:
            if getattr(self.state, name) != NONE:
                self._end_reading(name)
        self._checkpoint("FULL")

    def _die(self) -> str:
        """A writer of its own begins, and is killed at some moment of its commit."""
        whole = model_wal.ready(self.state)
        assert whole is not None
        state = whole._replace(writer=model_wal.mark(whole))
        moment = self.chance.choice([0, 1, 2, FRAMES, FRAMES, TORN])
        done = f"die at {moment}"
        if model_wal.may_restart(state):
            state = model_wal.restarted(state)
            done += ", the WAL restarted"
        calls = 0
        if not state.frames and moment:
            state = model_wal.begun_anew(state)._replace(written=HEADED)
            calls = 1
        if moment in (FRAMES, TORN) or moment - calls == 2:
            state = state._replace(loose=1, written=PUT)
        elif moment > calls:
            # The head of a frame is there, in the place of whatever was.
            state = state._replace(loose=0)
        ending = self.mortal.write(self.real.path, WRITE, moment, ("PRAGMA synchronous = OFF",))
        assert ending.killed
        self.state = state._replace(writer=NONE, written=model_wal.BEGUN, torn_index=moment == TORN)
        self.salts = self.real.salts()
        return done

    def _checkpoint(self, mode: str) -> str:
        before = self.state
        under_way = model_wal.begin_checkpoint(before, False, mode != "PASSIVE", mode == "TRUNCATE")
        after = model_wal.end_checkpoint(under_way)
        if after.checkpoint is not None:
            after = model_wal.end_checkpoint(after)
        assert under_way.checkpoint is not None
        busy = mode != "PASSIVE" and not under_way.checkpoint.locks_writers
        if mode != "PASSIVE" and not busy:
            busy = under_way.checkpoint.safe < before.frames
            busy = busy or (mode in ("RESTART", "TRUNCATE") and max(model_wal.marks(before)) > 0)
        expected = [[int(busy), after.frames, after.backfilled]]
        found = self.real.crew.run("checkpoint", f"PRAGMA wal_checkpoint({mode})")
        assert found == expected, f"{mode} answers {found}, in the model {expected}: {before}"
        self.state = after
        return f"{mode} {'busy' if busy else 'done'}"


def test_the_model_is_what_sqlite_does(torture: Torture, tmp_path: Path) -> None:
    crew, mortal = Crew(), Mortal()
    seen: set[str] = set()
    for number, chance in enumerate(torture.rounds(short=10)):
        walk = Walk(Real(tmp_path / f"{number}.db", crew), mortal, chance)
        for _ in range(WALK_STEPS):
            seen.add(walk.step())
            torture.counts["steps of model and SQLite alike"] += 1
        crew.close_all()
    crew.end()
    mortal.end()
    assert seen >= {"restart", "append", *(f"{mode} {how}" for mode in MODES[1:] for how in ("busy", "done"))}
    assert seen >= {"begin over a dead one's", *(f"die at {moment}" for moment in (0, 1, FRAMES, TORN))}
    assert seen >= {f"die at {moment}, the WAL restarted" for moment in (0, 1, 2, FRAMES, TORN)}

"""A host with another clock: what happened a minute ago there happened a minute ago here."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.far import FarClient, Route
from replication.control.skew import CLOSE_SECONDS, Skew
from tests.control.relayed import InThread, explain
from tests.control.serving import Served, served
from tests.engine.running import only, until

HOURS = 3 * 3600.0


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.engine.verify(found.name, Event())
        until(lambda: bool(only(found.engine).replicas[0].proven))
        yield found


def from_afar(at: Served, ahead: float) -> FarClient:
    """A client whose clock is so many seconds ahead of the engine's."""
    route = Route("web1", lambda: InThread(at.server.path), explain)
    return FarClient(route, refresh=0.05, now=lambda: time.time() + ahead)


@pytest.mark.parametrize("ahead", [HOURS, -HOURS])
def test_ages_are_those_of_the_other_clock(at: Served, ahead: float) -> None:
    with closing(from_afar(at, ahead)) as client:
        status, events = client.look(0)
        there = at.engine.status()
        off = CLOSE_SECONDS + 10.0
        assert status.time - ahead == pytest.approx(there.time, abs=off)
        [mine], [theirs] = (item.databases[0].replicas for item in (status, there))
        assert mine.verified is not None
        assert theirs.verified is not None
        for found, known in (
            (status.databases[0].last_sync, there.databases[0].last_sync),
            (mine.proven, theirs.proven),
            (mine.last_upload, theirs.last_upload),
            (mine.snapshot_time, theirs.snapshot_time),
            (mine.verified.time, theirs.verified.time),
            (mine.uploads[0].time, theirs.uploads[0].time),
            (events[0].time, at.engine.events_since(0)[0].time),
            (client.info().started, at.local.info().started),
        ):
            assert found - ahead == pytest.approx(known, abs=off)
        # What never was is not long ago.
        assert (mine.next_try, status.databases[0].paused_at) == (0.0, 0.0)
        carry_out(client, ask.Sync(database=at.name, wait=True))
        assert client.jobs()[-1].began - ahead == pytest.approx(at.control.jobs()[-1].began, abs=off)


def test_a_clock_that_is_about_the_same_is_left_alone(at: Served) -> None:
    with closing(from_afar(at, CLOSE_SECONDS / 2)) as client:
        status, _ = client.look(0)
        assert status.databases[0].replicas[0].proven == pytest.approx(only(at.engine).replicas[0].proven, abs=0.01)


def test_it_follows_a_clock_that_is_set_and_not_each_delay() -> None:
    skew = Skew()
    for theirs, ours, expected in (
        (1000.0, 1001.0, 0.0),
        (1001.0, 5001.0, 4000.0),
        (1002.0, 5003.5, 4000.0),
        (5004.0, 5004.0, 0.0),
        (5004.0, 5008.0, 0.0),
        (1e308, 5008.0, 0.0),
        (-5.0, 5008.0, 0.0),
    ):
        skew.compare(theirs, ours)
        assert skew.seconds == expected

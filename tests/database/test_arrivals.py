"""How long a replica has lacked something: right through outages, changes of generation, and within bounds."""

import time

from hypothesis import given
from hypothesis import strategies as st

from replication.database.arrivals import ARRIVALS_MAX, Arrivals
from replication.position import Position

OLD, NEW = "00112233445566aa", "ffeeddccbbaa9988"


def at(offset: int, generation: str = OLD) -> Position:
    return Position(generation, 0, offset)


def test_what_a_replica_lacks_first() -> None:
    arrivals = Arrivals()
    assert arrivals.first_missing(at(0)) is None
    for offset in (10, 20, 30):
        arrivals.add(at(offset), float(offset))
    assert arrivals.first_missing(None) == 10
    assert arrivals.first_missing(at(0)) == 10
    assert arrivals.first_missing(at(10)) == 20
    assert arrivals.first_missing(at(25)) == 30
    assert arrivals.first_missing(at(30)) is None


def test_what_came_before_a_generation_that_a_replica_is_in_is_not_lacking() -> None:
    arrivals = Arrivals()
    arrivals.add(at(10), 1)
    arrivals.add(at(20), 2)
    arrivals.add(at(0, NEW), 3)
    arrivals.add(at(50, NEW), 4)
    assert arrivals.first_missing(at(10)) == 2
    assert arrivals.first_missing(at(0, NEW)) == 4
    assert arrivals.first_missing(at(50, NEW)) is None


def test_what_all_replicas_have_is_forgotten() -> None:
    arrivals = Arrivals()
    for offset in range(1, 11):
        arrivals.add(at(offset), float(offset))
    arrivals.forget([at(4), at(7)])
    assert len(arrivals) == 6
    assert arrivals.first_missing(at(4)) == 5
    assert arrivals.first_missing(at(7)) == 8
    arrivals.forget([at(10), at(10)])
    assert len(arrivals) == 0


@given(count=st.integers(1, 5 * ARRIVALS_MAX))
def test_the_lag_of_a_long_outage_stays_right_and_memory_bounded(count: int) -> None:
    arrivals = Arrivals()
    for number in range(1, count + 1):
        arrivals.add(at(number), float(number))
    assert len(arrivals) <= ARRIVALS_MAX
    assert arrivals.first_missing(at(0)) == 1
    assert arrivals.first_missing(at(count)) is None


def test_what_was_copied_between_two_places_is_told_by_a_clock_that_nobody_sets() -> None:
    arrivals = Arrivals()
    for offset in (10, 20, 30):
        arrivals.add(at(offset), 0.0, float(offset))
    assert arrivals.between(at(10), at(30)) == [(at(20), 20.0), (at(30), 30.0)]
    assert arrivals.between(at(30), at(99)) == []
    arrivals.add(at(40), 0.0)
    [(_, seen)] = arrivals.between(at(30), at(40))
    assert abs(time.monotonic() - seen) < 60

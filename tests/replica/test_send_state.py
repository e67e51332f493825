"""Where sending stands: each change is as the table in send_state.py says, and leaves the rest alone."""

from collections.abc import Callable

import pytest

from replication.position import Position
from replication.replica.wal03.send_state import SendState
from replication.storage.wal03.numbers import Number

HERE, THERE = Position("0" * 16, 3, 4152), Position("0" * 16, 3, 8272)
NUMBER = Number(7, (3, 0), "0badcafe")
STATE = SendState(HERE, 4152, NUMBER, (HERE, 8272))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: state.found(THERE, 9000, None), SendState(THERE, 9000, None, STATE.tried)),
        (lambda state: state.trying(THERE, 9999), SendState(HERE, 4152, NUMBER, (THERE, 9999))),
        (lambda state: state.reached(THERE, None), SendState(THERE, 0, None, STATE.tried)),
        (lambda state: state.next_index(HERE), SendState(Position("0" * 16, 4, 0), 0, NUMBER, STATE.tried)),
        (lambda state: state.marked(NUMBER.following), SendState(HERE, 4152, NUMBER.following, STATE.tried)),
        (lambda state: state.unknown(), SendState(None, 4152, NUMBER, STATE.tried)),
    ],
)
def test_a_change_is_as_the_table_says(change: Callable[[SendState], SendState], expected: SendState) -> None:
    assert change(STATE) == expected


def test_a_first_snapshot_begins_a_counting_and_asks_for_wal_up_to_its_commit() -> None:
    begun = STATE.begun(THERE)
    assert (begun.position, begun.floor, begun.tried) == (Position("0" * 16, 3, 0), 8272, STATE.tried)
    assert begun.number is not None
    assert (begun.number.nth, begun.number.first) == (0, None)


def test_a_segment_is_tried_again_as_it_was_though_the_position_was_lost_meanwhile() -> None:
    assert STATE.unknown().found(HERE, 0, NUMBER).end_tried(HERE) == 8272
    assert STATE.end_tried(THERE) is None

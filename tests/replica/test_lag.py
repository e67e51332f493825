"""How far a replica is behind, for the engine and for whoever looks from outside: one computation, one threshold."""

import pytest

from replication.position import Position
from replication.replica.lag import EndedSizes, is_behind, pending_bytes

OLD, NEW = "00112233445566aa", "ffeeddccbbaa9988"
SIZES = {0: 4152, 1: 8272, 2: 0}


def at(index: int, offset: int, generation: str = NEW) -> Position:
    return Position(generation, index, offset)


@pytest.mark.parametrize(
    ("there", "pending"),
    [
        (None, 4152),
        (at(5, 32, OLD), 4152),
        (at(3, 4152), 0),
        (at(3, 32), 4120),
        (at(2, 0), 4152),
        (at(1, 4152), 4120 + 0 + 4152),
        (at(0, 0), 4152 + 8272 + 0 + 4152),
        # Asked later than the local folder was read.
        (at(3, 8272), 0),
        (at(4, 32), 0),
    ],
)
def test_what_a_replica_lacks(there: Position | None, pending: int) -> None:
    here = at(3, 4152)
    assert pending_bytes(here, there, SIZES.__getitem__) == pending
    assert EndedSizes(lambda generation, index: SIZES[index]).pending_bytes(here, there) == pending


def test_a_replica_elsewhere_lacks_something_though_nothing_was_committed() -> None:
    assert pending_bytes(at(0, 0), None, SIZES.__getitem__) == 1


def test_an_index_that_has_ended_is_asked_for_once() -> None:
    asked: list[tuple[str, int]] = []

    def size(generation: str, index: int) -> int:
        asked.append((generation, index))
        return 100

    sizes = EndedSizes(size)
    assert sizes.pending_bytes(at(3, 10), at(1, 60)) == 150
    assert sizes.pending_bytes(at(3, 20), at(1, 60)) == 160
    assert sizes.pending_bytes(at(4, 20), at(2, 60)) == 160
    assert asked == [(NEW, 1), (NEW, 2), (NEW, 3)]
    # Another generation has other files of the same indexes.
    assert sizes.pending_bytes(at(2, 20, OLD), at(1, 60, OLD)) == 60
    assert asked[3:] == [(OLD, 1)]


def test_how_late_is_behind() -> None:
    assert not is_behind(4.9, 1.0)
    assert is_behind(5.0, 1.0)
    # With a long interval between uploads what waits for its turn is not behind.
    assert not is_behind(49.0, 10.0)
    assert is_behind(50.0, 10.0)

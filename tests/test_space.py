"""Room on a disk: what is asked for first, what is left to the application, and what a refusal says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from replication import space
from replication.errors import NoRoomError
from replication.space import GUARD_BYTES, RESERVE_BYTES_MAX, Disk

MB = 10**6


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Let every disk have a size, and so much free."""

    def of(total: int, left: int) -> None:
        made = os.statvfs_result((1, 1, total, left, left, 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda folder: made)

    return of


def test_promise_6_a_tenth_of_a_disk_is_the_applications_and_not_more_than_is_of_use() -> None:
    assert Disk(56 * MB, 45 * MB).reserve == 5_600_000
    assert Disk(10**13, 10**12).reserve == RESERVE_BYTES_MAX
    assert Disk(56 * MB, 45 * MB).has_room(45 * MB - 5_600_000)
    assert not Disk(56 * MB, 45 * MB).has_room(45 * MB - 5_600_000 + 1)


def test_promise_6_what_does_not_fit_is_refused_with_how_much_and_where_else(
    tmp_path: Path, free: Callable[[int, int], None]
) -> None:
    free(100 * MB, 45 * MB)
    space.ask(tmp_path / "not" / "there" / "yet", 35 * MB, "A look", ", or go elsewhere.")
    with pytest.raises(NoRoomError) as refused:
        space.ask(tmp_path, 50 * MB, "A look", ", or go elsewhere.")
    assert str(refused.value) == (
        f"A look needs 50.0 MB, and the disk of {tmp_path} has 45.0 MB free, of which 10.0 MB are left to the "
        "application. Free some space, or go elsewhere."
    )


def test_promise_6_what_grows_ends_where_the_reserve_begins(tmp_path: Path, free: Callable[[int, int], None]) -> None:
    free(100 * MB, 20 * MB)
    written = space.guard(tmp_path, "A look", ".")
    written(GUARD_BYTES)
    free(100 * MB, 9 * MB)
    written(GUARD_BYTES - 1)
    with pytest.raises(NoRoomError, match=r"A look was ended: .* has 9\.0 MB free, and 10\.0 MB are left to the appl"):
        written(1)


def test_a_disk_that_does_not_tell_its_size_has_room(tmp_path: Path, free: Callable[[int, int], None]) -> None:
    free(0, 0)
    space.ask(tmp_path, 10**15, "A look", ".")

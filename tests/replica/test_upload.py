"""Where segments are cut: pure, but for the file they are cut from; and how long to wait after an error."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.local.folder import LocalFile
from replication.replica.backoff import (
    REFUSED_SECONDS_MAX,
    RETRY_SECONDS_MAX,
    RETRY_SECONDS_PER_REPLICA,
    THROTTLED_SECONDS_MAX,
    delay,
)
from replication.replica.wal03 import upload
from replication.replica.wal03.upload import cut, read_range
from replication.sqlite.wal import WALHeader

PAGE = 512
FRAME = 24 + PAGE
MAX = 10 * FRAME


def offset(frames: int) -> int:
    return 32 + frames * FRAME


@pytest.fixture
def shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """A shadow file of 64 frames; those given by `commits` end a transaction."""
    monkeypatch.setattr(upload, "SEGMENT_BYTES_MAX", MAX)
    path = tmp_path / "00000000.wal"
    commits = {4, 5, 12, 13, 40, 64}
    frames = [bytes(7) + (b"\1" if number in commits else b"\0") + bytes(FRAME - 8) for number in range(1, 65)]
    header = WALHeader(False, PAGE, 0, 1, 2, (0, 0)).pack()
    path.write_bytes(header + b"".join(frames))
    return LocalFile.at(path)


@pytest.mark.parametrize(
    ("start", "end", "floor", "expected"),
    [
        # Whatever fits goes whole.
        (0, offset(5), 0, offset(5)),
        (offset(5), offset(15), 0, offset(15)),
        # More is cut at the last commit that fits.
        (0, offset(64), 0, offset(5)),
        (offset(5), offset(64), 0, offset(13)),
        # A transaction larger than a segment is cut inside.
        (offset(13), offset(64), 0, offset(23)),
        # What a snapshot holds already is reached in one, whatever its size.
        (0, offset(64), offset(40), offset(40)),
        (0, offset(64), offset(5), offset(9)),
        (0, offset(64), offset(64), offset(64)),
    ],
)
def test_cut(shadow: LocalFile, start: int, end: int, floor: int, expected: int) -> None:
    assert cut(shadow, start, end, floor) == expected


def test_a_file_is_cut_without_gap_at_whole_frames_and_within_bounds(shadow: LocalFile) -> None:
    at, cuts = 0, []
    while at < offset(64):
        at, before = cut(shadow, at, offset(64), 0), at
        assert before < at <= before + MAX
        assert (at - 32) % FRAME == 0
        cuts.append(at)
    assert cuts[-1] == offset(64)


def test_a_range_is_read_whole_and_told_piece_by_piece(shadow: LocalFile) -> None:
    told: list[int] = []
    data = b"".join(read_range(shadow, 100, offset(60), told.append))
    assert data == Path(str(shadow)).read_bytes()[100 : offset(60)]
    assert sum(told) == len(data)


def test_a_file_that_ends_too_early_is_an_error(shadow: LocalFile) -> None:
    with pytest.raises(OSError, match="ends at"):
        list(read_range(shadow, 0, offset(65), lambda size: None))


@given(
    count=st.integers(1, 10_000),
    chance=st.floats(0, 1, exclude_max=True),
    throttled=st.booleans(),
    refused=st.booleans(),
    crowd=st.integers(0, 1000),
)
def test_delays_are_bounded_and_never_nothing(
    count: int, chance: float, throttled: bool, refused: bool, crowd: int
) -> None:
    seconds = delay(count, chance, throttled, refused, crowd)
    most = max(RETRY_SECONDS_MAX, THROTTLED_SECONDS_MAX, REFUSED_SECONDS_MAX, crowd * RETRY_SECONDS_PER_REPLICA)
    assert 0.1 < seconds <= most
    assert delay(count + 1, chance, throttled, refused, crowd) >= seconds


def test_after_an_outage_the_next_try_comes_within_seconds() -> None:
    assert delay(1000, 0.999) <= 2.0
    assert delay(1, 0.0, throttled=True) > delay(1, 0.0)
    assert delay(1000, 0.999, throttled=True) > 30
    assert delay(1000, 0.999, refused=True) > 10

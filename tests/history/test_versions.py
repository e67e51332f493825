"""Which frame has a page at a commit: compared with a file to which the same frames are written."""

import random

import numpy as np
import pytest

from replication.history import versions
from replication.history.versions import ZEROS, TooManyFramesError, Versions, place_of, position_of
from replication.position import Position

PAGE = 512
FRAME = PAGE + 24
GENERATION = "00112233445566aa"


def frames(pages: list[int], size: int, first: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Frames of one transaction, numbered from `first` in the word that knows them again."""
    rows = np.zeros((len(pages), FRAME), dtype=np.uint8)
    for row, page in enumerate(pages):
        rows[row, 0:4] = np.frombuffer(page.to_bytes(4, "big"), dtype=np.uint8)
        rows[row, 16:20] = np.frombuffer((first + row).to_bytes(4, "big"), dtype=np.uint8)
    rows[-1, 4:8] = np.frombuffer(size.to_bytes(4, "big"), dtype=np.uint8)
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_promise_3_it_is_what_a_file_would_have(seed: int) -> None:
    chance = random.Random(seed)
    index, size = Versions(PAGE), 6
    file: dict[int, int] = {}  # page -> the number of the frame that was written last, 0 for zeros
    states = []
    number = 1
    for wal in (0x7FFFFFFE, 0x7FFFFFFF):
        at = 32 if wal & 1 else 0xFFFF0000 // FRAME * FRAME
        for _ in range(chance.randint(1, 12)):
            size = chance.choice((size, size, max(1, size - 3), size + 2))
            pages = [chance.randint(1, size) for _ in range(chance.randint(1, 5))]
            rows = frames(pages, size, number)
            place = place_of(Position(GENERATION, wal, at))
            assert position_of(GENERATION, place) == Position(GENERATION, wal, at)
            index.add(rows, np.array(pages, dtype=np.uint32), place)
            for page in pages:
                file[page] = number
                number += 1
            at += len(pages) * FRAME
            end = place_of(Position(GENERATION, wal, at))
            states.append((end, size, dict(file)))
            if chance.random() < 0.5:
                ask(index, states, chance)
        index.cut(end, size)
        file = {page: last for page, last in file.items() if page <= size}
        file |= dict.fromkeys(range(size + 1, 40), 0)
    for _ in range(3):
        ask(index, states, chance)
    assert index.commits == [end for end, _, _ in states]


def ask(index: Versions, states: list[tuple[int, int, dict[int, int]]], chance: random.Random) -> None:
    end, size, file = chance.choice(states)
    assert index.size_at(end) == index.size_at(end + FRAME - 1 if (end, size, file) == states[-1] else end) == size
    assert index.is_commit(end)
    assert not index.is_commit(end - 1)
    for page in range(1, size + 1):
        found = index.frame_of(page, end)
        expected = file.get(page)
        if expected is None:
            assert found is None
        elif expected == 0:
            assert found is ZEROS
        else:
            assert found is not None
            assert found.checksum == expected


def test_it_is_empty_before_the_first_frame() -> None:
    index = Versions(PAGE)
    assert index.frame_of(1, place_of(Position(GENERATION, 1, 0))) is None
    assert index.size_at(0) is None
    assert not index.is_commit(0)
    assert list(index.ends_between(0, 1 << 62)) == []


def test_promise_6_it_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "FRAMES_MAX", 3)
    index = Versions(PAGE)
    index.add(frames([1, 2, 3], 3, 1), np.array([1, 2, 3], dtype=np.uint32), 32)
    assert list(index.ends_between(0, 1 << 62)) == [(32 + 3 * FRAME, 3)]
    assert index.pages_between(0, 32 + FRAME).tolist() == [1]
    with pytest.raises(TooManyFramesError):
        index.add(frames([1], 3, 4), np.array([1], dtype=np.uint32), 32 + 3 * FRAME)

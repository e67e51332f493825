"""Files that stay open without a descriptor each."""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replication.database.claim import Claim
from replication.database.safe import Safe
from replication.errors import DatabaseLockedError

COUNT = 100


def pipe() -> tuple[int, int]:
    """What is read from, which tells when the last descriptor of the other end is closed; and that end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing


def is_open(reading: int) -> bool:
    try:
        return os.read(reading, 1) != b""
    except BlockingIOError:
        return True


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def none_left() -> Iterator[None]:
    """No descriptor can be had in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_kept_stays_open_until_it_is_let_go_of_in_any_order() -> None:
    chance = random.Random(7)
    safe = Safe()
    before = descriptors()
    kept = {}
    for _ in range(COUNT):
        reading, writing = pipe()
        kept[safe.keep([writing])] = reading
    assert descriptors() - before <= COUNT + 2 * COUNT // 8
    keys = list(kept)
    chance.shuffle(keys)
    for key in keys:
        assert all(is_open(reading) for reading in kept.values())
        safe.let_go(key)
        reading = kept.pop(key)
        assert not is_open(reading)
        os.close(reading)
    assert descriptors() == before


def test_with_no_descriptor_left_nothing_is_lost_and_it_is_let_go_of_later() -> None:
    safe = Safe()
    ends = [pipe() for _ in range(4)]
    keys = [safe.keep([writing]) for _, writing in ends]
    with none_left():
        safe.let_go(keys[2])
        assert all(is_open(reading) for reading, _ in ends)
    safe.let_go(keys[3])
    assert [is_open(reading) for reading, _ in ends] == [True, True, False, False]
    for key in keys[:2]:
        safe.let_go(key)
    for reading, _ in ends:
        assert not is_open(reading)
        os.close(reading)


@pytest.mark.skipif(sys.platform != "linux", reason="claims are of Linux")
def test_many_claims_hold_against_others_until_each_is_released(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(40)]
    for path in paths:
        path.touch()
    before = descriptors()
    claims = {path: Claim.take(path) for path in paths}
    assert descriptors() - before <= len(paths) // 4 + 2
    for path in paths[::3]:
        claims.pop(path).release()
    for path in paths:
        if path in claims:
            with pytest.raises(DatabaseLockedError, match=f"pid {os.getpid()}"):
                Claim.take(path)
        else:
            Claim.take(path).release()
    for claim in claims.values():
        claim.release()
    assert descriptors() == before


@pytest.mark.skipif(sys.platform != "linux", reason="claims are of Linux")
def test_claims_end_with_their_process_however_it_ends(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(20)]
    for path in paths:
        path.touch()
    code = (
        "import sys; from pathlib import Path; from replication.database.claim import Claim\n"
        "kept = [Claim.take(Path(path)) for path in sys.argv[1:]]; print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, paths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        with pytest.raises(DatabaseLockedError, match=f"pid {process.pid}"):
            Claim.take(paths[7])
        process.kill()
    for path in paths:
        Claim.take(path).release()

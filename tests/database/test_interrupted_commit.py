"""Promise 2 where a writer is killed after its frames are in the WAL, and before SQLite goes by them.

Whoever reads the WAL sees a whole commit; SQLite goes on without it, and puts the next one in its place.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from replication.database import follower
from tests.foreign import ForeignConnection, Shell
from tests.replica.bench import Bench

_INDEX_HEADER_SIZE = 136
"""Of the shared memory: what says how many frames count, and how many were copied back."""
_SHARED_MEMORY = r"""
import sys
with open(sys.argv[1], "r+b") as file:
    if sys.argv[2:]:
        file.write(bytes.fromhex(sys.argv[2]))
    else:
        print(file.read(136).hex())
"""


def index_header(path: Path, *head: str) -> str:
    """Read, or write back, the header of the WAL's index; in a process of its own, since closing drops locks."""
    words = [sys.executable, "-c", _SHARED_MEMORY, f"{path}-shm", *head]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def interrupt(bench: Bench, pages: int) -> None:
    """Another writer's commit, complete in the WAL, that SQLite does not go by."""
    head = index_header(bench.path)
    victim: ForeignConnection = Shell(bench.path).open(autocheckpoint=False)
    victim.execute(f"INSERT INTO t(b) VALUES(randomblob({pages * 1024}))")
    victim.kill()
    victim.close()  # its pipes
    index_header(bench.path, head)


def test_the_commit_that_takes_the_place_of_an_interrupted_one_arrives(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    replica.sync()
    interrupt(bench, pages=5)
    bench.database.sync()
    replica.sync()
    bench.commit()
    bench.database.sync()
    replica.sync()
    assert bench.database.origin.reason in (follower.INTERRUPTED, "wal overwritten by another process")
    assert bench.restored() == bench.states[-1]


@pytest.mark.parametrize("reopened", [False, True], ids=["held", "opened again"])
def test_a_restart_of_the_wal_after_an_interrupted_commit_begins_a_generation(
    bench: Bench, reopened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if nobody had looked in time.
    monkeypatch.setattr(follower, "RESCAN_BYTES", 0)
    replica = bench.replica()
    bench.commit()
    replica.sync()
    interrupt(bench, pages=5)
    bench.database.sync()
    replica.sync()
    bench.database.checkpoint()
    if reopened:
        bench.restart()
        replica = bench.replica()
    generation = bench.database.origin.generation
    # The first restarts the WAL.
    for _ in range(3):
        bench.commit()
        bench.database.sync()
        replica.sync()
    assert bench.database.origin.generation != generation
    assert bench.database.origin.reason == follower.INTERRUPTED
    assert bench.restored() == bench.states[-1]

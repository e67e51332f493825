"""Promises 1 to 3 at once: every commit that SQLite made is a restore point, and restores to just that commit.

A writer in another process says the hash of the database after each of its commits, as SQLite itself sees it.
While the engine replicates and checkpoints, nothing else is known about what it does; afterwards every restore
point of the replica must be one of those states, in their order, and none may be missing.
"""

import json
from pathlib import Path

import pytest

from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    only,
    restore_points,
    restored_each,
    running,
    until,
)
from tests.engine.writer import Writer

COMMITS, COMMITS_MANY = 400, 2000
"""The fewer have each kind of commit several times, VACUUMs among them."""
SNAPSHOT_EVERY = 60
"""Commits between two snapshots, which also keeps each restore short."""


@pytest.mark.parametrize(
    ("page_size", "commits"),
    [
        (1024, COMMITS),
        (4096, COMMITS),
        pytest.param(1024, COMMITS_MANY, marks=pytest.mark.explores),
        pytest.param(4096, COMMITS_MANY, marks=pytest.mark.explores),
    ],
)
def test_promises_1_2_3_every_commit_of_a_live_database_is_restored(
    tmp_path: Path, page_size: int, commits: int
) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    writer = Writer(path, page_size)
    with running(config_of(path, folder, pages_min=20)) as engine:
        until(lambda: in_step(engine))
        snapshots = 0
        while len(writer.hashes) <= commits:
            writer.commit(SNAPSHOT_EVERY)
            snapshots += sum("written" in said for said in engine.snapshot(str(path)))
        last_position = only(engine).position
        until(lambda: in_step(engine))
        assert begun(engine) == ["no generation exists"]
    # The engine is the last to let go, so the writer's close comes after, as when it is still running.
    writer.close()

    client = client_of(folder)
    [generation] = client.generations()
    points = restore_points(client, generation)
    assert last_position is not None
    assert last_position.index >= min(10, commits // 80), "there were too few checkpoints for this test to say much"
    assert snapshots >= 3

    found = restored_each(client, points)
    # A snapshot may hold the end of an index under the name of the next one's start: the same commit twice.
    states = [sha for at, sha in enumerate(found) if not (points[at].offset == 0 and at and found[at - 1] == sha)]
    assert json.dumps(states) == json.dumps(writer.hashes)

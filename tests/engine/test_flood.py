"""Promises 1 to 3 at speed: no commit of a writer that never pauses is lost, or restored to something else.

Transactions of 100 rows of 1 KB, one after the other, at the settings that people have: many commits come together in
one sync and one segment, checkpoints keep the writer out for moments, and the WAL is restarted again and again.
"""

import time
from pathlib import Path

from replication.position import Position
from replication.replica.pace import BURST_UPLOADS, LARGE_BYTES
from tests.engine.running import begun, client_of, config_of, in_step, restore_points, restored_each, running, until
from tests.engine.writer import Writer

COMMITS = 120
PAGES_MIN = 200
SYNC_SECONDS = 1.0
LIVES_MIN = 5


def wal_bytes(points: list[Position]) -> int:
    """Of all indexes together."""
    ends = {point.index: point.offset for point in points}
    return sum(ends.values())


def test_promises_1_2_3_every_commit_of_a_flood_is_restored(tmp_path: Path) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    writer = Writer(path, 4096)
    with running(config_of(path, folder, pages_min=PAGES_MIN, sync_seconds=SYNC_SECONDS)) as engine:
        until(lambda: in_step(engine))
        began = time.monotonic()
        writer.commit(COMMITS, "flood")
        until(lambda: in_step(engine))
        seconds = time.monotonic() - began
        assert begun(engine) == ["no generation exists"]
    writer.close()

    client = client_of(folder)
    [generation] = client.generations()
    points = restore_points(client, generation)
    assert points[-1].index >= LIVES_MIN, "there were too few checkpoints for this test to say much"
    # Two for each index, the rest of it and its end mark; within an index one for each upload, of which there are as
    # many as the pace saves up, one in each interval, and one for each large piece.
    indexes, large = 1 + points[-1].index, wal_bytes(points) / LARGE_BYTES
    uploads = BURST_UPLOADS + 1 + seconds / SYNC_SECONDS + large
    assert len(client.segments(generation)) <= 2 * indexes + uploads, "commits did not come together"
    found = restored_each(client, points)
    states = [sha for at, sha in enumerate(found) if at == 0 or sha != found[at - 1]]
    assert states == writer.hashes

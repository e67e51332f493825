"""Promises 1 to 3 at speed: no commit of a writer that never pauses is lost, or restored to something else.

Transactions of 100 rows of 1 KB, one after the other, at the settings that people have: many commits come together in
one sync and one segment, checkpoints keep the writer out for moments, and the WAL is restarted again and again.
"""

from pathlib import Path

from tests.engine.running import begun, client_of, config_of, in_step, restore_points, restored_each, running, until
from tests.engine.writer import Writer

COMMITS = 120
PAGES_MIN = 200
LIVES_MIN = 5


def test_promises_1_2_3_every_commit_of_a_flood_is_restored(tmp_path: Path) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    writer = Writer(path, 4096)
    with running(config_of(path, folder, pages_min=PAGES_MIN, sync_seconds=1.0)) as engine:
        until(lambda: in_step(engine))
        writer.commit(COMMITS, "flood")
        until(lambda: in_step(engine))
        assert begun(engine) == ["no generation exists"]
    writer.close()

    client = client_of(folder)
    [generation] = client.generations()
    points = restore_points(client, generation)
    assert points[-1].index >= LIVES_MIN, "there were too few checkpoints for this test to say much"
    assert len(client.segments(generation)) < COMMITS, "commits did not come together"
    found = restored_each(client, points)
    states = [sha for at, sha in enumerate(found) if at == 0 or sha != found[at - 1]]
    assert states == writer.hashes

"""What the picker offers can be restored, although objects are lost that no list shows (promise 3)."""

from pathlib import Path

import pytest

from replication.archive import Reader
from replication.config import load_config
from replication.restore.open_replicas import open_replica
from replication.restore.points import points_of
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition
from replication.restore.wal03.points import read_commits
from replication.storage.url import parse_replica_url
from replication.storage.wal03.replica_client import ReplicaClient
from tests.cli.conftest import Published
from tests.cli.test_newest_commit import content


@pytest.mark.parametrize("lost", ["inside an index", "at the end of an index"])
def test_promise_3_what_the_picker_offers_can_be_restored(published: Published, tmp_path: Path, lost: str) -> None:
    """Before any segment is read, and before the engine has looked for what is missing."""
    wal = published.wal
    names = [path.name[:8] for path in wal]
    index = next(name for name in names if len([path for path in wal if path.name[:8] == name and content(path)]) > 1)
    group = sorted(path for path in wal if path.name[:8] == index)
    if lost == "inside an index":
        gone = group[-2]
        gone.unlink()
    else:
        gone = [path for path in group if content(path)][-1]
        for path in group[group.index(gone) :]:
            path.unlink()
    config = tmp_path / "one.yml"
    config.write_text(f"dbs: [{{path: {published.database}, replicas: [{{path: {published.root}}}]}}]")
    reader = Reader(load_config(config), str(published.database))
    listed = reader.list()
    [point_map] = listed.point_maps
    assert gone.name in {item.name.rpartition("/")[2] for item in point_map.missing}
    source = open_replica(parse_replica_url(published.root.as_uri()))
    client = source.client(ReplicaClient)
    offered = 0
    for stop in point_map.stops:
        commits = read_commits(client, stop.begins) if stop.begins is not None else None
        for position in points_of(stop, commits)[-1:]:
            output = tmp_path / f"{offered}.db"
            restore([source], output, RestoreOptions(AtPosition(position), integrity_check="none"))
            offered += 1
    assert offered
    reader.close()

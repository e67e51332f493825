"""verify: a replica that can be restored, and one that cannot."""

import json
from pathlib import Path

from tests.cli.conftest import Published
from tests.cli.program import run


def test_a_whole_replica_is_restorable(published: Published, tmp_path: Path) -> None:
    ended = run("verify", published.url, cwd=tmp_path)
    assert ended.code == 0, ended
    assert "is restorable to" in ended.out
    assert "full check ok" in ended.out
    rows = json.loads(run("verify", "-json", published.url, cwd=tmp_path).out)
    assert [row["outcome"] for row in rows] == ["ok"]


def test_a_damaged_replica_is_not(published: Published, tmp_path: Path) -> None:
    segment = sorted(published.root.rglob("*.wal.lz4"))[-1]
    segment.write_bytes(segment.read_bytes()[:-10])
    before = sorted(tmp_path.rglob("*"))
    ended = run("verify", published.url, cwd=tmp_path)
    assert ended.code == 12, ended
    assert len(ended.complaints) == 1
    assert segment.name in ended.complaints[0]
    assert sorted(tmp_path.rglob("*")) == before

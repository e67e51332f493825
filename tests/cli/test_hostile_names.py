"""Promise 7: names in a replica come from outside. What is not of the format is passed over with a warning, and
nothing outside the target folder is ever written.
"""

import json
import os
from pathlib import Path

import pytest

import peers
from tests.cli.conftest import Published
from tests.cli.program import contents, succeeds
from tests.foreign import Shell

GENERATION = "GENERATION"
NAMES = [
    f"generations/{GENERATION}/wal/00000000_000000000.wal.lz4",
    f"generations/{GENERATION}/wal/0000000A_00000000.wal.lz4",
    f"generations/{GENERATION}/wal/0000000g_00000000.wal.lz4",
    f"generations/{GENERATION}/wal/٠٠٠٠٠٠٠٩_00000000.wal.lz4",
    f"generations/{GENERATION}/wal/00000009_00000000.wal.lz4\n00000009_00000000.wal.lz4",
    f"generations/{GENERATION}/wal/\x1b[2Jcleared",
    f"generations/{GENERATION}/wal/deeper/00000009_00000000.wal.lz4",
    f"generations/{GENERATION}/snapshots/00000009.snapshot.lz4.gz",
    f"generations/{GENERATION}/snapshots/-0000001.snapshot.lz4",
    "generations/NOTHEXNOTHEXNOTH/snapshots/00000000.snapshot.lz4",
    "generations/ABCDEFABCDEFABCD/snapshots/00000000.snapshot.lz4",
    "generations/abcdefabcdefabcd\n/snapshots/00000000.snapshot.lz4",
    "generations/abc/snapshots/00000000.snapshot.lz4",
]
"""Names that a store may hold; all but the last folder's are told."""
ESCAPES = ["generations/../../../escaped", "/escaped", "generations/%2e%2e/%2e%2e/escaped", "generations/..\\escaped"]
"""Keys that only an object store can hold; one that keeps files makes what it can of them."""


def named(template: str, generation: str) -> str:
    return template.replace(GENERATION, generation)


def check(source: str, segments: int, folder: Path, warned: int, environment: dict[str, str]) -> None:
    """A restore and every listing work as if the hostile objects were not there."""
    folder.mkdir()
    result = succeeds("restore", "-o", folder / "restored.db", source, environment=environment)
    assert list(contents(folder)) == ["restored.db"]
    assert Shell(folder / "restored.db").rows("SELECT count(*) FROM fruits") == [[6]]
    warnings = [line for line in result.err.splitlines() if "warning: ignored" in line]
    assert len(warnings) >= warned, result.err
    reasons = ("not a name of the replica format", "neither a plain file nor a folder")
    assert all(line.endswith(reasons) and line.isprintable() for line in warnings)
    assert len(result.err.splitlines()) == len(warnings)
    for verb, lines in (("generations", 1), ("snapshots", 1), ("wal", segments)):
        listed = succeeds(verb, source, environment=environment)
        assert len(listed.out.splitlines()) == 1 + lines
        assert listed.err.count("warning: ignored") > 0
    assert len(json.loads(succeeds("wal", "-json", source, environment=environment).out)) == segments


def test_in_a_folder(published: Published, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "00000009.snapshot.lz4").write_bytes(published.snapshot.read_bytes())
    name, count = published.generation, len(published.wal)
    generation = published.root / "generations" / name
    (generation / "snapshots" / "00000008.snapshot.lz4").symlink_to(outside / "00000009.snapshot.lz4")
    (published.root / "generations" / "1111111111111111").symlink_to(outside)
    os.mkfifo(generation / "wal" / "00000009_00000000.wal.lz4")
    (generation / "wal" / os.fsdecode(b"\xff\xfe.wal.lz4")).write_bytes(b"x")
    for template in NAMES:
        path = published.root / named(template, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"hostile")
    before = contents(published.root), contents(outside)
    check(published.url, count, tmp_path / "target", len(NAMES) - 2, peers.clean_environment())
    assert (contents(published.root), contents(outside)) == before


@pytest.mark.parametrize("name", ["weed", "juicefs"])
def test_on_a_server(published: Published, tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    server: peers.S3Server = request.getfixturevalue(name)
    client, bucket = server.client(), server.make_bucket()
    for path in (published.snapshot, *published.wal):
        client.put_object(Bucket=bucket, Key=f"app/{published.name(path)}", Body=path.read_bytes())
    kept = 0
    for template in (*NAMES, *ESCAPES):
        try:
            client.put_object(Bucket=bucket, Key=f"app/{named(template, published.generation)}", Body=b"hostile")
            kept += 1
        except client.exceptions.ClientError:
            continue
    client.close()
    environment = peers.clean_environment(AWS_ACCESS_KEY_ID=server.access_key, AWS_SECRET_ACCESS_KEY=server.secret_key)
    before = {path.name for path in tmp_path.parent.iterdir()}
    source = f"s3://{bucket}/app?endpoint={server.endpoint}"
    check(source, len(published.wal), tmp_path / "target", kept // 2, environment)
    assert {path.name for path in tmp_path.parent.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published", "target"]
    assert not Path("/escaped").exists()

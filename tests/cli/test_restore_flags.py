"""restore: each of its flags, its and its progress on a terminal."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import peers
from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import refuses, run, succeeds
from tests.cli.test_listings import on_a_terminal
from tests.foreign import Shell
from tests.interchange.program import restore03, wait_until


def rows(path: Path) -> int:
    return int(Shell(path).rows("SELECT count(*) FROM fruits")[0][0])


def test_it_says_what_it_did(published_once: Published, tmp_path: Path) -> None:
    output = tmp_path / "restored.db"
    result = succeeds("restore", "-o", output, published_once.url)
    assert re.fullmatch(
        rf"restored {re.escape(str(output))} from replica file at {published_once.generation}/0000000\d:\d+: "
        rf"\d+ pages, \d+ KB, {len(published_once.wal) + 1} objects, quick check ok, \d+\.\d\ds\n",
        result.out,
    )
    assert result.err == ""
    assert rows(output) == ROUNDS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["restored.db"]


def test_it_is_the_file_that_litestream_restores(published_once: Published, tmp_path: Path) -> None:
    succeeds("restore", "-o", tmp_path / "ours.db", published_once.url)
    restore03(tmp_path / "theirs.db", published_once.url)
    assert (tmp_path / "ours.db").read_bytes() == (tmp_path / "theirs.db").read_bytes()


def test_json(published_once: Published, tmp_path: Path) -> None:
    output = tmp_path / "restored.db"
    values = json.loads(succeeds("restore", "-json", "-o", output, published_once.url).out)
    assert values["output"] == str(output)
    assert values["position"].startswith(f"{published_once.generation}/")
    assert values["size"] == values["pages"] * values["page_size"] == output.stat().st_size
    assert (values["replica"], values["segments"], values["check"]) == ("file", len(published_once.wal), "ok")


@pytest.mark.parametrize("how", ["none", "quick", "full"])
def test_integrity_check(published_once: Published, tmp_path: Path, how: str) -> None:
    flags = ["-json", "-integrity-check", how, "-parallelism", "1"]
    values = json.loads(succeeds("restore", *flags, "-o", tmp_path / "restored.db", published_once.url).out)
    assert values["check"] == ("skipped" if how == "none" else "ok")


def test_dry_run_writes_nothing(published_once: Published, tmp_path: Path) -> None:
    output = tmp_path / "new" / "restored.db"
    lines = succeeds("restore", "-dry-run", "-o", output, published_once.url).out.splitlines()
    assert lines[0] == f"from replica file at {published_once.url}"
    for path in (published_once.snapshot, *published_once.wal):
        assert any(published_once.name(path) in line for line in lines)
    values = json.loads(succeeds("restore", "-dry-run", "-json", "-o", output, published_once.url).out)
    assert [item["name"] for item in values["objects"]] == [
        published_once.name(path) for path in (published_once.snapshot, *published_once.wal)
    ]
    assert list(tmp_path.iterdir()) == []


def test_moments(published_once: Published, tmp_path: Path) -> None:
    """By index, by time and by position; with the generation, the replica and without."""
    listed = json.loads(succeeds("wal", "-json", published_once.url).out)
    moments = {
        "index": ["-index", "0"],
        "time": ["-timestamp", "2100-01-01T00:00:00+02:00"],
        "position": ["-position", f"{published_once.generation}/{listed[1]['index']:08x}:{listed[1]['offset']}"],
        "generation": ["-generation", published_once.generation],
        "replica": ["-replica", "file"],
    }
    found: dict[str, int] = {}
    for name, flags in moments.items():
        output = tmp_path / name
        source = [published_once.url]
        if name == "replica":
            source = ["-config", str(published_once.config), str(published_once.database)]
        succeeds("restore", *flags, "-o", output, *source)
        found[name] = rows(output)
    assert found["index"] == sum("/00000000_" in str(path) for path in published_once.segments)
    assert found["position"] == 1
    assert found["time"] == found["generation"] == found["replica"] == ROUNDS


def test_time_between_two_commits(published: Published, tmp_path: Path) -> None:
    """The time of the restore is that of the objects, to the microsecond."""
    for number, path in enumerate(published.segments):
        # Of a time in whole seconds nobody knows where in its second.
        os.utime(path, (1_800_000_000.25 + number, 1_800_000_000.25 + number))
    os.utime(published.snapshot, (1_700_000_000, 1_700_000_000))
    succeeds("restore", "-timestamp", "2027-01-15T08:00:02.5Z", "-o", tmp_path / "restored.db", published.url)
    assert rows(tmp_path / "restored.db") == 3


def test_if_db_not_exists(published_once: Published, tmp_path: Path) -> None:
    output = tmp_path / "app.db"
    flags = ["-if-db-not-exists", "-o", str(output), published_once.url]
    output.write_text("mine")
    assert "exists already: nothing to do" in succeeds("restore", *flags).out
    assert output.read_text() == "mine"
    output.unlink()
    succeeds("restore", *flags)
    assert rows(output) == ROUNDS


def test_if_replica_exists(published_once: Published, tmp_path: Path) -> None:
    result = succeeds("restore", "-if-replica-exists", "-o", tmp_path / "a.db", f"file://{tmp_path}/none")
    assert result.out.startswith("no matching backups found")
    assert list(tmp_path.iterdir()) == []
    succeeds("restore", "-if-replica-exists", "-o", tmp_path / "a.db", published_once.url)
    assert rows(tmp_path / "a.db") == ROUNDS


def test_if_replica_exists_is_not_fooled(published: Published, tmp_path: Path) -> None:
    """An application that starts empty although there is a backup would lose it: only an empty replica is none."""
    [port] = peers.free_ports(1)
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"dbs:\n- path: {tmp_path}/app.db\n  replicas:\n  - path: {tmp_path}/none\n"
        f"  - {{type: s3, bucket: b, endpoint: 'http://127.0.0.1:{port}',"
        " access-key-id: canarycanary, secret-access-key: canarycanary}\n"
    )
    flag = "-if-replica-exists"
    refuses(run("restore", flag, "-config", config, tmp_path / "app.db"), 6, f"cannot reach http://127.0.0.1:{port}")
    output = tmp_path / "out.db"
    refuses(run("restore", flag, "-timestamp", "2001-01-01T00:00:00Z", "-o", output, published.url), 10, "nothing from")
    published.snapshot.unlink()
    refuses(run("restore", flag, "-o", output, published.url), 10, "No snapshot")


def test_the_mode_of_the_file(published_once: Published, tmp_path: Path) -> None:
    """That of the source where the replica knows it, else nobody else may read it; the umask takes nothing away."""

    def umask() -> None:
        os.umask(0o077)

    result = run("restore", "-o", tmp_path / "ours.db", published_once.url, before=umask)
    assert result.code == 0
    assert stat.S_IMODE((tmp_path / "ours.db").stat().st_mode) == 0o640
    root = tmp_path / "theirs"
    theirs(root, tmp_path)
    succeeds("restore", "-o", tmp_path / "of-theirs.db", f"file://{root}")
    assert stat.S_IMODE((tmp_path / "of-theirs.db").stat().st_mode) == 0o600


def theirs(root: Path, folder: Path) -> None:
    """A replica that Litestream wrote."""
    database = folder / "their.db"
    Shell(database).run("PRAGMA journal_mode=WAL; CREATE TABLE fruits(a)")
    process = subprocess.Popen(
        [peers.litestream03(), "replicate", database, f"file://{root}"],
        env=peers.clean_environment(),
        stderr=subprocess.DEVNULL,
        preexec_fn=peers.die_with_parent,
    )
    try:
        wait_until("their snapshot", lambda: list(root.rglob("*.snapshot.lz4")) != [])
    finally:
        process.terminate()
        process.wait()


def test_to_the_place_of_the_database(published: Published, tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {tmp_path}/new/app.db, replicas: [{{path: {published.root}}}]}}]")
    succeeds("restore", "-config", config, tmp_path / "x" / ".." / "new" / "app.db")
    assert rows(tmp_path / "new" / "app.db") == ROUNDS


def test_progress_is_for_terminals_only(published_once: Published, tmp_path: Path) -> None:
    shown = on_a_terminal("restore", "-o", tmp_path / "restored.db", published_once.url)
    assert shown.code == 0
    assert re.search(r"\r(plan|snapshot) +.*\d+/7 objects|\rplan", shown.out)
    last = shown.out.rpartition("\r")[2]
    assert last.startswith("restored ")
    assert last.endswith("\n")

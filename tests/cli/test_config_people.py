"""Configurations as people have them, through the program."""

from pathlib import Path

import peers
from tests.cli.program import Replicating, run, succeeds
from tests.foreign import Shell


def test_a_configuration_of_litestream_05(tmp_path: Path) -> None:
    """It replicates; what was understood is told once in the log, what changes nothing is a warning."""
    database, config = tmp_path / "app.db", tmp_path / "litestream.yml"
    Shell(database).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('one')")
    config.write_text(
        f"l0-retention: 5m\nsnapshot:\n  interval: 6h\n  retention: 72h\ndbs:\n- path: {database}\n"
        f"  busy-timeout: 1s\n  replica:\n    type: file\n    path: {tmp_path}/${{WHERE:-replica}}\n"
    )
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        replicate.wait_for("level=INFO", "dbs[0].replica is read as the only one of replicas")
        replicate.wait_for("level=INFO", "snapshot.retention is read as retention of each replica")
        assert replicate.end() == 0
        assert replicate.said.count("warning: ") == 2
        replicate.wait_for("warning: ", "l0-retention is a key of Litestream 0.5 that changes nothing here")
        replicate.wait_for("warning: ", "dbs[0].busy-timeout is a key of Litestream 0.5 that changes nothing here")
    assert (tmp_path / "replica" / "generations").is_dir()
    succeeds("restore", "-config", config, "-o", tmp_path / "restored.db", database)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(
        "dbs:\n- path: /data/*.db\n  replicas:\n  - type: gcs\n    project-id: x\n    bucket: b\n- path: /b\n"
        "  replicas: [{path: /c, retention: 7d}]\n"
    )
    result = run("replicate", "-config", config)
    assert result.code == 3
    assert [line.removeprefix(str(config)).split(":")[1] for line in result.complaints] == ["2", "4", "8"]
    assert "storage.googleapis.com" in result.complaints[1]
    assert "project-id" not in result.err


def test_odd_braces_are_refused_and_not_repeated(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text("dbs:\n- path: /a\n  replicas:\n  - path: /b/${CANARY:?}\n")
    result = run("databases", "-config", config, environment=peers.clean_environment(CANARY="x"))
    assert (result.code, len(result.complaints)) == (3, 1)
    assert ":4: the line has ${ with something else" in result.complaints[0]
    assert "CANARY" not in result.err

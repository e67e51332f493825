"""Rows brought back from a replica of Litestream 0.3.13, while it replicates: it goes on, and has them too."""

import json
from pathlib import Path

from tests.cli.program import succeeds
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import Running, restore03, wait_until


def test_from_its_replica_while_it_runs(litestream03: Path, tmp_path: Path) -> None:
    database, config, root = tmp_path / "app.db", tmp_path / "litestream.yml", tmp_path / "replica"
    config.write_text(
        f"dbs:\n- path: {database}\n  monitor-interval: 20ms\n  checkpoint-interval: 100ms\n"
        f"  min-checkpoint-page-count: 5\n  replicas:\n  - path: {root}\n    sync-interval: 20ms\n"
    )

    def asked(*arguments: str | Path) -> str:
        return succeeds(*arguments).out

    def has(words: str, sql: str) -> None:
        def there() -> bool:
            return bool(json.loads(asked("query", "-json", f"file://{root}", sql)) == [{"n": 1}])

        wait_until(words, there)

    with (
        ForeignConnection(database, autocheckpoint=False) as application,
        Running(litestream03, "-config", config, log=tmp_path / "log") as litestream,
    ):
        application.execute("PRAGMA journal_mode=WAL")
        application.execute("CREATE TABLE kept(a)")
        application.execute("CREATE TABLE lost(a INTEGER PRIMARY KEY, b TEXT UNIQUE)")
        application.execute("INSERT INTO lost VALUES(1, 'x'), (2, 'y')")
        # What is in the index of its snapshot cannot be looked at.
        application.execute("CREATE TABLE filler(a)")

        def is_later() -> bool:
            application.execute("INSERT INTO filler VALUES(zeroblob(9000))")
            return len({path.name.partition("_")[0] for path in root.rglob("*.wal.lz4")}) > 1

        wait_until("another index", is_later)
        has("the rows", "SELECT count(*) = 2 AS n FROM lost")
        application.execute("DROP TABLE lost")
        application.execute("INSERT INTO kept VALUES(1)")
        has("the loss", "SELECT count(*) = 1 AS n FROM kept")
        position = json.loads(asked("find", "-gone", "lost", "-json", f"file://{root}"))["before"]
        preview = json.loads(asked("bring-back", "-config", config, "-table", "lost", "-json", database, position))
        assert [(item["table"], item["inserted"]) for item in preview["report"]["tables"]] == [("lost", 2)]
        told = json.loads(asked("bring-back", "-config", config, "-apply", "-json", database, position, "now"))
        assert application.execute("SELECT * FROM lost") == [[1, "x"], [2, "y"]]
        assert told["is_as_previewed"]
        application.execute("INSERT INTO kept VALUES(2)")
        has("what came after it", "SELECT count(*) = 2 AS n FROM kept")
        assert litestream.interrupt() == 0
    restore03(tmp_path / "restored.db", f"file://{root}")
    assert Shell(tmp_path / "restored.db").rows("SELECT * FROM lost") == [[1, "x"], [2, "y"]]
    # What there was before is a commit of its replica.
    succeeds("restore", "-position", told["before"], "-o", tmp_path / "before.db", f"file://{root}")
    assert Shell(tmp_path / "before.db").rows("SELECT a FROM kept") == [[1]]
    assert len(list((root / "generations").iterdir())) == 1

"""Databases that fail SQLite's own check and are what their application made of them.

They are replicated, verified and brought back; nobody's only copy is removed for a check.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from replication.restore.output import KEPT_ASIDE_MAX
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import ForeignConnection
from tests.interchange.program import wait_until

KINDS = {
    "full-text index out of step": (
        "CREATE TABLE d(t)",
        "CREATE VIRTUAL TABLE f USING fts4(content=d, t)",
        "INSERT INTO d VALUES('some words')",
        "INSERT INTO f(f) VALUES('rebuild')",
        "UPDATE d SET t = 'other things'",
    ),
    "NULL in a NOT NULL column": (
        "CREATE TABLE n(a INTEGER PRIMARY KEY, b)",
        "INSERT INTO n(b) VALUES(NULL), (NULL)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE n(a INTEGER PRIMARY KEY, b NOT NULL)' WHERE name = 'n'",
        "PRAGMA writable_schema = RESET",
    ),
    "wrong type in a STRICT table": (
        "CREATE TABLE s(a INTEGER PRIMARY KEY, b TEXT)",
        "INSERT INTO s(b) VALUES(x'0102')",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE s(a INTEGER PRIMARY KEY, b TEXT) STRICT' WHERE name = 's'",
        "PRAGMA writable_schema = RESET",
    ),
}


class Unsound:
    """Such a database with a replica, and the application that has it open."""

    def __init__(self, folder: Path, kind: str, extra: str = "") -> None:
        self.folder, self.path = folder, folder / "app.db"
        self.replica = folder / "replica"
        self.config = folder / "litestream.yml"
        self.config.write_text(
            f"dbs:\n- path: {self.path}\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 5\n"
            f"  replicas:\n  - path: {self.replica}\n    sync-interval: 1ms\n{extra}"
        )
        self.app = ForeignConnection(self.path, autocheckpoint=False)
        self.app.execute("PRAGMA journal_mode = WAL")
        self.app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        for statement in KINDS[kind]:
            self.app.execute(statement)

    def commit(self) -> None:
        self.app.execute("INSERT INTO t(b) VALUES(randomblob(9000))")

    def replicating(self) -> Replicating:
        return Replicating(self.folder / "log", "-config", self.config)

    def replicated(self) -> None:
        with self.replicating() as replicate:
            begun = ("snapshot written", "replica position")
            wait_until("a replica", lambda: any(words in replicate.said for words in begun))
            self.commit()
            assert replicate.end() == 0

    def rows_of(self, path: Path) -> list[list[Any]]:
        with ForeignConnection(path) as restored:
            return restored.execute("SELECT count(*), total(length(b)) FROM t")

    def restore(self, output: str, *arguments: str | Path) -> Any:
        return run("restore", "-o", self.folder / output, *arguments)

    @property
    def url(self) -> str:
        return f"file://{self.replica}"


@pytest.fixture(params=list(KINDS))
def unsound(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = Unsound(tmp_path, request.param)
    yield made
    made.app.close()


def test_a_restore_that_equals_its_source_is_put_in_place_with_a_warning(unsound: Unsound) -> None:
    unsound.replicated()
    done = unsound.restore("new.db", "-config", unsound.config, unsound.path)
    assert (done.code, done.complaints) == (0, []), done
    assert "check of the restored database says" in done.err
    assert "page for page" in done.err
    assert "check as in the source" in done.out
    assert unsound.rows_of(unsound.folder / "new.db") == unsound.rows_of(unsound.path)
    # Of an earlier point the source can only say that it is so itself.
    unsound.commit()
    done = unsound.restore("old.db", "-config", unsound.config, unsound.path)
    assert (done.code, done.complaints) == (0, []), done
    assert "itself fails it so" in done.err


@pytest.mark.parametrize("unsound", ["full-text index out of step"], indirect=True)
def test_where_it_is_not_known_the_file_is_kept_under_a_name_that_says_so(unsound: Unsound) -> None:
    unsound.replicated()
    kept = unsound.folder / "new.db.failed-check"
    for _ in range(2):
        # The second time it is there already, with the same bytes.
        refuses(unsound.restore("new.db", unsound.url), 13, "not known", f"kept as {kept}")
        assert sorted(path.name for path in unsound.folder.glob("*new.db*")) == [kept.name]
    assert unsound.rows_of(kept) == unsound.rows_of(unsound.path)
    # As asked for it is put in place; by then nothing is in the way of it.
    assert unsound.restore("new.db", "-integrity-check", "none", unsound.url).code == 0
    assert kept.exists()


def test_restores_in_a_loop_do_not_fill_the_disk(tmp_path: Path) -> None:
    made = Unsound(tmp_path, "NULL in a NOT NULL column")
    with made.app:
        for number in range(KEPT_ASIDE_MAX + 1):
            made.replicated()
            said = refuses(made.restore("new.db", made.url), 14 if number == KEPT_ASIDE_MAX else 13, "check")
            if number == KEPT_ASIDE_MAX:
                assert "move them away" in said
        kept = sorted(path.name for path in tmp_path.glob("*new.db*"))
        assert kept == ["new.db.failed-check", "new.db.failed-check-2", "new.db.failed-check-3"]


@pytest.mark.parametrize("unsound", ["wrong type in a STRICT table"], indirect=True)
def test_verify_says_that_both_are_so(unsound: Unsound) -> None:
    unsound.replicated()
    [row] = json.loads(run("verify", "-json", "-config", unsound.config).out)
    assert (row["outcome"], row["compared"], row["exit_code"]) == ("ok", True, 0), row
    assert "itself fails SQLite's check" in row["words"]
    # Without the source that is not known.
    [row] = json.loads(run("verify", "-json", unsound.url).out)
    assert (row["outcome"], row["compared"], row["exit_code"]) == ("failed", False, 13), row
    assert "not known" in row["words"]


def test_on_schedule_it_is_known_and_noted(tmp_path: Path) -> None:
    """No error at every interval and no generation; a restore elsewhere knows of it by the next snapshot."""
    extra = "    validation-interval: 100ms\n    snapshot-interval: 300ms\n"
    made = Unsound(tmp_path, "NULL in a NOT NULL column", extra)
    with made.app:
        with made.replicating() as replicate:
            replicate.wait_for("verified", "outcome=ok", "itself fails SQLite", times=2)
            wait_until(
                "words in the status",
                lambda: (
                    "itself fails SQLite"
                    in json.loads(succeeds("status", "-json", "-config", made.config).out)[0]["replicas"][0]["warning"]
                ),
            )
            before = len(list(made.replica.rglob("*.snapshot.lz4")))

            def another_snapshot() -> bool:
                made.commit()
                return len(list(made.replica.rglob("*.snapshot.lz4"))) > before + 1

            wait_until("another snapshot", another_snapshot)
            assert replicate.end() == 0
            assert "level=ERROR" not in replicate.said
            assert replicate.said.count("generation begins") == 1
        there = tmp_path / "another host"
        shutil.copytree(made.replica, there)
        done = made.restore("new.db", f"file://{there}")
        assert (done.code, done.complaints) == (0, []), done
        assert "failed it so before the snapshot was taken" in done.err
        assert made.rows_of(tmp_path / "new.db") == made.rows_of(made.path)
        [row] = json.loads(run("verify", "-json", f"file://{there}").out)
        assert row["outcome"] == "ok", row


def test_what_is_noted_excuses_nothing_else(tmp_path: Path) -> None:
    """A fault of another kind is not known, and is kept apart."""
    made = Unsound(tmp_path, "NULL in a NOT NULL column", "    validation-interval: 100ms\n")
    with made.app:
        with made.replicating() as replicate:
            replicate.wait_for("verified", "itself fails SQLite")
            assert replicate.end() == 0
        for statement in KINDS["wrong type in a STRICT table"]:
            made.app.execute(statement)
        # Nobody has compared it since.
        made.config.write_text(made.config.read_text().replace("    validation-interval: 100ms\n", ""))
        made.replicated()
        shutil.copytree(made.replica, tmp_path / "there")
        refuses(made.restore("new.db", f"file://{tmp_path / 'there'}"), 13, "non-TEXT", "not known")


def test_mended_it_is_forgotten(tmp_path: Path) -> None:
    made = Unsound(tmp_path, "full-text index out of step", "    validation-interval: 100ms\n")
    with made.app, made.replicating() as replicate:
        replicate.wait_for("verified", "itself fails SQLite")
        made.app.execute("INSERT INTO f(f) VALUES('rebuild')")
        replicate.wait_for("verified", "restored, checked, and equal to the database")
        wait_until(
            "no words in the status",
            lambda: (
                not json.loads(succeeds("status", "-json", "-config", made.config).out)[0]["replicas"][0]["warning"]
            ),
        )
        assert replicate.end() == 0

"""bring-back: from a replica into the live database, while an engine runs or none does; a preview, or it is done."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Published
from tests.cli.program import Replicating, contents, refuses, run, succeeds
from tests.foreign import ForeignConnection, Shell

TABLES = (
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, person REFERENCES people, what)",
    "INSERT INTO people VALUES(1, 'ann'), (2, 'bo')",
    "INSERT INTO orders VALUES(1, 1, 'tea'), (2, 2, 'it''s'), (3, 1, NULL)",
)
LOSS = ("DROP TABLE orders", "DELETE FROM people WHERE id = 2", "INSERT INTO people VALUES(3, 'cy')")
ORDERS, PEOPLE = "SELECT * FROM orders", "SELECT * FROM people"


class Lost:
    """A database with a replica, an engine that runs, and an application that has dropped a table."""

    def __init__(self, folder: Path) -> None:
        self.config, self.database, self.replica = folder / "l.yml", folder / "app.db", folder / "replica"
        self.config.write_text(
            f"dbs:\n- path: {self.database}\n  monitor-interval: 20ms\n"
            f"  replicas:\n  - path: {self.replica}\n    sync-interval: 1ms\n"
        )
        self.folder = folder

    def make(self, application: ForeignConnection) -> str:
        """Make it and lose it. Return the position right before the loss."""
        application.execute("PRAGMA journal_mode=WAL")
        for sql in TABLES:
            application.execute(sql)
        self.sync()
        for sql in LOSS:
            application.execute(sql)
        self.sync()
        return str(json.loads(succeeds("find", "-gone", "orders", "-json", self.url).out)["before"])

    def sync(self) -> None:
        """Wait until the replica has all that was committed."""
        succeeds("sync", "-config", self.config, "-wait", self.database)

    @property
    def url(self) -> str:
        return f"file://{self.replica}"


@pytest.fixture
def lost(tmp_path: Path) -> Lost:
    return Lost(tmp_path)


def test_promise_4_what_commits_deleted_comes_back_while_the_engine_and_the_application_go_on(lost: Lost) -> None:
    database, config = lost.database, lost.config
    with (
        ForeignConnection(database, autocheckpoint=False) as application,
        Replicating(lost.folder / "log", "-config", config) as replicate,
    ):
        replicate.wait_for("control socket")
        position = lost.make(application)
        where = ("-config", config)
        status = database.stat()
        # The preview changes nothing.
        sha = application.sha256()
        result = succeeds("bring-back", *where, "-table", "orders", database, position)
        assert "orders: made again, 2 to be inserted, 1 refused" in result.out
        assert "refused: row 2: FOREIGN KEY: people has no id 2" in result.out
        assert "Nothing was changed: -apply does it" in result.out
        assert application.sha256() == sha
        # To a file, or to the output.
        sql = succeeds("bring-back", *where, "-o", "-", database, position, "now").out
        assert sql.startswith("PRAGMA foreign_keys=ON;\nBEGIN;\nPRAGMA defer_foreign_keys=ON;\nCREATE TABLE orders(")
        assert sql.endswith('INTO "people"("id", "name") VALUES(2, \'bo\') ON CONFLICT DO NOTHING;\nCOMMIT;\n')
        file = lost.folder / "orders.csv"
        succeeds("bring-back", *where, "-table", "orders", "-o", file, database, position)
        assert list(csv.reader(io.StringIO(file.read_text()))) == [
            ["id", "person", "what"],
            ["1", "1", "tea"],
            ["2", "2", "it's"],
            ["3", "1", ""],
        ]
        assert file.stat().st_mode & 0o777 == 0o600
        refuses(run("bring-back", *where, "-table", "orders", "-o", file, database, position), 9, "is there already")
        assert application.sha256() == sha
        # Nothing, or all of it.
        refuses(
            run("bring-back", *where, "-table", "orders", "-on-conflict", "abort", "-apply", database, position),
            22,
            "orders 2",
        )
        assert application.sha256() == sha
        result = succeeds("bring-back", *where, "-apply", database, position, "now")
        assert "orders: made again, 3 inserted\npeople: 1 inserted\n" in result.out
        assert application.execute(ORDERS) == [[1, 1, "tea"], [2, 2, "it's"], [3, 1, None]]
        assert application.execute(PEOPLE) == [[1, "ann"], [2, "bo"], [3, "cy"]]
        assert (database.stat().st_ino, database.stat().st_mode) == (status.st_ino, status.st_mode)
        application.execute("INSERT INTO people VALUES(4, 'di')")
        lost.sync()
        assert replicate.end() == 0
        # What there was before can be restored, and is what it was.
        assert "as soon as it is uploaded" in result.out
        match = re.search(r"is the commit (\S+)\. ", result.out)
        assert match is not None, result.out
        succeeds("restore", "-config", config, "-position", match[1], "-o", lost.folder / "before.db", database)
        assert Shell(lost.folder / "before.db").rows(PEOPLE) == [[1, "ann"], [3, "cy"]]
        assert succeeds("generations", lost.url).out.count(match[1].split("/")[0]) == 1
        # Without an engine.
        application.execute("DELETE FROM orders WHERE id = 3")
        result = succeeds("bring-back", *where, "-row", "orders", "3", "-apply", "-json", database, position)
        assert json.loads(result.out)["report"]["tables"][0]["inserted"] == 1
        assert json.loads(result.out)["is_replicated"] is False
        application.execute("DELETE FROM orders WHERE id = 3")
        result = succeeds("bring-back", *where, "-row", "orders", "3", "-apply", database, position)
        assert "may not be restorable" in result.out
        assert "uploaded" not in result.out
        assert application.execute(ORDERS)[2] == [3, 1, None]
    # From the replica alone, into a database that is named.
    other = Shell(lost.folder / "other.db")
    other.run(f"{TABLES[0]}; INSERT INTO people VALUES(1, 'x')")
    result = succeeds("bring-back", "-table", "people", "-into", other.path, "-apply", lost.url, position)
    assert "No engine is known to replicate the database" in result.out
    assert other.rows(PEOPLE) == [[1, "x"], [2, "bo"]]
    other.run(succeeds("bring-back", "-table", "orders", "-o", "-", lost.url, position).out.replace("-- ", ""))
    assert len(other.rows(ORDERS)) == 3
    assert not [name for name in contents(lost.folder) if "litestream-tui-rows" in name]


def test_what_is_missing_is_said(published_once: Published, tmp_path: Path) -> None:
    url, then = published_once.url, "now"

    def refused(code: int, words: str, *arguments: str) -> None:
        refuses(run("bring-back", *arguments), code, words)

    refused(2, "database and moment required", url)
    refused(2, "is no moment", url, "when?")
    refused(2, "what is to be brought back?", url, then)
    refused(2, "name with -into", "-table", "fruits", url, then)
    refused(2, "-where goes with one -table", "-where", "1", url, then)
    refused(2, "-where is empty", "-table", "fruits", "-where", " ", url, then)
    refused(2, "-csv goes with -o", "-table", "fruits", "-csv", "-apply", url, then)
    refused(2, "-json & -o", "-table", "fruits", "-json", "-o", "-", url, then)
    refused(2, "-apply & -o", "-table", "fruits", "-apply", "-o", "x", url, then)
    refused(2, "leave out the second one", "-row", "fruits", "1", "-o", "-", url, then, "now")
    refused(22, "no table gone then", "-table", "gone", "-o", "-", url, then)
    refused(4, "cannot be opened", "-table", "fruits", "-into", str(tmp_path / "none.db"), url, then)
    refused(10, "has no restore point", "-table", "fruits", "-o", "-", url, f"{published_once.generation}/00000000:77")


def test_an_apply_of_which_all_is_refused_does_not_end_well(published_once: Published, tmp_path: Path) -> None:
    other = Shell(tmp_path / "other.db")
    other.run("CREATE TABLE fruits(z NOT NULL)")
    asked = ("bring-back", "-table", "fruits", "-into", other.path, published_once.url, "now")
    assert "fruits: refused: column z of fruits is new, NOT NULL" in succeeds(*asked).out
    for more in ((), ("-json",)):
        result = run(*asked[:1], "-apply", *more, *asked[1:])
        assert "column z of fruits is new" in result.out
        refuses(result, 22, "No row could be brought back", "Nothing was changed")

"""diff: what changed between two moments, named by positions or times, for people and for programs."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import peers
from replication.storage.memory import MemoryStorage
from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import contents, refuses, run, succeeds
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM
from tests.restore.history import publish, write_history


def commits(published: Published) -> list[dict[str, Any]]:
    """Oldest first."""
    return [json.loads(line) for line in succeeds("log", "-json", published.url).out.splitlines()][::-1]


def lines_of(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in succeeds("diff", "-json", *arguments).out.splitlines()]


def test_rows_between_two_moments(published: Published, tmp_path: Path) -> None:
    found = commits(published)
    before = contents(published.root)
    environment = {**peers.clean_environment(), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    first, last = found[-3]["position"], found[-1]["position"]
    result = run("diff", published.url, first, last, cwd=tmp_path, environment=environment)
    assert result.code == 0
    assert contents(published.root) == before
    assert list(tmp_path.iterdir()) == [published.root]
    head, lines = result.out.splitlines()[:2], result.out.splitlines()[2:]
    assert head[0].startswith(f"from: {first}, committed 2")
    assert head[1].startswith(f"to:   {last}, committed 2")
    zeros = f"x'{'0' * 58}… (20,000 bytes)"
    assert lines == [
        "fruits  +2  -0  ~0",
        "fruits:",
        f"  + name='fruit {ROUNDS - 2}', weight={zeros}",
        f"  + name='fruit {ROUNDS - 1}', weight={zeros}",
    ]
    assert "pages written between them, from replica file" in result.err
    # The other way they went.
    assert succeeds("diff", "-summary", published.url, last, first).out.splitlines()[2:] == ["fruits  +0  -2  ~0"]
    assert succeeds("diff", published.url, first, first).out.splitlines()[2:] == ["nothing changed"]
    # By time, by the configuration, and up to now.
    by_time = ["diff", "-summary", "-config", str(published.config), str(published.database)]
    expected = ["fruits  +2  -0  ~0"]
    assert succeeds(*by_time, found[-3]["committed"], found[-1]["committed"]).out.splitlines()[2:] == expected
    assert succeeds(*by_time, found[-3]["committed"]).out.splitlines()[2:] == expected
    assert succeeds(*by_time, found[-3]["committed"], "now").out.splitlines()[2:] == expected


def test_for_programs(published: Published) -> None:
    found = commits(published)
    first, last = found[-3], found[-1]
    lines = lines_of(published.url, first["position"], last["position"])
    assert [line["kind"] for line in lines] == ["moments", "row", "row", "table"]
    assert lines[0]["from"] == {key: first[key] for key in ("position", "committed", "stored")}
    assert lines[0]["to"] == {key: last[key] for key in ("position", "committed", "stored")}
    row = {"name": f"fruit {ROUNDS - 2}", "weight": f"x'{bytes(20000).hex()}'"}
    assert lines[1]["after"] == row
    assert (lines[1]["table"], lines[1]["change"], lines[1]["before"]) == ("fruits", "inserted", None)
    counts = {"inserted": 2, "deleted": 0, "changed": 0}
    assert lines[3] == {"kind": "table", "table": "fruits", **counts, "key": ["rowid"], "renamed_from": None}
    # What is not shown is counted.
    lines = lines_of("-limit", "1", published.url, first["position"], last["position"])
    assert ([line["kind"] for line in lines], lines[2]["inserted"]) == (["moments", "row", "table"], 2)
    out = succeeds("diff", "-limit", "1", published.url, first["position"], last["position"]).out
    assert out.splitlines()[-1] == "  … 1 row more; -limit shows more of them"


def test_what_cannot_be_compared_is_said_in_words(published: Published) -> None:
    last = commits(published)[-1]["position"]
    refuses(run("diff"), 2, "database path or replica URL required")
    refuses(run("diff", published.url), 2, "two moments required")
    refuses(run("diff", published.url, "someday"), 2, "'someday' is no moment")
    refuses(run("diff", published.url, "a/b"), 2, "not a position")
    refuses(run("diff", "-summary", "-limit", "3", published.url, last), 2, "summary & limit")
    refuses(run("diff", "-table", "gone", published.url, last), 21, "There is no table gone at")
    refuses(run("diff", published.url, "2001-01-01T00:00:00Z"), 10)
    refuses(run("diff", published.url, last, f"{published.generation}/00000000:77"), 10)
    inside, _, offset = commits(published)[-2]["position"].partition(":")
    refuses(run("diff", published.url, f"{inside}:{int(offset) + 8}", last), 10, "No commit ends at")


def test_a_table_that_sqlite_cannot_look_up_is_told_and_the_others_are_compared(tmp_path: Path) -> None:
    foreign = "CREATE TABLE k(a TEXT PRIMARY KEY COLLATE german, b) WITHOUT ROWID"
    history = write_history(
        tmp_path,
        4096,
        [
            [
                "CREATE TABLE k(a TEXT PRIMARY KEY, b) WITHOUT ROWID; CREATE TABLE t(a);",
                "INSERT INTO k VALUES('x', 1);",
                "UPDATE k SET b = 2;",
                f"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '{foreign}' WHERE name = 'k';",
                "INSERT INTO t VALUES(1);",
            ]
        ],
    )
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    for item in storage.list(""):
        path = tmp_path / "replica" / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(storage.get(item.name)))
    first, last = (str(history.commits[number].at()) for number in (1, -1))
    result = run("diff", f"file://{tmp_path}/replica", first, last)
    assert result.code == 21
    assert "t  +1  -0  ~0" in result.out
    assert result.complaints == ["Not compared, or not to the end: k: SQLite says: no such collation sequence: german"]
    lines = run("diff", "-json", f"file://{tmp_path}/replica", first, last).out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["moments", "schema", "not compared", "row", "table"]


def test_it_is_cancelled_by_a_signal(published: Published, tmp_path: Path) -> None:
    # Nobody reads the rows, so it waits in the middle of them.
    first, last = (commits(published)[number]["position"] for number in (0, -1))
    with subprocess.Popen(
        [PROGRAM, "diff", "-json", published.url, first, last],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=peers.die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "moments"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 16
    assert "It was cancelled; nothing was changed and nothing is left behind." in err


@pytest.mark.parametrize("flag", ["-h", "-help"])
def test_it_explains_itself(flag: str) -> None:
    assert "rows that came, went or changed" in succeeds("diff", flag).out

"""query: what SQLite would say of the restored database, at any commit, with the refusals of a restore and no file."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import peers
from tests.cli.conftest import Published
from tests.cli.program import contents, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM
from tui.text.rows import as_csv

SQL = "SELECT count(*) AS n, max(name) AS name, typeof(weight) AS t, sum(length(weight)) AS s FROM fruits"


def positions(published: Published) -> list[str]:
    """Where segments begin, each the end of the commit before; and the latest."""
    found = []
    for path in published.segments[1:]:
        index, offset = path.name.removesuffix(".wal.lz4").split("_")
        if int(offset, 16):
            found.append(f"{published.generation}/{index}:{int(offset, 16)}")
    return found


def test_promise_3_a_query_answers_as_the_restored_database(published: Published, tmp_path: Path) -> None:
    seen = set()
    for number, position in enumerate([*positions(published), ""]):
        output = tmp_path / f"{number}.db"
        where = ["-position", position] if position else []
        succeeds("restore", "-o", output, *where, published.url)
        [expected] = Shell(output).rows(SQL)
        [answer] = json.loads(succeeds("query", "-json", *where, published.url, SQL).out)
        assert list(answer.values()) == expected
        seen.add(answer["n"])
    assert len(seen) > 2
    # The same by time, by index, and by the configuration; and it says which commit it looked at.
    result = succeeds("query", "-csv", "-timestamp", "2100-01-01T00:00:00Z", published.url, SQL)
    assert list(csv.reader(io.StringIO(result.out)))[1] == [str(value) for value in expected]
    assert f"# at {published.generation}/" in result.err
    assert succeeds("query", "-index", "0", "-json", published.url, SQL).out != "[]\n"
    assert succeeds("query", "-config", published.config, "-csv", published.database, SQL).out == result.out


def test_promise_4_nothing_is_written_anywhere(published: Published, tmp_path: Path) -> None:
    before = contents(published.root)
    environment = {**peers.clean_environment(), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    result = run("query", published.url, SQL, cwd=tmp_path, environment=environment)
    assert result.code == 0
    assert contents(published.root) == before
    assert list(tmp_path.iterdir()) == [published.root]


def test_what_is_for_people_and_what_is_for_programs(published: Published) -> None:
    sql = "SELECT 1 AS a, 'two\nlines\x1b[2J' AS b, NULL AS c, x'00ff' AS d, 0.5 AS e, 9e999 AS f"
    line = succeeds("query", published.url, sql).out.splitlines()
    assert [item.split() for item in line] == [
        ["a", "b", "c", "d", "e", "f"],
        ["1", "two", "lines\\x1b[2J", "NULL", "x'00ff'", "0.5", "inf"],
    ]
    rows = json.loads(succeeds("query", "-json", published.url, sql).out)
    assert rows == [{"a": 1, "b": "two\nlines\x1b[2J", "c": None, "d": "x'00ff'", "e": 0.5, "f": "inf"}]
    # Columns with one name are told apart, as SQLite does in a subquery, and no value is lost.
    same = 'SELECT f.rowid AS id, g.rowid AS id, 3 AS "id:1", 4 AS "id" FROM fruits f, fruits g LIMIT 1'
    assert json.loads(succeeds("query", "-json", published.url, same).out) == [
        {"id": 1, "id:2": 1, "id:1": 3, "id:3": 4}
    ]
    assert json.loads(succeeds("query", "-json", published.url, "SELECT 1 WHERE 0").out) == []
    assert succeeds("query", "-csv", published.url, "SELECT 1 AS a WHERE 0").out == "a\n"
    # What looks like a password is data.
    assert "user:secret@host" in succeeds("query", published.url, "SELECT 's3://user:secret@host/x'").out
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n"
    assert len(succeeds("query", published.url, many).out.splitlines()) == 1001


def test_promise_3_it_is_refused_as_a_restore_is(published: Published, tmp_path: Path) -> None:
    def both(code: int, *where: str) -> None:
        asked = run("query", *where, published.url, "SELECT count(*), sum(length(weight)) FROM fruits")
        restored = run("restore", "-o", str(tmp_path / "out.db"), *where, published.url)
        assert (asked.code, asked.out) == (code, "")
        assert asked.complaints == restored.complaints

    both(10, "-position", f"{published.generation}/00000000:77")
    both(10, "-index", "ff")
    both(10, "-generation", "0123456789abcdef")
    both(10, "-timestamp", "2001-01-01T00:00:00Z")
    both(2, "-timestamp", "yesterday")
    middle = published.segments[2]
    kept = middle.read_bytes()
    middle.write_bytes(kept[:-9] + b"!" + kept[-8:])
    both(12)
    middle.unlink()
    both(11)
    middle.write_bytes(kept)
    published.snapshot.unlink()
    both(10)


def test_what_cannot_be_asked_is_said_in_words(published: Published) -> None:
    refuses(run("query", published.url), 2, "SQL required")
    refuses(run("query", "-json", "-csv", published.url, SQL), 2, "json & csv")
    refuses(run("query", "-index", "0", "-timestamp", "x", published.url, SQL), 2, "index & timestamp")
    refuses(run("query", published.url, "SELECT * FROM gone"), 21, "no such table: gone")
    refuses(run("query", published.url, "DELETE FROM fruits"), 21, "DELETE would write")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    refuses(run("query", "-timeout", "0.1", published.url, endless), 21, "its time is over")


LARGE = "hex(zeroblob(2000000)) || '\"' || char(10) || 'ü'"


@pytest.mark.parametrize("flag", ["-csv", "-json"])
def test_large_values_are_whole_for_programs(published: Published, flag: str) -> None:
    sql = f"SELECT {LARGE} AS t, zeroblob(1500000) AS b, NULL AS n, 7 AS i"
    out = succeeds("query", flag, published.url, sql).out
    text, blob = "00" * 2_000_000 + '"\nü', "x'" + "00" * 1_500_000 + "'"
    if flag == "-json":
        assert json.loads(out) == [{"t": text, "b": blob, "n": None, "i": 7}]
        return
    csv.field_size_limit(1 << 24)
    assert list(csv.reader(io.StringIO(out, newline=""))) == [["t", "b", "n", "i"], [text, blob, "", "7"]]


MEASURED = """
import resource, subprocess, sys
process = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(process.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


@pytest.mark.parametrize(
    ("flag", "columns", "rows", "most"),
    [("", 3, 4, 480), ("-csv", 1, 3, 320), ("-json", 1, 3, 320), ("-json", 9, 1, 480)],
)
def test_promise_6_memory_is_bounded_whatever_the_values(
    published: Published, flag: str, columns: int, rows: int, most: int
) -> None:
    large = ", ".join(["zeroblob(40000000)"] * columns)
    sql = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) SELECT {large} FROM n"
    command = [sys.executable, "-c", MEASURED, str(PROGRAM), "query", *[flag] * bool(flag), published.url, sql]
    done = subprocess.run(command, env=peers.clean_environment(), capture_output=True, text=True, check=True)
    code, mebibytes = map(int, done.stdout.split())
    assert code == (21 if columns == 9 else 0), done.stderr
    assert mebibytes < most, done.stderr
    if code:
        assert "it needs over 256 MiB of memory" in done.stderr


def test_it_is_cancelled_in_the_midst_of_a_large_value(published: Published) -> None:
    with subprocess.Popen(
        [PROGRAM, "query", "-json", published.url, "SELECT zeroblob(60000000)"],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=peers.die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1000).startswith(b'[{"zeroblob(60000000)": "x\'0000')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 16
    assert err == b"litestream-tui: It was cancelled; nothing was changed and nothing is left behind.\n"
    assert len(out) < 30_000_000


def test_it_is_cancelled_by_a_signal(published: Published) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with subprocess.Popen(
        [PROGRAM, "query", "-timeout", "1000", published.url, endless],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=peers.die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "i"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 16
    assert err == "litestream-tui: It was cancelled; nothing was changed and nothing is left behind.\n"
    assert time.monotonic() - began < DEADLINE_SECONDS


UNENDING = "SELECT instr(zeroblob(30000000), CAST(zeroblob(10000000) AS BLOB) || x'01')"


def test_promise_6_a_function_that_cannot_be_stopped_ends_with_its_time(published: Published) -> None:
    refuses(run("query", "-timeout", "0.1", published.url, UNENDING), 21, "its time is over")


def test_promise_6_and_with_a_signal(published: Published) -> None:
    # Most of the first row is seen: the rest is given with the next row, at which SQLite is at work.
    asked = f"SELECT hex(zeroblob(3000000)) UNION ALL {UNENDING}"
    with subprocess.Popen(
        [PROGRAM, "query", "-csv", "-timeout", "1000", published.url, asked],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=peers.die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(5 << 20)) == 5 << 20
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 16
    assert err == b"litestream-tui: It was cancelled; nothing was changed and nothing is left behind.\n"


def test_a_reader_who_has_seen_enough_is_no_error(published: Published) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, zeroblob(5000) FROM n"
    with subprocess.Popen(
        [PROGRAM, "query", "-csv", published.url, endless],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=peers.die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"i,zeroblob(5000)\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_csv_quotes_all_that_ends_a_line() -> None:
    assert "".join(as_csv(lambda: ["a", "b"], iter([("\r", "x\ny"), ("x", None)]))) == 'a,b\n"\r","x\ny"\nx,\n'


def test_litestreams_snapshot_is_read_through_once(published: Published, tmp_path: Path) -> None:
    # Without the table of its blocks, as Litestream writes it.
    data = published.snapshot.read_bytes()
    published.snapshot.write_bytes(data[: data.rindex(b"litestream-tui blocks") - 8])
    environment = {**peers.clean_environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    answers = [run("query", published.url, SQL, environment=environment).out for _ in range(2)]
    assert len(set(answers)) == 1
    [kept] = (tmp_path / "cache" / "litestream-tui" / "snapshots").iterdir()
    # What is wrong there costs a second look, and no answer.
    kept.write_bytes(kept.read_bytes()[:-1])
    assert run("query", published.url, SQL, environment=environment).out == answers[0]
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").symlink_to("/nowhere")
    assert run("query", published.url, SQL, environment=environment).out == answers[0]


@pytest.mark.parametrize("flag", ["-h", "-help"])
def test_it_explains_itself(flag: str) -> None:
    assert "one statement that only reads" in succeeds("query", flag).out

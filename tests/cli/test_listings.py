"""The listings: what Litestream 0.3.13 itself prints of the same replica, in a pipe and on a terminal, and as JSON."""

import json
import os
import pty
import re
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

import peers
from tests.cli.conftest import Published
from tests.cli.program import Replicating, Result, refuses, run, succeeds
from tests.interchange.program import PROGRAM


def theirs(*arguments: str | Path) -> str:
    done = subprocess.run(
        [peers.litestream03(), *arguments],
        env=peers.clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def on_a_terminal(*arguments: str | Path, **environment: str) -> Result:
    """Run the program with a terminal of 80 columns for its streams."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=peers.clean_environment(TERM="xterm-256color", COLUMNS="80", **environment),
        preexec_fn=peers.die_with_parent,
    ) as process:
        os.close(follower)
        said = b""
        try:
            # The end of a terminal whose other side has gone is an error.
            while piece := os.read(leader, 65536):
                said += piece
        except OSError:
            pass
        finally:
            os.close(leader)
        return Result(process.wait(30), said.decode().replace("\r\n", "\n"), "")


@pytest.mark.parametrize("verb", ["snapshots", "wal"])
def test_objects_as_litestream_lists_them(published_once: Published, verb: str) -> None:
    sources: list[list[str | Path]] = [
        ["-config", published_once.config, published_once.database],
        [published_once.url],
    ]
    for source in sources:
        assert succeeds(verb, *source).out == theirs(verb, *source)
    flags = ["-generation", published_once.generation] if verb == "wal" else ["-replica", "file"]
    more: list[str | Path] = ["-config", published_once.config, *flags, published_once.database]
    assert succeeds(verb, *more).out == theirs(verb, *more)


@pytest.mark.parametrize("lag", ["400000.75", "9.875", "1", "0.0125", "0.001", "0.000125", "0"])
def test_generations_as_litestream_lists_them_with_one_column_more(
    published: Published, tmp_path: Path, lag: str
) -> None:
    """The lag is the time of the database less that of the newest object, however the two came about."""
    database, config = tmp_path / "app.db", tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {published.root}}}]}}]")
    database.touch()
    written = 1_800_000_000_000_000_000
    for path in (published.snapshot, *published.segments):
        os.utime(path, ns=(written, written))
    changed = written + int(Decimal(lag) * 10**9)
    os.utime(database, ns=(changed, changed))
    source = ["-config", str(config), str(database)]
    ours, their = succeeds("generations", *source).out.splitlines(), theirs("generations", *source).splitlines()
    assert len(ours) == len(their) == 2
    for our, other in zip(ours, their, strict=True):
        assert our.startswith(other.rstrip()), (our, other)
    assert ours[0].split()[-1] == "reason"
    assert ours[1].endswith("  no generation exists")


@pytest.mark.parametrize("lag", ["-0.0035", "-0.012", "-3.25", "-90000"])
def test_no_lag_is_less_than_nothing(published: Published, tmp_path: Path, lag: str) -> None:
    """As where the store's clock is ahead of this machine's."""
    database, config = tmp_path / "app.db", tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {published.root}}}]}}]")
    database.touch()
    written = max(path.stat().st_mtime_ns for path in (published.snapshot, *published.wal))
    changed = written + int(Decimal(lag) * 10**9)
    os.utime(database, ns=(changed, changed))
    [row] = json.loads(succeeds("generations", "-json", "-config", config, database).out)
    assert row["lag"] == "0s"


def test_the_lag_of_a_replica_known_only_by_its_url(published_once: Published) -> None:
    """It is the age of the newest object."""
    row = succeeds("generations", published_once.url).out.splitlines()[1].split()
    other = theirs("generations", published_once.url).splitlines()[1].split()
    assert row[:2] + row[3:5] == other[:2] + other[3:5]
    assert re.fullmatch(r"(\d+h)?(\d+m)?[\d.]+(ms|s)", row[2])


def test_databases_as_litestream_lists_them(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(
        "dbs:\n- path: /srv/a much longer name.db\n- path: /srv/b.db\n  replicas:\n  - path: /backup/b\n"
        "  - {name: off-site, url: 's3://bucket/b'}\n"
    )
    assert succeeds("databases", "-config", config).out == theirs("databases", "-config", config)


def test_nothing_there_is_only_a_header(tmp_path: Path) -> None:
    for verb in ("snapshots", "wal"):
        url = f"file://{tmp_path}/none"
        assert succeeds(verb, url).out == theirs(verb, url)
        assert json.loads(succeeds(verb, "-json", url).out) == []


@pytest.mark.parametrize("verb", ["generations", "snapshots", "wal"])
def test_json(published_once: Published, verb: str) -> None:
    source: list[str | Path] = ["-config", published_once.config, published_once.database]
    table = [re.split(r"  +", line) for line in succeeds(verb, *source).out.splitlines()]
    rows = json.loads(succeeds(verb, "-json", *source).out)
    assert [[str(row[name]) for name in table[0]] for row in rows] == table[1:]
    for row in rows:
        assert all(isinstance(row[name], int) for name in ("index", "offset", "size") if name in row)


def test_json_of_databases(published_once: Published) -> None:
    rows = json.loads(succeeds("databases", "--json", "--config", published_once.config).out)
    assert rows == [{"path": str(published_once.database), "replicas": "file"}]


@pytest.mark.parametrize("verb", ["databases", "generations", "wal"])
def test_a_terminal_shows_what_a_pipe_gets(published_once: Published, verb: str) -> None:
    """No colours, no cutting at the edge: what is copied from a terminal is whole."""
    source: list[str | Path] = ["-config", published_once.config]
    if verb != "databases":
        source.append(published_once.database)
    shown = on_a_terminal(verb, *source)
    assert (shown.code, shown.out) == (0, succeeds(verb, *source).out)


def test_a_replica_that_cannot_be_read_does_not_hide_the_others(published_once: Published, tmp_path: Path) -> None:
    [port] = peers.free_ports(1)
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"access-key-id: canarycanary\nsecret-access-key: canarycanary\ndbs:\n- path: {published_once.database}\n"
        f"  replicas:\n  - {{name: away, type: s3, bucket: b, endpoint: 'http://127.0.0.1:{port}'}}\n"
        f"  - path: {published_once.root}\n"
    )
    result = run("snapshots", "-config", config, published_once.database)
    refuses(result, 6, "replica away: ", f"cannot reach http://127.0.0.1:{port}")
    assert result.out == succeeds("snapshots", published_once.url).out


def test_a_reader_that_has_seen_enough(published_once: Published) -> None:
    """As in `litestream-tui wal … | head -1`."""
    with subprocess.Popen(
        [PROGRAM, "wal", published_once.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=peers.clean_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_letters_that_the_terminal_does_not_have(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text("dbs: [{path: /srv/früchte.db}]", encoding="utf-8")
    environment = peers.clean_environment(PYTHONIOENCODING="ascii:strict")
    assert r"/srv/fr\xfcchte.db" in succeeds("databases", "-config", config, environment=environment).out
    name = os.fsdecode(b"/srv/\xff.db")
    refuses(run("restore", "-config", config, name), 2, "not found in config")


# -- colours of the log -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colours_only_on_a_terminal_and_not_with_no_color(
    published_once: Published, tmp_path: Path, no_color: str
) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {tmp_path}/none.db, replicas: [{{path: {tmp_path}/r}}]}}]\nexec: sleep 0\n")
    shown = on_a_terminal("replicate", "-config", config, NO_COLOR=no_color)
    assert shown.code == 0
    assert ("\x1b[" in shown.out) == (no_color == "")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        assert replicate.result.code == 0
    assert "\x1b[" not in replicate.said

"""What is refused before anything is done: one line that says what is wrong, where, and what to do next.

Each refusal has its exit code, and leaves every file as it was.
"""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, Result, as_an_ordinary_user, contents, no_traceback, refuses, run
from tests.foreign import Shell
from tests.interchange.program import PROGRAM
from tui.cli import main

LONG = "x" * 300

USAGE = {
    "replicat": ["'replicat' is not a verb", "did you mean replicate?"],
    "backup": [
        "'backup' is not a verb",
        "replicate, restore, query, find, log",
        "generations, snapshots, wal",
    ],
    "replicate a.db": ["at least one replica URL for a.db"],
    "replicate a.db /srv/backup": ["scheme required: '/srv/backup'", "write file:///srv/backup"],
    "replicate -config x.yml a.db file:///b": ["-config", "leave one of them out"],
    "replicate -exec ' ' a.db file:///b": ["command", "is empty", "leave -exec out"],
    "replicate -exec 'run \"x' a.db file:///b": ["command", "No closing quotation", "quotes"],
    "replicate '' file:///b": ["path of the database is empty"],
    "replicate a.db file:///b file:///b/": ["same place", "leave one out"],
    "restore": ["database path or replica URL required", "litestream-tui restore /srv/app.db"],
    "restore ''": ["database path or replica URL required"],
    "restore file:///b": ["output path required", "-o PATH"],
    "restore -o '' file:///b": ["-o needs a path"],
    "restore -o": ["-o", "expected one argument", "litestream-tui restore -h"],
    "restore -output x file:///b": ["unrecognized arguments: -output"],
    "-config known.yml databases": ["flags go after the verb"],
    "restore -conf x.yml a.db": ["unrecognized arguments: -conf"],
    "restore -config x.yml -o y file:///b": ["cannot specify a replica URL and the -config flag"],
    "restore -replica s3 -o y file:///b": ["-replica goes with a database path"],
    "restore -config '' a.db": ["-config needs a path"],
    "restore -parallelism many -o y file:///b": ["-parallelism", "'many' is not a number from 1 up"],
    "restore -parallelism 0 -o y file:///b": ["-parallelism", "'0' is not a number from 1 up"],
    "restore -integrity-check deep -o y file:///b": ["-integrity-check", "'deep'", "none", "quick", "full"],
    "restore -timestamp yesterday -o y file:///b": ["'yesterday' is not a time", "2000-01-01T00:00:00Z"],
    "restore -timestamp 2026-01-02T15:04:05 -o y file:///b": ["is not a time", "offset such as +02:00"],
    "restore -index 12xyz -o y file:///b": ["'12xyz' is not a WAL index", "hex digits"],
    "restore -index 99999999 -o y file:///b": ["'99999999' is not a WAL index", "at most 7fffffff"],
    "restore -position here -o y file:///b": ["'here' is not a position", "GENERATION/INDEX:OFFSET"],
    "restore -generation newest -o y file:///b": ["'newest' is not a generation", "16 hex digits"],
    "restore -index 1 -timestamp 2026-01-02T15:04:05Z -o y file:///b": ["index & timestamp", "one of them"],
    "wal -generation ../../etc file:///b": ["'../../etc' is not a generation"],
    "generations -nosuch file:///b": ["unrecognized arguments: -nosuch"],
    "generations file:///b file:///c": ["unrecognized arguments: file:///c; see litestream-tui generations -h"],
    "databases -json=maybe": ["-json", "'maybe'"],
    "version now": ["unrecognized arguments: now; see litestream-tui version -h"],
    "find -since x y z": ["unrecognized arguments: z; see litestream-tui find -h"],
    "-nosuch": ["unrecognized arguments: -nosuch; see litestream-tui -h"],
}

CONFIGURATION = {
    "replicate a.db s3://": ["bucket required", "s3://BUCKET/PATH"],
    "replicate a.db file://b/c": ["file://b/c names b as a host", "file:///b/c"],
    "replicate a.db sftp://host/path": ["sftp is not built yet", "mount it, as with sshfs", "type file"],
    "replicate a.db floppy://a": ["unknown replica type floppy"],
    "generations s3://bucket/a?endpoit=x": ["unknown key 'endpoit'", "did you mean endpoint?"],
    "generations -config none.yml a.db": ["config file not found: none.yml", "-config PATH", "$LITESTREAM_CONFIG"],
    "databases": ["config file not found: by-environment.yml", "-config PATH"],
    "databases -config .": ["cannot read the config file .", "Is a directory"],
    "databases -config bad.yml": ["bad.yml:3:3: this is not YAML", "indentation"],
    "databases -config unknown.yml": ["unknown.yml:3: dbs[0].client-cert", "is a key of Litestream 0.5"],
    "databases -config typo.yml": ["typo.yml:4: dbs[0].replicas[0].retnetion", "did you mean retention?"],
    "replicate -config empty.yml": ["empty.yml: no databases", "add one under dbs:"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "bad.yml").write_text("dbs:\n  - path: a.db\n  replicas: []\n")
    (folder / "unknown.yml").write_text("dbs:\n- path: a.db\n  client-cert: b\n")
    (folder / "typo.yml").write_text("dbs:\n- path: a.db\n  replicas:\n  - {path: b, retnetion: 72h}\n")
    (folder / "empty.yml").write_text("# nothing yet\n")
    (folder / "known.yml").write_text("dbs:\n- path: a.db\n  replicas: [{path: b}, {name: c, path: d}]\n- path: e.db\n")
    return folder


@pytest.mark.parametrize(("line", "words"), USAGE.items())
def test_usage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], line: str, words: list[str]
) -> None:
    refused_here(folder, monkeypatch, capfd, line, 2, words)


@pytest.mark.parametrize(("line", "words"), CONFIGURATION.items())
def test_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], line: str, words: list[str]
) -> None:
    refused_here(folder, monkeypatch, capfd, line, 3, words)


@pytest.mark.parametrize(
    ("line", "words"),
    {
        "restore -config known.yml -o y other.db": ["not found in config", "work/other.db", "work/a.db", "work/e.db"],
        "restore -config known.yml -replica s3 -o y a.db": ["no replica called 's3'", "it has: file, c"],
        "generations -config known.yml -replica file e.db": ["no replica called 'file'", "it has: none"],
    }.items(),
)
def test_what_the_configuration_does_not_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], line: str, words: list[str]
) -> None:
    refused_here(folder, monkeypatch, capfd, line, 2, words)


def refused_here(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    line: str,
    code: int,
    words: list[str],
) -> None:
    """Refused by the program in this process: none of these opens a database."""
    monkeypatch.chdir(folder)
    # Not the file that this machine may have in /etc.
    monkeypatch.setenv("LITESTREAM_CONFIG", "by-environment.yml")
    before = contents(folder)
    ended = main(shlex.split(line))
    captured = capfd.readouterr()
    no_traceback(captured.err)
    refuses(Result(ended, captured.out, captured.err), code, *words)
    assert captured.out == ""
    assert contents(folder) == before


def test_the_program_itself_ends_with_the_code(tmp_path: Path) -> None:
    refuses(run("frobnicate", cwd=tmp_path), 2, "'frobnicate' is not a verb")


def test_no_configuration_that_may_be_read(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text("dbs: []")
    config.chmod(0)
    result = run("databases", "-config", config, before=as_an_ordinary_user)
    refuses(result, 3, f"cannot read the config file {config}: Permission denied", "rights")


@pytest.mark.parametrize("what", ["text", "folder", "pipe", "long name", "device", "below a file"])
def test_no_database(tmp_path: Path, what: str) -> None:
    """Refused at the start, and no folder is left beside what was named."""
    database = tmp_path / "app.db"
    words = "is not a plain file"
    if what == "text":
        database.write_text("Dear diary, this is not a database at all.\n" * 10)
        words = "is not a SQLite database, or it is encrypted; check the path"
    elif what == "folder":
        database.mkdir()
    elif what == "pipe":
        os.mkfifo(database)
    elif what == "device":
        database = Path("/dev/null")
    elif what == "below a file":
        (tmp_path / "file").touch()
        database, words = tmp_path / "file" / "app.db", "cannot be read: Not a directory"
    else:
        database, words = tmp_path / LONG, "cannot be read: File name too long"
    before = [path.name for path in tmp_path.iterdir()]
    refuses(run("replicate", database, f"file://{tmp_path}/replica"), 4, f"{database} ", words)
    assert [path.name for path in tmp_path.iterdir()] == before


def test_an_output_with_a_long_name(tmp_path: Path) -> None:
    for flags in ([], ["-if-db-not-exists"]):
        refuses(run("restore", *flags, "-o", tmp_path / LONG, f"file://{tmp_path}/none"), 10, "No backup")
    assert not list(tmp_path.iterdir())


def test_a_missing_database_is_waited_for(tmp_path: Path) -> None:
    """Also when its folder comes later than the program."""
    database, replica = tmp_path / "later" / "app.db", tmp_path / "replica"
    with Replicating(tmp_path / "log", database, f"file://{replica}") as replicate:
        replicate.wait_for("level=WARN", "does not exist yet, waiting for it", f"db={database}")
        assert not replica.exists()
        database.parent.mkdir()
        Shell(database).run("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    assert list(replica.rglob("*.snapshot.lz4"))


def test_results_that_cannot_be_written() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = subprocess.run(
            [PROGRAM, "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=peers.clean_environment(),
            timeout=30,
            check=False,
        )
    finally:
        os.close(full)
    assert (done.returncode, done.stderr.decode()) == (
        14,
        "litestream-tui: the result cannot be written to standard output: No space left on device; send it elsewhere\n",
    )

"""Flags as Litestream's users write them, help that names all of them, and a start that loads no screen."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from replication import errors
from tests.cli.program import Result, no_traceback, refuses, run, succeeds
from tui import cli
from tui.cli import main
from tui.verbs import version

FLAGS = {
    "replicate": {"config", "no-expand-env", "exec", "wait"},
    "restore": {
        "config",
        "no-expand-env",
        "o",
        "replica",
        "generation",
        "index",
        "timestamp",
        "position",
        "parallelism",
        "integrity-check",
        "dry-run",
        "if-db-not-exists",
        "if-replica-exists",
        "json",
        "socket",
    },
    "databases": {"config", "no-expand-env", "json"},
    "generations": {"config", "no-expand-env", "replica", "json"},
    "snapshots": {"config", "no-expand-env", "replica", "json"},
    "wal": {"config", "no-expand-env", "replica", "generation", "json"},
    "version": set(),
}
"""The verbs of Litestream 0.3.13 with its flags and ours."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "litestream.yml"
    path.write_text("dbs: [{path: $HOME_OF_TESTS/a.db, replicas: [{path: /b}]}]")
    return path


def printed(capfd: pytest.CaptureFixture[str], *arguments: str) -> Result:
    code = main(arguments)
    captured = capfd.readouterr()
    no_traceback(captured.err)
    return Result(code, captured.out, captured.err)


def helped(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize("spelling", ["-config PATH", "--config PATH", "-config=PATH", "--config=PATH"])
def test_a_flag_has_one_dash_or_two(capfd: pytest.CaptureFixture[str], config: Path, spelling: str) -> None:
    result = printed(capfd, "databases", *spelling.replace("PATH", str(config)).split())
    assert (result.code, result.out) == (0, "path   replicas\n/a.db  file\n")


@pytest.mark.parametrize(
    ("switch", "on"),
    {
        "-no-expand-env": True,
        "--no-expand-env": True,
        "-no-expand-env=true": True,
        "--no-expand-env=1": True,
        "-no-expand-env=false": False,
        "-no-expand-env=F": False,
    }.items(),
)
def test_a_switch_may_have_a_value(capfd: pytest.CaptureFixture[str], config: Path, switch: str, on: bool) -> None:
    result = printed(capfd, "databases", switch, "-config", str(config))
    assert result.code == 0
    assert ("$HOME_OF_TESTS/a.db" in result.out) == on


@pytest.mark.parametrize(
    "line",
    [
        "query app.db -config none.yml SQL",
        "query -config none.yml app.db SQL",
        "query app.db SQL -config none.yml",
    ],
)
def test_flags_may_stand_between(line: str) -> None:
    args = cli._parse(line.split())
    assert (args.source, args.sql, args.config) == ("app.db", "SQL", "none.yml")


def test_what_stands_between_flags_keeps_its_order_and_its_defaults() -> None:
    args = cli._parse(["diff", "app.db", "-summary", "12:03", "-table", "t", "12:04"])
    assert (args.source, args.begin, args.end, args.table, args.summary) == ("app.db", "12:03", "12:04", "t", True)
    args = cli._parse(["diff", "app.db", "-summary", "12:03"])
    assert (args.source, args.begin, args.end) == ("app.db", "12:03", "now")


def test_a_variable_that_is_not_set_is_told(capfd: pytest.CaptureFixture[str], config: Path) -> None:
    result = printed(capfd, "databases", "-config", str(config))
    assert result.complaints == []
    assert f"warning: {config}:1: an environment variable is not set" in result.err


@pytest.mark.parametrize("verb", FLAGS)
@pytest.mark.parametrize("flag", ["-h", "-help", "--help"])
def test_help_names_every_flag_and_has_an_example(capfd: pytest.CaptureFixture[str], verb: str, flag: str) -> None:
    text = helped(capfd, verb, flag)
    found = set(re.findall(r"^  -([a-z0-9-]+)", text, re.MULTILINE)) - {"h"}
    assert found == FLAGS[verb]
    assert f"example: litestream-tui {verb}" in text
    assert helped(capfd, "help", verb) == text


def test_every_verb_has_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    verbs = re.findall(r"^    ([a-z-]+) ", helped(capfd, "-h"), re.MULTILINE)
    assert {*FLAGS, "status", "demo"} <= set(verbs)
    for verb in verbs:
        assert f"example: litestream-tui {verb}" in helped(capfd, verb, "-h")


def test_help_names_every_verb_and_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    text = helped(capfd, "-h")
    assert helped(capfd, "help") == text
    for verb in FLAGS:
        assert re.search(rf"^    {verb} ", text, re.MULTILINE), verb
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ReplicationError)
    }
    numbers = {int(number) for number in re.findall(r"\b\d+\b", text.partition("exit codes:")[2])}
    assert codes | {0, 130} <= numbers


@pytest.mark.server
def test_no_flag_of_litestream_is_missing() -> None:
    """What its own help advertises, but -v of restore, which it does not take either."""
    for verb, ours in FLAGS.items():
        done = subprocess.run(
            [peers.litestream03(), verb, "-h"], capture_output=True, text=True, timeout=30, check=False
        )
        theirs = set(re.findall(r"^\s+-([a-z-]+)", done.stdout, re.MULTILINE)) - {"v"}
        assert theirs <= ours, verb


def test_secrets_are_not_in_help(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "LITESTREAM_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary-of-the-environment")
    for verb in FLAGS:
        assert "canary" not in helped(capfd, verb, "-h")


def test_version() -> None:
    """Alone on its line, as Litestream prints it."""
    assert re.fullmatch(r"v\d+\.\d+\.\d+\S*\n", succeeds("version").out)


def test_python_m(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", "restore"], capture_output=True, text=True, timeout=30, check=False
    )
    refuses(Result(done.returncode, done.stdout, done.stderr), 2, "database path or replica URL required")


@pytest.mark.parametrize("module", ["replicate", "restore", "listings", "status", "version", "demo"])
def test_no_verb_loads_a_screen(module: str) -> None:
    """Textual takes a good part of a second, and headless machines may not have it."""
    code = f"import sys, tui.cli, tui.verbs.{module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & {"textual", "rich", "boto3", "sqlite3"}


def test_help_and_version_load_nothing_heavy() -> None:
    """They answer in a tenth of a second."""
    code = "import sys\nfrom tui.cli import main\nmain(['version'])\nprint(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & {"textual", "rich", "boto3", "numpy", "apsw", "yaml", "lz4"}


def test_an_interrupt_before_there_is_anything_to_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(version, "run", interrupted)
    result = printed(capfd, "version")
    assert refuses(result, 130, "interrupted") == "interrupted"
    assert run("version").code == 0

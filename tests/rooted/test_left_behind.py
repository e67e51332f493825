"""What a killed process left is swept by the next of its kind: only ours, only what nobody uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from replication.restore.kept import Keeping, fresh_path, sweep_beside
from replication.restore.scratch import scratch, sweep_temporary
from tests.cli.program import succeeds
from tests.foreign import Shell
from tests.interchange.program import PROGRAM

HELD = """
import sys, pathlib
from replication.restore.scratch import scratch
with scratch(pathlib.Path(sys.argv[1]), sys.argv[2]) as folder:
    (folder / "restored.db").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def held(folder: Path, prefix: str) -> tuple["subprocess.Popen[str]", Path]:
    """A process with a scratch folder, as a verification has one."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, folder, prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("verb", ["verify", "demo"])
def test_folders_of_killed_commands_go_with_the_next_start(database: Path, temporary: Path, verb: str) -> None:
    prefix = f"litestream-tui-{verb}-"
    url = f"file://{database.parent}/replica"
    succeeds("replicate", "-exec", "true", database, url)
    living, used = held(temporary, prefix)
    dead, left = held(temporary, prefix)
    with living, dead:
        dead.kill()
        dead.wait()
        foreign = [f"{prefix}of-somebody-else", f"{prefix}1234567", f"other-{prefix}12345678"]
        for name in foreign:
            (temporary / name).mkdir()
        (temporary / f"{prefix}12345678").write_text("no folder")
        (temporary / f"{prefix}abcdefgh").symlink_to(database.parent)
        environment = peers.clean_environment() | {"TMPDIR": str(temporary)}
        arguments = ("verify", url) if verb == "verify" else ("demo", "-no-screen")
        succeeds(*arguments, environment=environment)
        found = {item.name for item in temporary.iterdir()}
        assert found == {used.name, *foreign, f"{prefix}12345678", f"{prefix}abcdefgh"}
        assert (used / "restored.db").read_text() == "much"
        assert database.exists()
        assert not left.exists()
        living.kill()


def test_a_look_that_was_killed_is_swept_when_replication_starts(
    database: Path, temporary: Path, tmp_path: Path
) -> None:
    dead, left = held(temporary, "litestream-tui-look-")
    with dead:
        dead.kill()
    environment = peers.clean_environment() | {"TMPDIR": str(temporary)}
    assert left.exists()
    succeeds("replicate", "-exec", "true", database, f"file://{tmp_path}/replica", environment=environment)
    assert not left.exists()


def test_a_killed_restore_over_a_database_is_swept_when_replication_starts(database: Path, tmp_path: Path) -> None:
    left = [
        fresh_path(database),
        database.with_name(f".{database.name}.keeping"),
        database.with_name(f".{fresh_path(database).name}.restoring-0123456789abcdef"),
    ]
    for path in left:
        path.write_text("half")
    others = [database.with_name(f".{database.name}.replacement-of-mine"), database.with_name(".other.db.replacement")]
    for path in others:
        path.write_text("precious")
    succeeds("replicate", "-exec", "true", database, f"file://{tmp_path}/replica")
    assert [path for path in left if path.exists()] == []
    assert [path.read_text() for path in others] == ["precious"] * 2


def test_a_restore_over_a_database_that_lives_is_left_alone(database: Path) -> None:
    with Keeping(database):
        fresh_path(database).write_text("about to be written")
        sweep_beside(database)
        assert fresh_path(database).exists()
    sweep_beside(database)
    assert not fresh_path(database).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_another_users_leftovers_are_theirs(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = temporary / "litestream-tui-look-12345678"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    sweep_temporary("litestream-tui-look-")
    assert theirs.exists()


def test_what_is_exchanged_for_a_scratch_folder_stays(temporary: Path) -> None:
    with scratch(temporary, "litestream-tui-look-") as folder:
        folder.rename(temporary / "aside")
        folder.mkdir()
        (folder / "precious").touch()
    assert (folder / "precious").exists()


# -- no temporary folder ----------------------------------------------------------------------------------------------


NO_TEMPORARY = """
import os, sys, tempfile
def nowhere():
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp', '/app']")
tempfile.gettempdir = nowhere
sys.argv[0] = "litestream-tui"
from tui.cli import main
sys.exit(main())
"""


def nowhere(*arguments: str | Path, **more: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", NO_TEMPORARY, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=peers.clean_environment(),
        cwd=Path(__file__).parents[2],
    )


def test_without_a_temporary_folder_replication_runs(database: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/replica"
    done = nowhere("replicate", "-exec", "true", database, url)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    done = nowhere("restore", "-o", tmp_path / "restored.db", url)
    assert done.returncode == 0, done.stderr
    for arguments in (("verify", url), ("demo", "-no-screen")):
        done = nowhere(*arguments)
        assert done.returncode == 14, done.stderr
        assert "'/tmp', '/var/tmp', '/usr/tmp'" in done.stderr
        assert "Set TMPDIR" in done.stderr
        assert "Traceback" not in done.stderr


READ_ONLY = """
set -e
mount --bind /tmp /tmp
mount --bind "$1" "$1"
mount -o remount,ro,bind /tmp
mount --bind /var/tmp /var/tmp
mount -o remount,ro,bind /var/tmp
shift
cd /proc
exec "$@"
"""


def read_only(tmp_path: Path, *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command where nothing but `tmp_path` can be written to, in a mount name space of its own."""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", tmp_path, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=peers.clean_environment(),
    )


def test_a_read_only_system_replicates_and_says_what_a_verification_needs(database: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or read_only(tmp_path, "true").returncode != 0:
        pytest.skip("no mount name spaces here")
    assert read_only(tmp_path, "touch", "/tmp/litestream-tui-written").returncode != 0
    url = f"file://{tmp_path}/replica"
    done = read_only(tmp_path, PROGRAM, "replicate", "-exec", "true", database, url)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert read_only(tmp_path, PROGRAM, "restore", "-o", tmp_path / "restored.db", url).returncode == 0
    done = read_only(tmp_path, PROGRAM, "verify", url)
    assert done.returncode == 14, done.stderr
    assert "'/tmp', '/var/tmp'" in done.stderr
    assert "Set TMPDIR" in done.stderr
    done = read_only(tmp_path, "env", f"TMPDIR={tmp_path}", PROGRAM, "verify", url)
    assert done.returncode == 0, done.stderr

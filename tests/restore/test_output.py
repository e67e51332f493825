"""The output file: nothing is replaced, nothing is left behind."""

import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from replication.errors import LocalFileError, OutputExistsError
from replication.restore import output as output_module
from replication.restore.output import Output


def make(path: Path, mode: int | None = None) -> None:
    with Output(path) as output:
        os.write(output.descriptor, b"whole")
        output.sync(mode)
        output.put_in_place()


def test_put_in_place(tmp_path: Path) -> None:
    make(tmp_path / "a" / "b" / "out.db")
    assert (tmp_path / "a" / "b" / "out.db").read_bytes() == b"whole"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out.db"]
    assert (tmp_path / "a" / "b" / "out.db").stat().st_nlink == 1
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    make(tmp_path / "other", 0o644)
    assert (tmp_path / "other").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_what_is_there_is_refused_and_kept(tmp_path: Path, suffix: str) -> None:
    taken = tmp_path / f"out.db{suffix}"
    taken.write_text("precious")
    with pytest.raises(OutputExistsError, match=str(taken)):
        make(tmp_path / "out.db")
    assert [path.name for path in tmp_path.iterdir()] == [taken.name]
    assert taken.read_text() == "precious"


def test_a_dangling_link_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "out.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExistsError):
        make(tmp_path / "out.db")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["out.db", "out.db-wal"])
def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path, name: str) -> None:
    with Output(tmp_path / "out.db") as output:
        (tmp_path / name).write_text("precious")
        output.sync(None)
        with pytest.raises(OutputExistsError):
            output.put_in_place()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    make(tmp_path / "out.db")
    assert [path.name for path in tmp_path.iterdir()] == ["out.db"]


def test_failure_removes_what_was_made(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), Output(tmp_path / "a" / "b" / "out.db") as output:
        os.write(output.descriptor, b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_restore_left_is_removed_and_a_running_one_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from replication.restore.output import Output\n"
        "output = Output(pathlib.Path(sys.argv[1])).__enter__()\n"
        "print(output.temporary.name, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "out.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdin is not None
    name = process.stdout.readline().strip()
    assert name.startswith(".out.db.restoring-")
    with Output(tmp_path / "out.db"):
        assert (tmp_path / name).exists()
    process.kill()
    process.wait(timeout=30)
    process.stdin.close()
    process.stdout.close()
    assert (tmp_path / name).exists()
    (tmp_path / ".other.db.restoring-0000000000000000").touch()
    make(tmp_path / "out.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.db.restoring-0000000000000000", "out.db"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    make(tmp_path / ("x" * 250))
    make(tmp_path / ("y" * 255))
    assert len(list(tmp_path.iterdir())) == 2


def test_the_file_is_locked_while_it_is_made(tmp_path: Path) -> None:
    with Output(tmp_path / "out.db") as output, output.temporary.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalFileError, match="a file is where a folder should be"):
        make(tmp_path / "file" / "out.db")
    with pytest.raises(LocalFileError, match=r"/proc/out\.db"):
        make(Path("/proc/out.db"))


def test_what_appears_after_the_last_look_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_free = output_module.check_free

    def appears(path: Path) -> None:
        check_free(path)
        path.write_text("precious")

    with Output(tmp_path / "out.db") as output:
        output.sync(None)
        monkeypatch.setattr(output_module, "check_free", appears)
        with pytest.raises((OutputExistsError, LocalFileError)):
            output.put_in_place()
    assert [path.name for path in tmp_path.iterdir()] == ["out.db"]
    assert (tmp_path / "out.db").read_text() == "precious"

"""Paths at which no database may be, and nothing is restored to: whoever names one is told, and nothing is written."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from replication import reserved
from replication.config import load_config, reading
from replication.config.load import config_for
from replication.config.location import output_path
from replication.config.registering import registered
from replication.config.schema import Config
from replication.database.advice import status_of
from replication.errors import ConfigError, DatabaseError, UsageError

LATIN = os.fsdecode(b"caf\xe9.db")
NAMES = {
    "app.db-wal": "keeps beside the database app.db",
    "app.db-shm": "keeps beside the database app.db",
    "app.db-journal": "keeps beside the database app.db",
    ".app.db.keeping": "a restore keeps for a while",
    ".app.db.replacement": "a restore keeps for a while",
    ".app.db.restoring-0123456789abcdef": "a restore keeps for a while",
    ".app.db-litestream/x.db": "lies in the local folder",
    ".app.db-litestream/generations/x.db": "lies in the local folder",
    LATIN: "is not UTF-8",
}
WAYS: dict[str, Callable[[Path], object]] = {
    "replicate PATH URL": lambda path: config_for(path, ["file:///r"]),
    "restore -o": lambda path: output_path(str(path)),
    "register": lambda path: registered(Config(None, ()), str(path), "file:///r"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_is_taken_is_refused_in_words(name: str, way: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=NAMES[name]):
        WAYS[way](tmp_path / name)


@pytest.mark.parametrize("name", ["my-journal", "x-wal", "-wal", ".hidden.db", "generations/x.db", "a.db.keeping"])
@pytest.mark.parametrize("way", WAYS)
def test_others_may_be(name: str, way: str, tmp_path: Path) -> None:
    WAYS[way](tmp_path / name)


def test_a_database_may_end_so_as_long_as_there_is_none_of_the_rest(tmp_path: Path) -> None:
    assert reserved.problem_of(tmp_path / "my-journal") == ""
    (tmp_path / "my").touch()
    assert "beside the database my;" in reserved.problem_of(tmp_path / "my-journal")


def test_nothing_is_restored_into_a_replica_or_a_local_folder_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "replica" / "generations" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "litestream-tui.lock").touch()
    (tmp_path / "link").symlink_to(tmp_path / "meta")
    for name in ("replica/generations/x.db", "replica/generations/0123456789abcdef/new/x.db"):
        with pytest.raises(UsageError, match="among the generations of"):
            reserved.refuse_output(tmp_path / name)
    for name in ("meta/x.db", "meta/new/x.db", "link/x.db"):
        with pytest.raises(UsageError, match=r"lies in the local folder \S+/meta,"):
            reserved.refuse_output(tmp_path / name)
    # Beside a replica there is nothing of it.
    reserved.refuse_output(tmp_path / "replica" / "x.db")


def test_a_pipe_that_nobody_writes_to_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "litestream.yml"
    os.mkfifo(pipe)
    monkeypatch.setattr(reading, "READ_SECONDS_MAX", 0.05)
    with pytest.raises(ConfigError, match=r"a pipe or a terminal, and nobody wrote all of it within 0\.05 s"):
        load_config(pipe)
    # Nor is one that never ends.
    held = os.open(pipe, os.O_RDWR)
    os.write(held, b"dbs:\n")
    with pytest.raises(ConfigError, match="a pipe or a terminal"):
        load_config(pipe)
    os.close(held)


def test_a_configuration_may_come_through_a_pipe_in_pieces(tmp_path: Path) -> None:
    pipe, go_on = tmp_path / "litestream.yml", threading.Event()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w") as stream:
            for line in ("dbs:\n", "- path: /a.db\n"):
                stream.write(line)
                stream.flush()
                go_on.wait(0.02)

    writing = threading.Thread(target=write)
    writing.start()
    assert [str(item.path) for item in load_config(pipe).databases] == ["/a.db"]
    writing.join()


def test_one_that_is_found_in_a_folder_is_told_as_well(tmp_path: Path) -> None:
    (tmp_path / LATIN).write_bytes(b"SQLite format 3\0")
    with pytest.raises(DatabaseError, match="is not UTF-8, and SQLite opens no file of such a name"):
        status_of(tmp_path / LATIN)

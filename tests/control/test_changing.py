"""What is replicated, changed by who asks: reload, register, unregister, in the engine's process and over a socket."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.values import Reloaded
from replication.errors import ConfigError, StorageError, UsageError
from tests.control.serving import Served, entry, served
from tests.engine.running import client_of, restored, until
from tests.foreign import ForeignConnection, Shell
from tests.monitoring.scraped import ask as scrape


@pytest.fixture(params=("here", "socket"))
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, request.param) as found:
        yield found


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another database, which nobody has configured."""
    path = tmp_path / "other.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    return path


def register(at: Served, path: Path, replica: Path) -> str:
    return str(carry_out(at.control, ask.Register(database=str(path), replica_url=f"file://{replica}")))


def unregister(at: Served, path: Path | str, timeout: float = 30.0) -> str:
    return str(carry_out(at.control, ask.Unregister(database=str(path), timeout=timeout)))


def paths(at: Served) -> list[str]:
    return [item.path for item in at.control.status().databases]


def messages(at: Served) -> list[str]:
    return [event.message for event in at.engine.events_since(0)]


def has_all(at: Served, path: Path) -> None:
    """Wait until the replicas of a database have all of it."""
    carry_out(at.control, ask.Sync(database=str(path), wait=True))


# -- reload -----------------------------------------------------------------------------------------------------------


def test_a_reload_says_what_changed_and_touches_nothing_else(at: Served, other: Path, tmp_path: Path) -> None:
    at.rewrite(entry(other, tmp_path / "of-other"))
    assert carry_out(at.control, ask.Reload()) == Reloaded((str(other),), (), ())
    has_all(at, other)
    assert paths(at) == [at.name, str(other)]
    at.rewrite()
    assert carry_out(at.control, ask.Reload()).removed == (str(other),)
    assert carry_out(at.control, ask.Reload()).words == "nothing changed"
    assert messages(at).count("generation begins") == 2


def test_a_file_with_an_error_changes_nothing_and_each_error_is_told(at: Served) -> None:
    at.file.write_text("dbs:\n- pth: /x\n- path: /y\n  replicas: [{type: s4}]\n")
    with pytest.raises(ConfigError) as refused:
        carry_out(at.control, ask.Reload())
    assert ["pth" in line or "s4" in line for line in str(refused.value).splitlines()] == [True, True]
    assert paths(at) == [at.name]
    assert messages(at).count("the configuration has an error, and nothing is changed") == 2
    at.rewrite()
    assert carry_out(at.control, ask.Reload()).words == "nothing changed"


def test_what_only_a_start_heeds_is_told(at: Served) -> None:
    at.rewrite(top="socket: {enabled: false}\nlogging: {level: debug}\nexec: x\n")
    notes = carry_out(at.control, ask.Reload()).notes
    assert [note.split()[0] for note in notes] == ["exec", "logging", "socket"]


def test_addr_and_heartbeat_are_heeded_at_once(at: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    at.rewrite(top=f"addr: 127.0.0.1:{port}\nheartbeat-url: http://127.0.0.1:1/x\n")
    assert carry_out(at.control, ask.Reload()).notes == ()
    assert scrape(port, "/metrics").status == 200
    assert [thread.name for thread in threading.enumerate()].count("heartbeat") == 1
    at.rewrite()
    carry_out(at.control, ask.Reload())
    with pytest.raises(ConnectionRefusedError):
        scrape(port, "/metrics")


# -- register and unregister ------------------------------------------------------------------------------------------


def test_a_registered_database_is_replicated_and_told_from_those_of_the_file(
    at: Served, other: Path, tmp_path: Path
) -> None:
    assert register(at, other, tmp_path / "of-other") == "registered"
    assert register(at, other, tmp_path / "of-other") == "already_registered"
    has_all(at, other)
    assert restored(client_of(tmp_path / "of-other"), tmp_path / "out.db")
    assert at.control.info().registered == (str(other),)
    assert carry_out(at.control, ask.Plan(database=str(other))).words
    assert any("the next start does not know it" in message for message in messages(at))


def test_one_that_is_not_there_yet_is_waited_for(at: Served, tmp_path: Path) -> None:
    late = tmp_path / "late.db"
    register(at, late, tmp_path / "of-late")
    until(lambda: [item.state for item in at.control.status().databases] == ["ok", "waiting"])
    assert unregister(at, late) == "unregistered"
    register(at, late, tmp_path / "of-late")
    Shell(late).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    until(lambda: [item.state for item in at.control.status().databases] == ["ok", "ok"])


def test_nothing_is_replicated_to_two_places_or_two_to_one(at: Served, other: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(at.path)
    (tmp_path / "name.db").hardlink_to(other)
    (tmp_path / "folder.db").mkdir()
    register(at, other, tmp_path / "of-other")
    for path, replica, words in (
        (tmp_path / "name.db", tmp_path / "elsewhere", "is the same file"),
        (tmp_path / "folder.db", tmp_path / "elsewhere", "is a folder, and no plain file"),
        (Path("/dev/null"), tmp_path / "elsewhere", "is a device, and no plain file"),
    ):
        with pytest.raises(UsageError, match=words):
            register(at, path, replica)
    unregister(at, other)
    for path, replica, words in (
        (at.path, tmp_path / "elsewhere", "is replicated already"),
        (other, at.replicas[0], "two histories in one place"),
        (link, tmp_path / "elsewhere", "is the same file"),
        (other, tmp_path / ".other.db-litestream" / "x", "would lie in the local folder"),
        (other, tmp_path / ".app.db-litestream" / "x", "would lie in the local folder"),
        (tmp_path / "*.db", tmp_path / "elsewhere", "patterns are not expanded"),
    ):
        with pytest.raises(UsageError, match=words):
            register(at, path, replica)
    for text in ("relative.db", "/a/../b.db", "/a/", "file:///a.db", "", "/a\0b"):
        with pytest.raises(UsageError):
            carry_out(at.control, ask.Register(database=text, replica_url="file:///x"))
    for url in ("", "/x", "s4://x", "s3://user:hunter2@bucket/x", "file://host/x"):
        with pytest.raises(ConfigError) as refused:
            carry_out(at.control, ask.Register(database=str(other), replica_url=url))
        assert "hunter2" not in str(refused.value)
    assert paths(at) == [at.name]
    assert not (tmp_path / "elsewhere").exists()


def test_one_that_is_unregistered_has_all_in_its_replica(at: Served, other: Path, tmp_path: Path) -> None:
    register(at, other, tmp_path / "of-other")
    with ForeignConnection(other) as application:
        application.execute("INSERT INTO t VALUES(2)")
        assert unregister(at, other) == "unregistered"
        assert restored(client_of(tmp_path / "of-other"), tmp_path / "out.db") == application.sha256()
    assert paths(at) == [at.name]
    assert unregister(at, other) == "already_unregistered"
    assert unregister(at, "/nowhere/x.db") == "already_unregistered"


def test_one_whose_replica_lacks_a_commit_stays(at: Served, other: Path, tmp_path: Path) -> None:
    replica = tmp_path / "of-other"
    register(at, other, replica)
    has_all(at, other)
    for folder in replica.glob("generations/*"):
        folder.joinpath("wal").write_text("no folder")
    Shell(other).run("INSERT INTO t VALUES(2)")
    with pytest.raises(StorageError):
        unregister(at, other, 5.0)
    assert paths(at) == [at.name, str(other)]
    # Who knows that may let go of it first.
    at.control.pause(str(other), "somebody", 60.0)
    assert unregister(at, other) == "unregistered"


def test_a_reload_brings_back_what_the_file_names_and_leaves_the_rest(at: Served, other: Path, tmp_path: Path) -> None:
    register(at, other, tmp_path / "of-other")
    assert unregister(at, at.name) == "unregistered"
    assert paths(at) == [str(other)]
    with pytest.raises(UsageError, match="not found in config"):
        carry_out(at.control, ask.Sync(database=at.name))
    assert carry_out(at.control, ask.Reload()).added == (at.name,)
    assert sorted(paths(at)) == sorted([at.name, str(other)])
    # One that the file names now is as it says there.
    at.rewrite(entry(other, tmp_path / "of-other", tmp_path / "second"))
    assert carry_out(at.control, ask.Reload()).changed == (str(other),)
    assert at.control.info().registered == ()
    at.rewrite()
    assert carry_out(at.control, ask.Reload()).removed == (str(other),)


def test_one_of_the_file_that_comes_back_has_its_own_settings(at: Served) -> None:
    before = at.engine.config.databases
    unregister(at, at.name)
    assert register(at, at.path, at.replicas[0]) == "registered"
    # A retention of the default would remove what the file wants to be kept.
    assert at.engine.config.databases == before
    assert at.control.info().registered == ()


def test_a_registered_one_whose_place_the_file_gives_to_another_ends(at: Served, other: Path, tmp_path: Path) -> None:
    register(at, other, tmp_path / "of-other")
    third = tmp_path / "third.db"
    Shell(third).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    at.rewrite(entry(third, tmp_path / "of-other"))
    reloaded = carry_out(at.control, ask.Reload())
    assert (reloaded.added, reloaded.removed) == ((str(third),), (str(other),))
    assert any("it was registered, and is replicated no longer" in message for message in messages(at))


def test_what_the_top_of_the_file_says_for_all_is_for_registered_ones_too(at: Served, other: Path) -> None:
    at.rewrite(top="access-key-id: someone\nsecret-access-key: hidden9\nsnapshot: {retention: 20m, interval: 7m}\n")
    carry_out(at.control, ask.Reload())
    url = "s3://bucket.localhost:1/x"
    carry_out(at.control, ask.Register(database=str(other), replica_url=url))
    replica = at.engine.config.databases[1].replicas[0]
    assert getattr(replica.location, "secret_access_key", None) == "hidden9"
    assert (replica.retention, replica.snapshot_interval, replica.retention_check_interval) == (1200.0, 420.0, 1200.0)
    assert "hidden9" not in repr(at.engine.config)


def test_many_at_once_are_each_registered_once(at: Served, tmp_path: Path) -> None:
    names = [tmp_path / f"many-{number}.db" for number in range(6)]
    for name in names:
        Shell(name).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    said: list[str] = []

    def ask_for(name: Path) -> None:
        try:
            said.append(register(at, name, name.with_suffix(".replica")))
        except UsageError:
            said.append("refused")

    threads = [threading.Thread(target=ask_for, args=(name,)) for name in (*names, *names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("registered") == len(names)
    assert sorted(paths(at)) == sorted([at.name, *map(str, names)])

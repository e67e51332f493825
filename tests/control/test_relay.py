"""The control interface over a relay: what it costs a line, how it ends, and what is said when something is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import peers
from replication.control import far, relay
from replication.control.client import Client
from replication.control.connection import Process
from replication.control.far import FarClient, Route
from replication.control.frames import MAGIC
from replication.control.local import Local
from replication.control.server import Server
from replication.errors import EngineError, NoEngineError, NotAllowedError
from replication.events import Event
from replication.status import DatabaseStatus
from tests.control.relayed import InThread, explain, far_client, program_route
from tests.control.serving import VERSION, Served, served
from tests.engine.running import config_of, in_step, running, until
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM

DATABASES = 40
ROUNDS = 2
LINE_BYTES_MAX = 2000
"""What a look each second may take, of 40 databases that were all written to."""
_WRITER = """
import sqlite3, sys
connections = [sqlite3.connect(path, isolation_level=None) for path in sys.argv[1:]]
for connection in connections:
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("CREATE TABLE t(a)")
print(flush=True)
for line in sys.stdin:
    for connection in connections[:int(line)]:
        connection.execute("INSERT INTO t VALUES(randomblob(300))")
    print(flush=True)
"""


@contextmanager
def many(folder: Path) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """A socket of an engine with DATABASES databases, and who writes to as many as it is told in a line."""
    paths = [folder / f"customer-{number}.db" for number in range(DATABASES)]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WRITER, *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=peers.die_with_parent,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        configs = [config_of(path, folder / "replicas" / path.stem) for path in paths]
        config = replace(configs[0], databases=tuple(item.databases[0] for item in configs))
        with running(config) as engine:
            until(lambda: all(_has_all(item) for item in engine.status().databases))
            local = Local(engine, config, VERSION)
            server = Server(local, folder / "s")
            server.start()
            try:
                yield server.path, writer
            finally:
                server.close()
                local.close()
        assert writer.stdin is not None
        writer.stdin.close()


@pytest.mark.long
def test_a_line_carries_forty_databases_for_two_kilobytes_a_second(tmp_path: Path) -> None:
    with many(tmp_path) as (path, writer), closing(Client(path)) as here, closing(far_client(path)) as there:
        assert writer.stdin is not None
        assert writer.stdout is not None
        # At its own pace: what a look costs, and not how often one fits in.
        status, events = there.look(0)
        assert len(status.databases) == DATABASES
        assert there.connection is not None
        first = sum(there.connection.sizes)
        for busy, most in ((DATABASES, LINE_BYTES_MAX), (4, 700), (0, 300)):
            before = sum(there.connection.sizes)
            for _ in range(ROUNDS):
                writer.stdin.write(f"{busy}\n")
                writer.stdin.flush()
                writer.stdout.readline()

                def arrived() -> bool:
                    nonlocal status
                    status = here.status()
                    return all(map(_has_all, status.databases))

                until(arrived)
                want = {item.path: item.position for item in status.databases}
                found, new = there.look(events[-1].number)
                events += new
                if {item.path: item.position for item in found.databases} != want:
                    # It was on its way before.
                    _, new = there.look(events[-1].number)
                    events += new
            taken = (sum(there.connection.sizes) - before) / ROUNDS
            print(f"{busy} of {DATABASES} busy: {taken:.0f} bytes a look")
            assert taken <= most, busy
        # The first look, with all that there is to say.
        print(f"the first look: {first} bytes")
        assert first <= 4 * LINE_BYTES_MAX


def _has_all(database: DatabaseStatus) -> bool:
    return database.position is not None and database.position == database.replicas[0].position


def test_looks_wait_until_the_line_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Slow enough for the first look to fill it.
    monkeypatch.setattr(relay, "LINE_BYTES_A_SECOND", 0.1)
    with served(tmp_path) as at, closing(far_client(at.server.path, wait=0.05)) as client:
        status, events = client.look(0)
        at.engine.events.emit("info", "more news")
        again, new = client.look(events[-1].number)
        # It lives; and what is new comes when there is room.
        assert (again.databases, new) == (status.databases, [])
        # What somebody does is shown at once.
        client.sync_now(at.name)
        while not new:
            _, new = client.look(events[-1].number)
        assert "more news" in [event.message for event in new]


def test_the_program_ends_when_its_input_does(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        client = FarClient(Route("web1", program_route("-socket", at.server.path), explain))
        status, _ = client.look(0)
        assert [item.path for item in status.databases] == [at.name]
        connection = client.connection
        assert connection is not None
        connection.close()
        assert connection._program.wait(DEADLINE_SECONDS) == 0
        client.close()


def test_it_finds_an_engine_that_is_back(tmp_path: Path) -> None:
    with served(tmp_path) as at, closing(far_client(at.server.path, wait=0.2)) as client:
        _, before = client.look(0)
        at.server.close()
        until(lambda: not _looks(client, before[-1].number))
        with pytest.raises(NoEngineError, match="no engine listens"):
            client.look(before[-1].number)
        connection = client.connection
        again = Server(at.local, at.server.path)
        again.start()
        try:
            until(lambda: _looks(client, before[-1].number))
            # Over the same connection.
            assert client.connection is connection
        finally:
            again.close()


def test_events_of_another_engine_are_all_news(tmp_path: Path) -> None:
    with served(tmp_path) as at, closing(far_client(at.server.path, wait=0.2)) as client:
        _, before = client.look(0)
        at.local._jobs.engine = "another"
        at.local._info = replace(at.local._info, engine="another")
        new: list[Event] = []
        while not new:
            _, new = client.look(before[-1].number)
        assert [event.message for event in new] == [event.message for event in before]
        assert new[0].number > before[-1].number


def test_an_engine_that_hangs_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LOOK_SECONDS_MAX", 0.1)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "s"))
        deaf.listen(8)
        with closing(far_client(tmp_path / "s", wait=0.1)) as client:
            for _ in range(2):
                with pytest.raises(EngineError, match="the engine there does not answer; it may hang"):
                    client.look(0)


def test_a_host_that_hangs_costs_nobody_more_than_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "MARGIN_SECONDS", 0.05)
    monkeypatch.setattr(far, "SILENT_SECONDS_MAX", 0.3)
    words = f"printf '{MAGIC.decode().strip()}\\n'; "
    ends, hangs = "cat >/dev/null; exit 0", "exec sleep 3600"
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(["sh", "-c", words + (hangs if started else ends)]))
        return started[-1]

    with closing(FarClient(Route("web1", start, explain), wait=0.05)) as client:
        with pytest.raises(NoEngineError, match="nothing comes from there"):
            client.look(0)
        # Told already: nobody waits for it again.
        with pytest.raises(NoEngineError, match="web1 does not answer, so nothing was done"):
            client.info()
        # Given up, and another one is started.
        with pytest.raises(NoEngineError, match="nothing comes from there"):
            client.look(0)
        with pytest.raises(NoEngineError, match="web1 is not connected"):
            client.info()
        with pytest.raises(NoEngineError, match="nothing comes from there"):
            client.look(0)
        assert len(started) == 2
        assert started[0].wait(DEADLINE_SECONDS) == 0
        assert client.connection is not None
    # What still waits is not left behind.
    assert started[1].wait(DEADLINE_SECONDS) == -signal.SIGKILL


def test_a_connection_that_ends_is_made_again_more_and_more_rarely() -> None:
    clock = [1000.0]
    started: list[float] = []

    def start() -> Process:
        started.append(clock[0])
        return Process(["sh", "-c", "echo no such thing >&2; exit 3"])

    with closing(FarClient(Route("web1", start, explain), clock=lambda: clock[0])) as client:
        for waits in (0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            assert client._next_try - clock[0] <= waits
            clock[0] = max(clock[0], client._next_try)
            with pytest.raises(NoEngineError, match="it ended with 3: no such thing"):
                client.look(0)
        assert [later - earlier for earlier, later in pairwise(started)] == [
            *(0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
        ]
        # A key of the user's does not wait for that.
        client.hurry()
        client._hurry.set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["litestream-tui-that-is-not-there"], "cannot be run: No such file or directory"),
        (["sh", "-c", "echo Welcome; yes | head -c 100000"], "a login says more than 64 KiB"),
        (["sh", "-c", f"printf '{MAGIC.decode().strip()}\\n'; yes garbage | head -c 100000"], "not from a relay"),
    ],
)
def test_what_is_no_relay_is_said_to_be_none(words: list[str], said: str) -> None:
    with (
        closing(FarClient(Route("web1", lambda: Process(words), explain))) as client,
        pytest.raises(NoEngineError, match=said),
    ):
        client.look(0)


def test_what_a_login_says_first_is_passed_over(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        words = f"echo Welcome to web1; exec {PROGRAM} relay -socket {at.server.path}"
        with closing(FarClient(Route("web1", lambda: Process(["sh", "-c", words]), explain))) as client:
            assert client.look(0)[0].databases[0].path == at.name


@pytest.mark.parametrize("there", [True, False])
def test_read_only_no_command_is_carried(there: bool, tmp_path: Path) -> None:
    """Whoever says so: the screen, or whoever allows the relay to be called."""
    with served(tmp_path) as at:
        route = Route("web1", lambda: InThread(at.server.path, read_only=there), explain)
        with closing(FarClient(route, read_only=not there)) as client:
            client.look(0)
            for command in (client.snapshot, client.pause, client.resume):
                with pytest.raises(NotAllowedError, match="may only read"):
                    command(at.name)
        assert at.control.status().databases[0].state == "ok"


def test_many_questions_at_once_are_all_answered(tmp_path: Path) -> None:
    with served(tmp_path) as at, closing(far_client(at.server.path)) as client:
        client.look(0)
        answers: list[str] = []
        asking = [threading.Thread(target=lambda: answers.append(client.info().engine)) for _ in range(20)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(DEADLINE_SECONDS)
        assert len(answers) == 20
        assert len(set(answers)) == 1


def test_a_stranger_on_stdin_ends_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "relay", "-socket", tmp_path / "s"],
        input=b"GET / HTTP/1.1\r\n\r\n" * 5000,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 2
    assert b"none of a screen's requests" in done.stderr


def test_an_engine_that_dies_with_a_line_cut_leaves_no_relay(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        client = FarClient(Route("web1", program_route("-socket", at.server.path), explain))
        client.look(0)
        assert client.connection is not None
        process = client.connection._program
        assert isinstance(process, Process)
        os.kill(process._process.pid, signal.SIGKILL)
        until(lambda: _looks(client, 0))
        client.close()


def _looks(client: FarClient, number: int) -> bool:
    try:
        client.look(number)
    except EngineError:
        return False
    return True


def test_a_look_is_what_the_status_says(tmp_path: Path) -> None:
    with served(tmp_path) as at, closing(far_client(at.server.path)) as client:
        looked = client.look(0)[0]
        for number in range(3):
            Shell(at.path).run(f"INSERT INTO t VALUES({number})")
            until(lambda: in_step(at.engine))
            looked = client.look(0)[0]
        until(lambda: _same(at, client))
        assert looked.databases[0].replicas[0].uploads


def _same(at: Served, client: FarClient) -> bool:
    """But for times, of which milliseconds are told, and what was counted since the start."""
    looked = client.look(0)[0].databases[0]
    known = at.engine.status().databases[0]
    cut = json.loads(json.dumps(known.replicas[0].last_upload), parse_float=lambda text: round(float(text), 3))
    return (looked.position, looked.replicas[0].position, looked.state, looked.replicas[0].last_upload) == (
        *(known.position, known.replicas[0].position, known.state, cut),
    )

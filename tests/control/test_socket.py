"""The socket: who reaches it, what is in its place, and clients that do not behave. The engine does not notice any."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from replication.config import Config
from replication.config.socket_section import SOCKET_PATH_BYTES_MAX
from replication.control import requests as ask
from replication.control import server as server_module
from replication.control.client import Client
from replication.control.commands import carry_out
from replication.control.listener import Listener, TakenError
from replication.control.peer import Peer
from replication.control.place import default_path
from replication.control.routes import Asked, answer
from replication.control.server import CLIENTS_MAX, REQUEST_BYTES_MAX, Server
from replication.errors import EngineError, LocalFileError, NoEngineError, NotAllowedError, UsageError
from tests.control.serving import Served, served
from tests.engine.running import in_step, only, until
from tests.foreign import Shell

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
NOBODY = 65534


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def asked(path: Path) -> int:
    """The process that answers there, asked by a client of its own."""
    with closing(Client(path)) as client:
        return client.info().pid


def raw(at: Served, data: bytes, end: bool = True) -> bytes:
    """What is answered to these bytes, up to the end of the connection."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(20.0)
        connected.connect(str(at.server.path))
        connected.sendall(data)
        if end:
            connected.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connected.recv(65536):
            answer += piece
        return answer


def goes_on(at: Served) -> None:
    """The engine answers, and replicates what is committed."""
    assert at.control.info().pid == os.getpid()
    before = only(at.engine).position
    Shell(at.path).run("INSERT INTO t VALUES(3)")
    until(lambda: in_step(at.engine) and only(at.engine).position != before)


def places(at: Served) -> int:
    """How many connections are served now."""
    return len(at.server._clients)


# -- where it is ----------------------------------------------------------------------------------------------------


def test_a_folder_whose_path_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("l" * 100)
    long.mkdir()
    config = Config(Path("/etc/litestream.yml"), ())
    own = f"litestream-tui-{NOBODY}/etc-litestream.yml.sock"
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert default_path(config, {}) == Path("/tmp") / own
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert (
        default_path(config, {"XDG_RUNTIME_DIR": str(long), "RUNTIME_DIRECTORY": str(long)}) == Path("/var/tmp") / own
    )
    assert default_path(config, {"XDG_RUNTIME_DIR": "/run/user/1", "RUNTIME_DIRECTORY": str(long)}) == Path(
        "/run/user/1/litestream-tui/etc-litestream.yml.sock"
    )
    # The longest name fits there.
    deep = Config(Path("/") / "/".join(["d" * 50] * 20) / ("n" * 200), ())
    assert len(os.fsencode(default_path(deep, {}))) <= SOCKET_PATH_BYTES_MAX


def test_a_path_that_no_socket_may_have_is_told(tmp_path: Path) -> None:
    path = tmp_path / ("l" * 100) / "s"
    with pytest.raises(LocalFileError, match="longer than the 107 bytes"):
        Listener(path)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(NoEngineError, match="longer than the 107 bytes"):
        asked(path)


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/v1/info HTTP/1.1\r\nHost: x\r\n\r\nPOST /v1/stop"), ("GET x", "/v1/info"), ("GET", "/v1/\u2028info")],
)
def test_what_is_no_line_of_http_is_not_sent(at: Served, method: str, target: str) -> None:
    """A relay passes on what a stranger asks: no second request hides in it, and no defect of ours is reported."""
    with closing(Client(at.server.path)) as client, pytest.raises(UsageError, match="is no request"):
        client.exchange(method, target, None, 5.0, True)


# -- the file -------------------------------------------------------------------------------------------------------


def test_it_is_for_its_owner_alone_and_goes_with_the_engine(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        found = at.server.path.lstat()
        assert (stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode)) == (True, 0o600)
        path = at.server.path
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(path.name)] == []


def test_the_permissions_are_those_asked_for(tmp_path: Path) -> None:
    with closing(Listener(tmp_path / "s", 0o660)) as listener:
        assert stat.S_IMODE(listener.path.lstat().st_mode) == 0o660


def test_what_an_ended_engine_left_is_replaced(tmp_path: Path) -> None:
    code = "import os, sys; from replication.control.listener import Listener; from pathlib import Path;"
    code += "Listener(Path(sys.argv[1])); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "s"], check=True)
    assert (tmp_path / "s").exists()
    with pytest.raises(NoEngineError, match="the one that did has ended"):
        asked(tmp_path / "s")
    with closing(Listener(tmp_path / "s")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_that_of_an_engine_that_lives_is_not(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        with pytest.raises(TakenError, match="another engine listens"):
            Listener(at.server.path)
        assert at.control.info().pid == os.getpid()


def test_that_of_another_program_that_lives_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(tmp_path / "s"))
        foreign.listen()
        with pytest.raises(TakenError, match="another program listens"):
            Listener(tmp_path / "s")
        assert (tmp_path / "s").is_socket()


@pytest.mark.parametrize("what", ["file", "folder", "link", "pipe"])
def test_what_is_no_socket_is_never_replaced(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    (tmp_path / "target").write_text("x")
    match what:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("target")
        case _:
            os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(LocalFileError, match="left alone"):
        Listener(path)
    assert path.lstat() == before
    with pytest.raises(NotAllowedError, match="is no socket"):
        asked(path)


@ROOT_ONLY
def test_the_socket_of_another_user_is_never_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(tmp_path / "s"))
    os.chown(tmp_path / "s", NOBODY, NOBODY)
    with pytest.raises(LocalFileError, match=f"a socket of user {NOBODY}, which is left alone"):
        Listener(tmp_path / "s")
    assert (tmp_path / "s").is_socket()


def test_a_folder_where_everybody_may_remove_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(LocalFileError, match="everybody may remove"):
        Listener(tmp_path / "open" / "s")


def test_a_path_that_no_socket_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="longer than the 107 bytes"):
        Listener(tmp_path / ("x" * 120))


# -- who --------------------------------------------------------------------------------------------------------------


def as_nobody(path: Path, code: str) -> str:
    """What a program of another user prints, which has a connection to the socket as `s`."""
    program = f"import os, socket, sys; os.setgid({NOBODY}); os.setuid({NOBODY}); s = socket.socket(socket.AF_UNIX)\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program + code, str(path)], capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


@pytest.fixture
def reachable(at: Served) -> Served:
    """All folders on the way can be passed."""
    for folder in at.server.path.parents:
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    return at


@ROOT_ONLY
def test_another_user_cannot_connect(reachable: Served) -> None:
    assert "PermissionError" in as_nobody(reachable.server.path, "s.connect(sys.argv[1])")


@ROOT_ONLY
def test_another_user_whom_the_permissions_let_in_writes_and_sees_nothing(reachable: Served) -> None:
    at = reachable
    at.server.path.chmod(0o666)
    bodies = {
        "restore": {"do": "restore", "database": at.name, "output": "/tmp/x"},
        "over": {"do": "restore-over", "database": at.name},
        "look": {"do": "look", "database": at.name},
        "pause": {"do": "pause", "database": at.name, "holder": "x"},
    }
    code = "s.connect(sys.argv[1])\n"
    code += "def a(m, t, b=b''):\n s.sendall(b'%s %s HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n' % "
    code += "(m, t, len(b)) + b)\n return s.recv(65536).split()[1].decode()\n"
    code += "print(a(b'GET', b'/v1/status'), a(b'POST', b'/v1/stop', b'{}'))\n"
    code += "".join(f"print(a(b'POST', b'/v1/jobs', {json.dumps(body).encode()!r}))\n" for body in bodies.values())
    said = as_nobody(at.server.path, code)
    assert said.split() == ["200", "403", "403", "403", "403", "403"]
    assert at.control.jobs() == ()


def test_what_is_for_the_owner_is_for_nobody_else(at: Served) -> None:
    for body in (
        {"do": "restore", "database": at.name, "output": "/x"},
        {"do": "restore-over", "database": at.name},
        {"do": "look", "database": at.name},
    ):
        answered = answer(at.local, Asked("POST", "/v1/jobs", json.dumps(body).encode(), owner=False))
        assert (answered.status, "for the user who runs the engine" in answered.body) == (403, True)
    assert answer(at.local, Asked("POST", "/v1/stop", owner=False)).status == 403
    assert answer(at.local, Asked("GET", "/v1/status", owner=False)).status == 200
    assert at.control.jobs() == ()


def test_a_misspelt_field_of_a_command_is_refused(at: Served) -> None:
    # Passed over, it would restore the latest commit where another was meant.
    body = {"do": "plan", "database": at.name, "timestmap": "2026-01-01T00:00:00Z"}
    answered = answer(at.local, Asked("POST", "/v1/jobs", json.dumps(body).encode()))
    assert (answered.status, "knows nothing of" in answered.body) == (400, True)
    assert at.control.jobs() == ()


@ROOT_ONLY
def test_a_strangers_engine_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as at:
        # Whoever asks is another user, who is not root.
        monkeypatch.setattr("replication.control.peer.os.geteuid", lambda: NOBODY)
        monkeypatch.setattr(Peer, "of", classmethod(lambda cls, connected: cls(1, 12345)))
        with pytest.raises(NotAllowedError, match="is user 12345, neither you nor root, and is not believed"):
            asked(at.server.path)


def test_a_client_that_may_only_read_gets_no_command(at: Served) -> None:
    with closing(Client(at.server.path, read_only=True)) as reader:
        assert reader.status().databases[0].path == at.name
        carry_out(reader, ask.Plan(database=at.name))
        for request in (ask.Sync(), ask.WriteSnapshot(database=at.name), ask.Restore(database=at.name, output="/x")):
            with pytest.raises(NotAllowedError):
                reader.begin(request)
    # Nor does one whose own program would let it.
    for path, body in (
        ("/v1/jobs", {"do": "sync"}),
        ("/v1/jobs", {"do": "restore", "database": at.name, "output": "/tmp/x"}),
        ("/v1/stop", {}),
        ("/v1/resume", {"database": at.name, "holder": "x"}),
        ("/v1/renew", {"database": at.name, "holder": "x", "lease_seconds": 1.0}),
        ("/stop", {"path": at.name}),
        ("/sync", {"path": at.name}),
    ):
        text = json.dumps(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nLitestream-TUI-Read-Only: yes\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        assert raw(at, (head + text).encode()).startswith(b"HTTP/1.1 403 "), path
    assert [job.do for job in at.control.jobs()] == ["plan"]


# -- clients that do not behave ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET /v1/info HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01", b""),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"PUT /v1/info HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"DELETE /list HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{", b"400"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", b"400"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * (128 << 10), b"413"),
        (b"GET /" + b"x" * (256 << 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 50000 + b"\r\n", b"431"),
        (b"GET /v1/events?after=x HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /v1/events?wait=nan HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /v1/status?" + b"a=b&" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"", b""),
        (b"GET /v1/in", b""),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b""),
    ],
)
def test_bad_requests_are_answered_or_let_go_of(at: Served, data: bytes, status: bytes) -> None:
    try:
        answer = raw(at, data)
    except (BrokenPipeError, ConnectionResetError):
        # It was answered while more was sent.
        answer = b"HTTP/1.1 " + status
    assert answer.split(b" ")[1:2] == ([status] if status else answer.split(b" ")[1:2])
    assert status or not answer or answer.startswith(b"HTTP/1.1 4")
    assert at.control.info().pid == os.getpid()
    until(lambda: places(at) <= 1)


def test_a_hundred_clients_at_once_are_all_answered(at: Served) -> None:
    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(asked, [at.server.path] * 200)) == {os.getpid()}
    goes_on(at)


def test_more_that_say_nothing_than_there_are_places_keep_nobody_away(at: Served) -> None:
    with ExitStack() as stack:
        for number in range(3 * CLIENTS_MAX):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(at.server.path))
            if number % 2:
                silent.sendall(b"GET /v1/in")
        began = time.monotonic()
        assert asked(at.server.path) == os.getpid()
        # Their own time is longer by far.
        assert time.monotonic() - began < server_module.REQUEST_SECONDS_MAX / 2
        assert places(at) <= CLIENTS_MAX + 1
        goes_on(at)
    until(lambda: places(at) <= 1)


def test_a_client_that_stops_reading_is_let_go_of(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS_MAX", 0.5)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(at.server.path))
        deaf.setblocking(False)
        # Ever more answers, of which none is taken.
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while True:
                deaf.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: places(at) == 0)
    goes_on(at)


def test_a_request_that_never_ends_is_let_go_of(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS_MAX", 0.3)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(at.server.path))
        # A byte again and again does not make it longer.
        with suppress(BrokenPipeError, ConnectionResetError):
            for byte in b"GET /v1/info HTTP/1.1\r\n" + b"x" * 100_000:
                slow.sendall(bytes([byte]))
                time.sleep(0.001)
            pytest.fail("it was read to its end")
    until(lambda: places(at) == 0)


def test_those_who_wait_for_news_leave_places_for_others(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    last = at.engine.events_since(0)[-1].number
    question = f"GET /v1/events?wait=30&after={last} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(CLIENTS_MAX + 20):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.connect(str(at.server.path))
            waiting.sendall(question)
        assert asked(at.server.path) == os.getpid()
        at.engine.events.emit("info", "news")
    until(lambda: places(at) <= 1)


def test_several_requests_on_one_connection(at: Served) -> None:
    one = b"GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n"
    assert raw(at, one * 3).count(b"HTTP/1.1 200") == 3
    assert REQUEST_BYTES_MAX >= 1024


# -- an engine that is gone, and another one ------------------------------------------------------------------------


def test_a_client_is_told_in_words_of_an_engine_that_has_ended_and_finds_the_next(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        client = Client(at.server.path)
        seen = client.events_since(0)[-1].number
        at.server.close()
        with pytest.raises(NoEngineError, match="no engine listens"):
            client.status()
        with pytest.raises(NoEngineError):
            client.begin(ask.Sync())
        again = Server(at.local, at.server.path)
        again.start()
        assert client.status().databases[0].path == at.name
        # An engine that was started anew counts its events from 1: they are news all the same, and numbers go on.
        monkey = at.local._info
        at.local._info = type(monkey)(**{**{name: getattr(monkey, name) for name in monkey.__slots__}, "engine": "x"})
        events = client.events_since(seen)
        assert [event.message for event in events] == [event.message for event in at.engine.events_since(0)]
        assert events[0].number == seen + 1
        assert client.events_since(events[-1].number) == []
        client.close()
        again.close()


def test_connections_of_the_engine_before_are_not_asked_one_after_the_other(tmp_path: Path) -> None:
    with served(tmp_path) as at, closing(Client(at.server.path)) as client:
        with ThreadPoolExecutor(8) as pool:
            last = client.events_since(0)[-1].number
            waits = [pool.submit(client.wait_events, last, 10.0) for _ in range(8)]
            until(lambda: places(at) >= 4)
            at.engine.events.emit("info", "news of the day")
            assert [len(wait.result()) for wait in waits] == [1] * 8
        # Several are kept, of which none is known to have ended.
        assert len(client._idle) > 1
        at.server.close()
        again = Server(at.local, at.server.path)
        again.start()
        assert client.info().pid == os.getpid()
        again.close()


def test_an_engine_that_hangs_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.control.client.ANSWER_SECONDS_MAX", 0.2)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "s"))
        hanging.listen()
        with pytest.raises(EngineError, match="has not answered within"):
            asked(tmp_path / "s")


def test_an_engine_of_a_newer_kind_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.control.local.API", 99)
    with served(tmp_path) as at, pytest.raises(EngineError, match="newer than this program"):
        at.control.info()

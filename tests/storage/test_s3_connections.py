"""What connections promise: kept but never for long, used but never when stale, and a request is sent once."""

import http.client
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from peers import S3Server
from replication.errors import AccessDeniedError, StorageError
from replication.storage.s3 import aws as s3_aws
from replication.storage.s3 import connections as s3_connections
from replication.storage.s3.location import S3Location
from replication.storage.s3.parts import PART_BYTES
from replication.storage.s3.sign import Keys
from replication.storage.s3.storage import S3Storage
from replication.storage.s3.upload import PARTS_IN_FLIGHT_MAX
from tests.storage.stub import CERTIFICATE, Answer, Request, Stub, error

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Keeper:
    """A server that keeps connections and can be told to close those that are idle; `requests` counts heads."""

    def __init__(self, tls: bool = False) -> None:
        self.requests = 0
        self.asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.accepted: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.getsockname()[1]}"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._context is not None:
            self._context.load_cert_chain(CERTIFICATE)
        self.answer = OK
        threading.Thread(target=self._accept, daemon=True).start()

    def location(self) -> S3Location:
        return S3Location("bucket", "path", self.endpoint, "us-east-1", "STUBACCESSKEY", "STUBSECRETKEY")

    def close_idle(self) -> None:
        """When this returns the client's side has been told."""
        for connection in self.accepted:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        for connection in self.accepted:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self.accepted.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        held = b""
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            held += data
            if not data:
                return
            head, end, body = held.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: ([0-9]+)", head.lower())
            if end and len(body) >= int(length[1] if length else 0):
                held = b""
                self.requests += 1
                try:
                    connection.sendall(self.answer)
                except OSError:
                    return
                finally:
                    self.asked.put(True)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as server:
        yield server


def connections_of(store: S3Storage) -> s3_connections.Connections:
    shared = store._shared
    assert shared is not None
    return shared.client._connections


def sweep_of(connections: s3_connections.Connections) -> threading.Timer | None:
    return connections._sweep


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_is_used_again(tls: bool) -> None:
    with closing(Keeper(tls)) as keeper:
        with closing(S3Storage(replace(keeper.location(), skip_verify=tls))) as store:
            for _ in range(5):
                store.put("a", [b"x" * 10, b"y" * 100_000])
        assert (keeper.requests, len(keeper.accepted)) == (5, 1)


def test_a_connection_that_the_server_closed_is_not_used(keeper: Keeper) -> None:
    """The request goes out on a new one, once."""
    with closing(S3Storage(keeper.location())) as store:
        store.put("a", [])
        keeper.close_idle()
        store.put("a", [])
    assert (keeper.requests, len(keeper.accepted)) == (2, 2)


def test_a_connection_with_an_answer_that_nobody_asked_for_is_not_used(keeper: Keeper) -> None:
    with closing(S3Storage(keeper.location())) as store:
        store.put("a", [])
        keeper.accepted[0].sendall(OK)
        store.put("a", [])
    assert (keeper.requests, len(keeper.accepted)) == (2, 2)


def test_a_request_whose_answer_is_cut_is_not_sent_again(keeper: Keeper) -> None:
    """It may have been done: whether to do it anew is not decided here."""
    with closing(S3Storage(keeper.location())) as store:
        store.put("a", [])
        assert keeper.asked.get(timeout=30)
        keeper.answer = b"HTTP/1.1 20"
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(store.put, "a", [])
            assert keeper.asked.get(timeout=30)
            keeper.close_idle()
            failure = asked.exception()
    assert isinstance(failure, StorageError)
    assert "closed the connection before it answered" in str(failure)
    assert keeper.requests == 2


def test_an_answer_before_the_whole_body_was_sent_is_heard(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may refuse an upload by its headers, and close: its reason is told, not the broken pipe."""
    body = b"<Error><Code>AccessDenied</Code></Error>"
    keeper.answer = b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    send = http.client.HTTPConnection.send

    def broken(self: http.client.HTTPConnection, data: bytes) -> None:
        send(self, data)
        raise BrokenPipeError

    monkeypatch.setattr(http.client.HTTPConnection, "send", broken)
    with closing(S3Storage(keeper.location())) as store, pytest.raises(AccessDeniedError, match="AccessDenied"):
        store.put("a", [b"x" * 1000])


def test_idle_connections_are_closed(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of the module, which stands for any other."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with closing(S3Storage(keeper.location())) as store:
        store.put("a", [])
        connections = connections_of(store)
        connections._close_idle()
        assert len(connections._kept) == 1
        clock[0] += s3_connections.KEPT_SECONDS_MAX
        connections._close_idle()
        assert connections._kept == []
        # With nothing left to close there is nothing that wakes up.
        assert sweep_of(connections) is None
        store.put("a", [])
        sweep = sweep_of(connections)
        assert sweep is not None
        assert sweep.daemon
    sweep.join(30)
    assert not sweep.is_alive()


def test_no_more_connections_are_kept_than_the_bound(weed: S3Server) -> None:
    threads = s3_connections.KEPT_CONNECTIONS_MAX + 5
    together = threading.Barrier(threads)
    with closing(S3Storage(weed.location())) as store:
        store.put("a", [b"data"])

        def read(_: int) -> None:
            pieces = store.get("a")
            assert next(pieces) == b"data"
            together.wait()
            assert list(pieces) == []

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(read, range(threads)))
        assert len(connections_of(store)._kept) == s3_connections.KEPT_CONNECTIONS_MAX


def test_a_body_left_unread_costs_its_connection_only(weed: S3Server) -> None:
    # By a name of the server that no other test uses, for they may share a client as well.
    location = replace(weed.location(), endpoint=weed.endpoint.replace("127.0.0.1", "localhost"))
    with closing(S3Storage(location)) as store:
        store.put("a", [b"x" * 3_000_000])
        pieces = store.get("a")
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert connections_of(store)._kept == []
        assert len(b"".join(store.get("a"))) == 3_000_000
        assert len(connections_of(store)._kept) == 1


@pytest.mark.parametrize("server", ["weed", "juicefs"])
@pytest.mark.parametrize("size", [5, PART_BYTES + 5])
def test_a_body_that_is_damaged_on_its_way_is_refused(
    server: str, size: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one request and in parts; what was there stays."""
    peer: S3Server = request.getfixturevalue(server)
    send = s3_connections.Connections.request

    def damage(
        self: s3_connections.Connections,
        method: str,
        host: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        last: bool,
    ) -> s3_connections.Response:
        return send(self, method, host, target, headers, body[:-1] + b"?" if method == "PUT" else body, last)

    with closing(S3Storage(peer.location())) as store:
        store.put("a", [b"old"])
        with monkeypatch.context() as patch:
            patch.setattr(s3_connections.Connections, "request", damage)
            with pytest.raises(StorageError, match="BadDigest"):
                store.put("a", [b"x" * size])
        assert b"".join(store.get("a")) == b"old"


# -- answers ----------------------------------------------------------------------------------------------------------


def failing_at(step: Callable[[Request], bool], answer: Answer) -> Callable[[Request], Answer]:
    """A server of uploads in parts that answers one kind of request as no good server does."""

    def answers(request: Request) -> Answer:
        if step(request):
            return answer
        if request.verb == "POST" and request.path.endswith("uploads="):
            return Answer(body=b"<R><UploadId>u</UploadId></R>")
        if request.verb == "POST":
            return Answer(body=b"<CompleteMultipartUploadResult/>")
        return Answer(204 if request.verb == "DELETE" else 200, headers={"ETag": '"x"'})

    return answers


BAD_STEPS = {
    "complete": (lambda request: request.verb == "POST" and "uploadId" in request.path),
    "part 1": (lambda request: "partNumber=1" in request.path),
    "part 2": (lambda request: "partNumber=2" in request.path),
    "last part": (lambda request: "partNumber=4" in request.path),
}
BAD_ANSWERS = {
    "an error": error(500, "InternalError"),
    "an error under 200": Answer(body=b"<?xml version='1.0'?>\n\n  <Error><Code>InternalError</Code></Error>"),
    "no XML": Answer(body=b"<p>Welcome"),
    "nothing": Answer(),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
@pytest.mark.parametrize("step", BAD_STEPS)
def test_an_upload_in_parts_that_goes_wrong_is_aborted(step: str, answer: str) -> None:
    with Stub(failing_at(BAD_STEPS[step], BAD_ANSWERS[answer])).serving() as stub:
        with closing(S3Storage(stub.location())) as store, pytest.raises(StorageError):
            store.put("a", (b"x" * PART_BYTES for _ in range(4)))
        asked = [(request.verb, request.path.partition("?")[2]) for request in stub.requests]
    assert asked[-1] == ("DELETE", "uploadId=u")
    completed = ("POST", "uploadId=u")
    assert (completed in asked) == (step == "complete")


def test_parts_are_in_flight_within_their_bound() -> None:
    """While a part is away the next one is made and sent, but never more than the bound."""
    lock, away, most = threading.Lock(), [0], [0]
    both = threading.Barrier(PARTS_IN_FLIGHT_MAX)
    answer = failing_at(lambda _: False, Answer())

    def answers(request: Request) -> Answer:
        if "partNumber" in request.path:
            with lock:
                away[0] += 1
                most[0] = max(most[0], away[0])
            both.wait(30)
            with lock:
                away[0] -= 1
        return answer(request)

    with Stub(answers).serving() as stub:
        with closing(S3Storage(stub.location())) as store:
            assert store.put("a", (b"x" * PART_BYTES for _ in range(4))) == 4 * PART_BYTES
        [done] = [request for request in stub.requests if request.verb == "POST" and "uploadId" in request.path]
    assert most == [PARTS_IN_FLIGHT_MAX]
    assert [done.body.index(b"<PartNumber>%d<" % number) for number in range(1, 5)] == sorted(
        done.body.index(b"<PartNumber>%d<" % number) for number in range(1, 5)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"<ListBucketResult><Contents><Key>path/a</Key><Size>x</Size></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>path/a</Key><Size>1</Size><LastModified>then</LastModified></Contents>"
        b"</ListBucketResult>",
        b"<!DOCTYPE ListBucketResult><ListBucketResult/>",
    ],
)
def test_a_listing_that_is_none_is_not_an_empty_one(body: bytes) -> None:
    with (
        Stub(lambda _: Answer(body=body)).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match="does not answer as an S3 server"),
    ):
        list(store.list(""))


def test_an_upload_answered_with_a_page_is_not_stored() -> None:
    with (
        Stub(lambda _: Answer(body=b"<!doctype html><p>Sign in")).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match="does not answer as an S3 server"),
    ):
        store.put("a", [b""])


@pytest.mark.parametrize("key", ["KEY\nCANARY", "KEYüCANARY€"])
def test_keys_that_no_request_can_carry_are_not_repeated(key: str) -> None:
    location = S3Location("b", "", "http://127.0.0.1:1", None, key, "SECRET")
    with closing(S3Storage(location)) as store, pytest.raises(StorageError) as caught:
        store.put("a", [b""])
    assert "CANARY" not in str(caught.value)


# -- proxies and keys -------------------------------------------------------------------------------------------------


def test_a_proxy_gets_the_whole_url_and_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stub(lambda _: Answer(body=b"<ListBucketResult/>")).serving() as stub:
        monkeypatch.setenv("HTTP_PROXY", stub.endpoint.replace("://", "://user:pass%2Fword@"))
        location = S3Location("bucket", "", "http://server.invalid:9000", None, "KEY", "SECRET")
        with closing(S3Storage(location)) as store:
            assert list(store.list("")) == []
        [request] = stub.requests
        assert request.path.startswith("http://server.invalid:9000/bucket?")
        assert request.headers["host"] == "server.invalid:9000"
        assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNzL3dvcmQ="
        monkeypatch.setenv("NO_PROXY", ".invalid")
        with closing(S3Storage(location)) as store, pytest.raises(StorageError, match="does not resolve"):
            list(store.list(""))
        # This machine is reached without one.
        with closing(S3Storage(stub.location())) as store:
            assert list(store.list("")) == []
        assert stub.requests[-1].path.startswith("/bucket?")


def test_tls_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees a name and bytes; the certificate is that of the server."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
    with (
        Stub(lambda _: Answer(body=b"<ListBucketResult/>")).serving(tls=True) as stub,
        socket.create_server(("127.0.0.1", 0)) as proxy,
        ThreadPoolExecutor(3) as pool,
    ):
        heads: list[bytes] = []
        behind = ("127.0.0.1", int(stub.endpoint.rpartition(":")[2]))

        def pump(source: socket.socket, sink: socket.socket) -> None:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

        def serve() -> None:
            client, _ = proxy.accept()
            with client, socket.create_connection(behind) as server:
                heads.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                there = pool.submit(pump, client, server)
                pump(server, client)
                there.result()

        served = pool.submit(serve)
        monkeypatch.setenv("HTTPS_PROXY", f"user:word@127.0.0.1:{proxy.getsockname()[1]}")
        # The loopback is never asked of a proxy, so the name is another one that the certificate has.
        monkeypatch.setattr("replication.storage.s3.network.is_loopback_host", lambda _: False)
        location = S3Location("bucket", "", "https://localhost:1", None, "KEY", "SECRET")
        with closing(S3Storage(location)) as store:
            assert list(store.list("")) == []
        served.result()
    [head] = heads
    assert head.startswith(b"CONNECT localhost:1 HTTP/1.")
    assert b"proxy-authorization: basic dXNlcjp3b3Jk".lower() in head.lower()
    assert b"SECRET" not in head


def test_a_proxy_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    location = S3Location("bucket", "", "http://server.invalid:9000", None, "KEY", "SECRET")
    with closing(S3Storage(location)) as store, pytest.raises(StorageError, match="the proxy in HTTP_PROXY"):
        list(store.list(""))
    monkeypatch.setenv("HTTP_PROXY", "socks5://user:CANARY@127.0.0.1:1")
    with closing(S3Storage(location)) as store, pytest.raises(StorageError, match="http://HOST:PORT") as caught:
        list(store.list(""))
    assert "CANARY" not in str(caught.value)


def test_keys_that_boto3_renews_are_used_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request asks what the keys are: those of a role change every hour."""
    current = [Keys("FIRSTKEY", "x", "FIRSTTOKEN")]
    monkeypatch.setattr(s3_aws, "find_keys", lambda: lambda: current[0])
    with Stub(lambda _: Answer()).serving() as stub:
        with closing(S3Storage(S3Location("bucket", "path", stub.endpoint))) as store:
            store.put("a", [])
            current[0] = Keys("SECONDKEY", "x", None)
            store.put("a", [])
        first, second = (request.headers for request in stub.requests)
    assert ("Credential=FIRSTKEY/" in first["authorization"], first["x-amz-security-token"]) == (True, "FIRSTTOKEN")
    assert "Credential=SECONDKEY/" in second["authorization"]
    assert "x-amz-security-token" not in second


def test_boto3_finds_keys_of_a_profile_and_renews_those_that_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command of the profile gives keys for some seconds: the next request has the next ones."""
    command = tmp_path / "keys"
    command.write_text(
        "#!/bin/sh\n"
        f"echo x >>{tmp_path}/count\n"
        f"n=$(wc -l <{tmp_path}/count)\n"
        # They expire when they are given, so that each use wants new ones.
        'echo "{\\"Version\\": 1, \\"AccessKeyId\\": \\"KEY$n\\", \\"SecretAccessKey\\": \\"s\\",'
        ' \\"SessionToken\\": \\"t\\", \\"Expiration\\": \\"$(date -u -d "+1 second" +%Y-%m-%dT%H:%M:%SZ)\\"}"\n'
    )
    command.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[profile p]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "p")
    with Stub(lambda _: Answer()).serving() as stub:
        with closing(S3Storage(S3Location("bucket", "path", stub.endpoint))) as store:
            store.put("a", [])
            store.put("a", [])
        used = [request.headers["authorization"].partition("Credential=")[2][:4] for request in stub.requests]
    assert used[0] != used[1]

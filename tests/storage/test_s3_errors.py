"""Every way in which a store cannot be used, said in words, and no key in any of them."""

import socket
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from peers import S3Server, free_ports
from replication.errors import AccessDeniedError, BucketNotFoundError, StorageError
from replication.storage.base import Storage
from replication.storage.s3.errors import scrub
from replication.storage.s3.location import S3Location
from replication.storage.s3.storage import S3Storage
from replication.storage.s3.timeouts import Timeouts
from tests.storage.stub import CERTIFICATE, Answer, Stub, error

VERBS: dict[str, Callable[[Storage], object]] = {
    "list": lambda store: list(store.list("")),
    "folders": lambda store: store.folders(""),
    "put": lambda store: store.put("a", [b"data"]),
    "get": lambda store: list(store.get("a")),
    "delete": lambda store: store.delete(["a"]),
}
BRIEF = Timeouts(connect_seconds=0.3, read_seconds=0.3)


def failure(location: S3Location, verb: str = "list", timeouts: Timeouts = BRIEF) -> StorageError:
    """What a verb raises, after a look that neither its words nor its traceback hold a key."""
    with closing(S3Storage(location, timeouts=timeouts)) as store, pytest.raises(StorageError) as caught:
        VERBS[verb](store)
    shown = str(caught.value) + "".join(traceback.format_exception(caught.value))
    for secret in (location.access_key_id, location.secret_access_key):
        assert secret is None or secret not in shown
    return caught.value


@pytest.fixture(params=["weed", "juicefs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    peer: S3Server = request.getfixturevalue(request.param)
    return peer


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_secret(server: S3Server, verb: str) -> None:
    found = failure(replace(server.location(), secret_access_key="WRONGSECRETCANARY"), verb, Timeouts())
    assert isinstance(found, AccessDeniedError)
    assert "check secret-access-key (SignatureDoesNotMatch)" in str(found)


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_key(server: S3Server, verb: str) -> None:
    found = failure(replace(server.location(), access_key_id="WRONGKEYCANARY"), verb, Timeouts())
    assert isinstance(found, AccessDeniedError)
    assert "check access-key-id (InvalidAccessKeyId)" in str(found)


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_bucket(juicefs: S3Server, verb: str) -> None:
    found = failure(juicefs.location(bucket="no-such-bucket"), verb, Timeouts())
    assert isinstance(found, BucketNotFoundError)
    for words in (
        f"the bucket no-such-bucket does not exist at {juicefs.endpoint}",
        "`mc mb ALIAS/no-such-bucket`",
        f"`aws s3 mb s3://no-such-bucket --endpoint-url {juicefs.endpoint}`",
    ):
        assert words in str(found)


def test_a_missing_bucket_of_seaweed(weed: S3Server) -> None:
    assert isinstance(failure(weed.location(bucket="no-such-bucket"), "list", Timeouts()), BucketNotFoundError)


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_port(verb: str) -> None:
    [port] = free_ports(1)
    found = failure(S3Location("b", "", f"http://127.0.0.1:{port}", "us-east-1", "KEYCANARY", "SECRETCANARY"), verb)
    assert str(found) == f"cannot reach http://127.0.0.1:{port}: connection refused; is the server running?"


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = failure(S3Location("b", "", endpoint, None, "KEYCANARY", "SECRETCANARY"))
    assert str(found) == f"{endpoint} did not answer in time"


def test_a_server_that_accepts_no_connection() -> None:
    """A full backlog drops what comes next, as a black hole does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            endpoint = f"http://127.0.0.1:{port}"
            found = failure(S3Location("b", "", endpoint, None, "KEYCANARY", "SECRETCANARY"))
        finally:
            for client in waiting:
                client.close()
    assert str(found) == f"cannot reach {endpoint}: it did not accept a connection in time"


def test_a_name_that_does_not_resolve() -> None:
    found = failure(S3Location("b", "", "http://no-such-host.invalid:9000", None, "KEYCANARY", "SECRETCANARY"))
    assert "cannot reach http://no-such-host.invalid:9000: its name does not resolve" in str(found)


def test_a_connection_that_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.001)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = S3Storage(S3Location("b", "", endpoint, None, "KEYCANARY", "SECRETCANARY"), timeouts=Timeouts(5, 5))
        with closing(store), ThreadPoolExecutor(1) as pool:
            asked = pool.submit(VERBS["list"], store)
            server.settimeout(5)
            connection, _ = server.accept()
            connection.recv(10)
            connection.close()
            found = asked.exception()
    assert isinstance(found, StorageError)
    assert "connection" in str(found)
    assert endpoint in str(found)


def test_a_certificate_that_nobody_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stub(lambda _: Answer(body=b"<ListBucketResult/>")).serving(tls=True) as stub:
        found = failure(stub.location())
        assert "certificate is not trusted" in str(found)
        assert "AWS_CA_BUNDLE, or set skip-verify" in str(found)
        with closing(S3Storage(replace(stub.location(), skip_verify=True))) as store:
            assert list(store.list("")) == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
        with closing(S3Storage(stub.location())) as store:
            assert list(store.list("")) == []
        monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere.pem")
        assert "the file that AWS_CA_BUNDLE names is not there" in str(failure(stub.location()))


def test_tls_asked_of_a_server_that_has_none(weed: S3Server) -> None:
    location = replace(weed.location(), endpoint=weed.endpoint.replace("http:", "https:"))
    assert "begin the endpoint with http://" in str(failure(location, timeouts=Timeouts()))


def test_what_is_no_s3_server() -> None:
    page = Answer(body=b"<!doctype html><p>Welcome & sign in", headers={"Content-Type": "text/html; charset=utf-8"})
    with Stub(lambda _: page).serving() as stub:
        assert "does not answer as an S3 server" in str(failure(stub.location()))


def test_no_credentials_at_all() -> None:
    found = failure(S3Location("b", "", "http://127.0.0.1:1"))
    assert isinstance(found, AccessDeniedError)
    assert "no credentials were found" in str(found)
    assert "LITESTREAM_ACCESS_KEY_ID" in str(found)


@pytest.mark.parametrize(("key", "secret"), [("HALFCANARY", None), (None, "HALFCANARY")])
def test_half_a_key_pair(key: str | None, secret: str | None) -> None:
    found = failure(S3Location("b", "", "http://127.0.0.1:1", None, key, secret))
    assert isinstance(found, AccessDeniedError)
    assert "is missing" in str(found)


def test_half_a_key_pair_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "HALFCANARY")
    found = failure(S3Location("b", "", "http://127.0.0.1:1"))
    assert isinstance(found, AccessDeniedError)
    assert "half of a key pair" in str(found)
    assert "HALFCANARY" not in str(found)


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    found = failure(S3Location("b", "", "http://127.0.0.1:1"))
    assert isinstance(found, AccessDeniedError)
    assert "AWS_PROFILE" in str(found)


def test_a_file_of_credentials_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, program = tmp_path / "token", tmp_path / "program"
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/some")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    assert f"{token} is not there" in str(failure(S3Location("b", "", "http://127.0.0.1:1")))
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    found = str(failure(S3Location("b", "", "http://127.0.0.1:1")))
    assert f"{program} is not there" in found
    assert "AWS_CA_BUNDLE" not in found


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(403, "AccessDenied"), AccessDeniedError, "permission to list, read, write and delete"),
        (error(403, "RequestTimeTooSkewed"), StorageError, "set the clock"),
        (error(400, "ExpiredToken"), AccessDeniedError, "expired"),
        (
            error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3"),
            StorageError,
            "set region to eu-west-3",
        ),
        (error(400, "AuthorizationHeaderMalformed"), StorageError, "set region to that of the bucket"),
        (error(507, "XMinioStorageFull", "Storage backend has reached its limit"), StorageError, "its limit"),
        (error(404, "NoSuchKey"), StorageError, "NoSuchKey"),
        (Answer(403), AccessDeniedError, "403"),
        (Answer(307, headers={"Location": "http://127.0.0.1:9/elsewhere"}), StorageError, "307"),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/elsewhere"}), StorageError, "302"),
        (Answer(502, b"<html>Bad Gateway"), StorageError, "502"),
        (Answer(503, b"<html>Away", headers={"Content-Type": "text/html"}), StorageError, "answered 503"),
    ],
)
def test_answers_that_are_errors(answer: Answer, kind: type[StorageError], words: str) -> None:
    with Stub(lambda _: answer).serving() as stub:
        found = failure(stub.location())
    assert type(found) is kind
    assert words in str(found)


def test_no_secret_that_a_server_repeats_is_passed_on() -> None:
    message = "STUBSECRETKEY of STUBACCESSKEY: AKIAIOSFODNN7EXAMPLE, Signature=abcdef0123 Credential=xyz/2026"
    with Stub(lambda _: error(400, "Odd", message)).serving() as stub:
        found = str(failure(stub.location()))
    assert "Odd" in found
    for secret in ("AKIAIOSFODNN7EXAMPLE", "abcdef0123", "xyz/2026"):
        assert secret not in found


def test_scrubbed_text_is_one_short_line() -> None:
    assert scrub("a\n  b\tc", ()) == "a b c"
    assert scrub("key k3y and k3y", ("k3y",)) == "key *** and ***"
    assert len(scrub("long " * 1000, ())) <= 200

"""Replica URLs: every form that Litestream 0.3 reads, and what it got wrong."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from replication.errors import ConfigError
from replication.storage.file.location import FileLocation
from replication.storage.kinds import MISSING
from replication.storage.s3.host import is_local_host, parse_endpoint
from replication.storage.s3.kind import S3Kind
from replication.storage.s3.location import S3Location
from replication.storage.url import is_replica_url, parse_replica_url
from replication.storage.url_parts import clean_path

EAST = "us-east-1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bkt/a/b/", S3Location("bkt", "a/b")),
        ("s3://bkt", S3Location("bkt")),
        ("s3://bkt/", S3Location("bkt")),
        ("S3://bkt/p", S3Location("bkt", "p")),
        ("s3://bkt//a///b/./c/../d", S3Location("bkt", "a/b/d")),
        ("s3://bkt/a%20b%2Fc", S3Location("bkt", "a b/c")),
        ("s3://my.dotted.bucket/p", S3Location("my.dotted.bucket", "p")),
        (
            "s3://litestream-bucket.minio:9000/fruits.db",
            S3Location("litestream-bucket", "fruits.db", "http://minio:9000", EAST),
        ),
        ("s3://b.localhost:9000/p", S3Location("b", "p", "http://localhost:9000", EAST)),
        ("s3://b.localhost/p", S3Location("b", "p", "http://localhost", EAST)),
        ("s3://dotted.b.localhost:9000/p", S3Location("dotted.b", "p", "http://localhost:9000", EAST)),
        ("s3://b.127.0.0.1:9000/p", S3Location("b", "p", "http://127.0.0.1:9000", EAST)),
        ("s3://b.store.internal:9000/p", S3Location("b", "p", "http://store.internal:9000", EAST)),
        ("s3://b.nas.local:9000/p", S3Location("b", "p", "http://nas.local:9000", EAST)),
        ("s3://b.s3.example.com:8443/p", S3Location("b", "p", "https://s3.example.com:8443", EAST)),
        (
            "s3://b.s3.us-west-000.backblazeb2.com/p",
            S3Location("b", "p", "https://s3.us-west-000.backblazeb2.com", "us-west-000"),
        ),
        ("s3://b.s3.filebase.com/p", S3Location("b", "p", "https://s3.filebase.com", EAST)),
        (
            "s3://b.nyc3.digitaloceanspaces.com/p",
            S3Location("b", "p", "https://nyc3.digitaloceanspaces.com", "nyc3"),
        ),
        ("s3://b.s3.fr-par.scw.cloud/p", S3Location("b", "p", "https://s3.fr-par.scw.cloud", "fr-par")),
        (
            "s3://b.us-east-1.linodeobjects.com/p",
            S3Location("b", "p", "https://us-east-1.linodeobjects.com", "us-east-1"),
        ),
        ("s3://b.s3.us-west-2.amazonaws.com/p", S3Location("b", "p", None, "us-west-2")),
        ("s3://b.s3.amazonaws.com/p", S3Location("b", "p")),
        ("s3://b.s3.cn-north-1.amazonaws.com.cn/p", S3Location("b", "p", None, "cn-north-1")),
        ("s3://b/p?endpoint=localhost:9000", S3Location("b", "p", "http://localhost:9000")),
        ("s3://b/p?endpoint=s3.example.com", S3Location("b", "p", "https://s3.example.com")),
        ("s3://b/p?endpoint=http%3A%2F%2Fs3.example.com%2F", S3Location("b", "p", "http://s3.example.com")),
        ("s3://b/p?endpoint=https://[::1]:9000", S3Location("b", "p", "https://[::1]:9000")),
        ("s3://b.minio:9000/p?region=eu", S3Location("b", "p", "http://minio:9000", "eu")),
        ("s3://b.minio:9000/p?endpoint=other:1", S3Location("b", "p", "http://other:1", EAST)),
        ("s3://b/p?force-path-style=false", S3Location("b", "p", force_path_style=False)),
        (
            "s3://b/p?skip-verify=true&force-path-style=1",
            S3Location("b", "p", force_path_style=True, skip_verify=True),
        ),
        ("file:///srv/x/../y/", FileLocation(Path("/srv/y"))),
        ("file:///srv/a%20b", FileLocation(Path("/srv/a b"))),
        ("file:///srv/a b", FileLocation(Path("/srv/a b"))),
        ("file:////srv//x", FileLocation(Path("/srv/x"))),
    ],
)
def test_a_url_means_one_place(url: str, expected: S3Location | FileLocation) -> None:
    assert parse_replica_url(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/abs/path", "replica url scheme required: /abs/path"),
        ("", "replica url scheme required"),
        ("s3:bucket/p", "scheme required"),
        ("s3:///p", "bucket required for s3 replica"),
        ("s3://localhost:9000/bkt/p", "s3://BUCKET.localhost:9000/PATH"),
        ("s3://minio:9000/bkt/p", "bucket required for s3 replica"),
        ("s3://127.0.0.1:9000/bkt/p", "bucket required for s3 replica"),
        ("s3://s3.us-west-2.amazonaws.com/bkt/p", "region=REGION"),
        ("s3://b.s3-accelerate.dualstack.amazonaws.com/p", "region=REGION"),
        ("s3://b.minio:99999/p", "a port is a number from 1 to 65535"),
        ("s3://b.minio:port/p", "a colon that no port follows"),
        ("s3://b!/p", "is not a bucket name"),
        ("s3://b/p?endpont=x", "did you mean endpoint?"),
        ("s3://b/p?forcePathStile=true", "did you mean force-path-style?"),
        ("s3://b/p?forcePathStyle=true&force-path-style=false", "force-path-style twice"),
        ("s3://b/p?xyzzy=1", "endpoint, region, force-path-style, skip-verify"),
        ("s3://b/p?storage-class=GLACIER", "has storage-class in its query, an option of Litestream 0.5; remove it"),
        ("s3://b/p?sseCustomerKey=CANARY", "has sse-customer-key in its query, an option of Litestream 0.5"),
        ("s3://b/p?sign-payload=true&signPayload=false", "sign-payload twice"),
        ("s3://b/p?region=a&region=b", "region twice"),
        ("s3://b/p?region=", "region without a value"),
        ("s3://b/p?region=a/b", "is not a region"),
        ("s3://b/p?skip-verify=perhaps", "true or false"),
        ("s3://b/p?endpoint=ftp://x", "neither http:// nor https://"),
        ("s3://b/p?endpoint=http://a/b", "is not a host"),
        ("s3://b/p#frag", "write %23"),
        ("s3://b/%zz", "write %25"),
        ("s3://b/%ff", "not UTF-8"),
        ("s3://b/a%00b", "NUL"),
        ("file://rel/x", "file:///rel/x"),
        ("file://", "path required"),
        ("file:///srv/x?y=1", "write %3F"),
        ("ftp://host/x", "unknown replica type ftp"),
        *[(f"{kind}://x/y", f"replica type {kind} is not built yet") for kind in MISSING],
    ],
)
def test_what_is_no_place_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_replica_url(url)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:CANARY@bucket/p",
        "s3://CANARY@bucket/p",
        "s3://user:CAN/CANARY@bucket/p",
        "s3://user:CANARY/x@bucket/p",
        "s3://b/p?secret-access-key=CANARY",
        "s3://b/p?secretAccessKey=CANARY",
        "s3://b/p?password=CANARY",
        "s3://b/p?endpoint=http://user:CANARY@host",
        "sftp://user:CANARY@host/p",
        "https://user:CANARY@host/p",
        "s3:/user:CANARY@host/p",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_replica_url(url)
    assert "CANARY" not in str(caught.value)


OPTIONS_OF_05 = "endpoint=localhost:9000&region=eu&forcePathStyle=true&skipVerify=true"


@pytest.mark.parametrize("option", S3Kind.idle_keys)
def test_options_of_litestream_05_that_change_nothing_are_noted(option: str) -> None:
    notes: list[str] = []
    location = parse_replica_url(f"s3://b/p?{OPTIONS_OF_05}&{option}=true", notes.append)
    assert location == S3Location("b", "p", "http://localhost:9000", "eu", force_path_style=True, skip_verify=True)
    [note] = notes
    assert note.startswith(f"has {option} in its query, an option of Litestream 0.5 that changes nothing here: ")


@given(st.text())
def test_any_text_is_a_place_or_a_config_error(text: str) -> None:
    for url in (text, f"s3://{text}", f"file:///{text}", f"s3://b/p?{text}"):
        try:
            location = parse_replica_url(url)
        except ConfigError:
            continue
        assert is_replica_url(url)
        if isinstance(location, S3Location):
            assert location.bucket
            assert location.path == clean_path(location.path)
        else:
            assert isinstance(location, FileLocation)
            assert location.path.is_absolute()


@given(
    st.from_regex(r"[a-z0-9][a-z0-9.-]{1,40}", fullmatch=True),
    st.lists(st.from_regex(r"[a-z .+=_-]{1,9}", fullmatch=True)),
)
def test_an_address_without_a_server_reads_back(bucket: str, parts: list[str]) -> None:
    location = S3Location(bucket, clean_path("/".join(parts)))
    assume(not bucket.endswith(("amazonaws.com", "amazonaws.com.cn", "localhost")))
    assert parse_replica_url(location.address) == location


@given(st.text())
def test_a_clean_path_is_clean(path: str) -> None:
    cleaned = clean_path(path)
    assert not cleaned.startswith("/")
    assert not cleaned.endswith("/")
    assert not {"", ".", ".."} & set(cleaned.split("/")) or cleaned == ""
    assert clean_path(cleaned) == cleaned


def test_addresses_are_for_people_and_hold_no_secret() -> None:
    location = S3Location("b", "/p/", "http://minio:9000", access_key_id="CANARY", secret_access_key="CANARY")
    assert location.address == "s3://b/p at http://minio:9000"
    assert S3Location("b").address == "s3://b"
    assert FileLocation(Path("/srv/x")).address == "file:///srv/x"
    assert "CANARY" not in repr(location)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("minio", True),
        ("LOCALHOST", True),
        ("a.localhost", True),
        ("10.1.2.3", True),
        ("[::1]", True),
        ("nas.local", True),
        ("s3.example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_local_hosts_speak_http(host: str, local: bool) -> None:
    assert is_local_host(host) is local
    assert parse_endpoint(host).startswith("http://" if local else "https://")


def test_what_looks_like_a_url_is_one() -> None:
    assert is_replica_url("s3://x")
    assert is_replica_url("anything://")
    assert not is_replica_url("/srv/x")
    assert not is_replica_url("C:\\x")
    assert not is_replica_url(" s3://x")

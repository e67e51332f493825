"""What the S3 store sends, and what it makes of answers that real servers give on bad days only."""

import base64
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peers
from peers import S3Server
from replication.errors import AccessDeniedError, StorageError
from replication.storage.open import open_storage
from replication.storage.s3 import parts as s3_parts
from replication.storage.s3 import shared as s3_shared
from replication.storage.s3 import storage as s3_storage
from replication.storage.s3.location import S3Location
from replication.storage.s3.making import make_client
from replication.storage.s3.storage import S3Storage
from tests.storage.stub import Answer, Request, Stub, error

EMPTY_LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
DELETED = b"<DeleteResult></DeleteResult>"


def test_boto3_is_not_loaded_for_a_server_and_keys_that_are_named(weed: S3Server) -> None:
    """It costs more memory and time than all else: what is configured needs nothing that only it knows."""
    script = (
        "import sys\n"
        "from replication.storage.s3.location import S3Location\n"
        "from replication.storage.open import open_storage\n"
        "store = open_storage(S3Location('tests', 'x', sys.argv[1], None, *sys.argv[2:]))\n"
        "assert 'http.client' not in sys.modules\n"
        "store.put('a', [b''])\n"
        "assert [item.name for item in store.list('')] == ['a']\n"
        "assert not {'boto3', 'botocore', 'urllib3'} & set(sys.modules)\n"
    )
    keys = [weed.access_key, weed.secret_key]
    subprocess.run([sys.executable, "-c", script, weed.endpoint, *keys], check=True, timeout=30)


def test_boto3_is_loaded_with_the_first_request_only() -> None:
    script = (
        "import sys\n"
        "from replication.storage.s3.location import S3Location\n"
        "from replication.storage.open import open_storage\n"
        "open_storage(S3Location('b')).close()\n"
        "assert not {'boto3', 'botocore', 'urllib3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


@pytest.mark.parametrize("path", ["p", "/p", "p/", "//p//"])
def test_slashes_around_the_path_change_nothing(weed: S3Server, path: str) -> None:
    """A leading slash made Litestream write in one place and read in another."""
    location = weed.location()
    place = path.replace("p", location.path)
    with closing(S3Storage(replace(location, path=place))) as store:
        store.put("generations/x", [b"data"])
        assert store.folders("") == ["generations"]
        assert b"".join(store.get("generations/x")) == b"data"
        assert store.address == f"s3://tests/{location.path} at {weed.endpoint}"
    client = weed.client()
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="tests", Prefix=location.path)["Contents"]]
    client.close()
    assert keys == [f"{location.path}/generations/x"]


def test_a_replica_at_the_root_of_a_bucket(weed: S3Server) -> None:
    with closing(S3Storage(weed.location(path="", bucket=weed.make_bucket()))) as store:
        store.put("generations/x", [b"data"])
        assert [item.name for item in store.list("")] == ["generations/x"]
        assert store.folders("") == ["generations"]


def test_more_objects_than_a_page_or_a_batch_can_name(weed: S3Server) -> None:
    with closing(S3Storage(weed.location())) as store:
        names = [f"wal/{number:08x}" for number in range(1005)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.put(name, [b""]), names))
        assert [item.name for item in store.list("wal/")] == names
        store.delete(names)
        assert list(store.list("")) == []


@pytest.mark.parametrize("server", ["weed", "juicefs"])
def test_a_failed_upload_in_parts_is_aborted(server: str, request: pytest.FixtureRequest) -> None:
    peer: S3Server = request.getfixturevalue(server)
    location = peer.location(bucket=peer.make_bucket())

    def chunks() -> Iterator[bytes]:
        yield b"x" * (s3_parts.PART_BYTES + 1)
        client = peer.client()
        assert len(client.list_multipart_uploads(Bucket=location.bucket, Prefix=location.path).get("Uploads", [])) < 2
        client.close()
        yield b"x" * s3_parts.PART_BYTES
        raise KeyboardInterrupt

    with closing(S3Storage(location)) as store:
        with pytest.raises(KeyboardInterrupt):
            store.put("large", chunks())
        assert list(store.list("")) == []
    client = peer.client()
    assert client.list_multipart_uploads(Bucket=location.bucket, Prefix=location.path).get("Uploads", []) == []
    client.close()


@given(st.integers(1, s3_parts.PARTS_MAX - 1))
def test_parts_grow_but_never_past_what_a_store_takes(number: int) -> None:
    assert s3_parts.PART_BYTES <= s3_parts.part_size(number) <= s3_parts.part_size(number + 1) <= 5 * 1024**3


def test_the_most_parts_hold_the_largest_object() -> None:
    sizes = [s3_parts.part_size(number) for number in range(1, s3_parts.PARTS_MAX + 1)]
    assert sum(sizes) >= s3_parts.OBJECT_BYTES_MAX
    assert set(sizes[:5000]) == {s3_parts.PART_BYTES}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3 * s3_parts.PART_BYTES), max_size=3))
def test_parts_joined_are_the_stream(sizes: list[int]) -> None:
    zeros = bytes(3 * s3_parts.PART_BYTES)
    parts = [(len(part), last) for part, last in s3_parts.cut_parts(zeros[:size] for size in sizes)]
    assert sum(size for size, _ in parts) == sum(sizes)
    assert [last for _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(size == s3_parts.PART_BYTES for size, last in parts if not last)


def test_one_put_is_one_request_with_its_checksum_and_our_name() -> None:
    with Stub(lambda _: Answer(headers={"ETag": '"x"'})).serving() as stub:
        with closing(S3Storage(stub.location())) as store:
            store.put("a b/ü", [b"hello"])
        [request] = stub.requests
    assert (request.verb, request.path, request.body) == ("PUT", "/bucket/path/a%20b/%C3%BC", b"hello")
    assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert "litestream-tui" in request.headers["user-agent"]
    assert not [name for name in request.headers if name.startswith("x-amz-checksum")]


def test_no_request_is_tried_twice() -> None:
    with Stub(lambda _: error(500, "InternalError", "try later")).serving() as stub:
        with closing(S3Storage(stub.location())) as store:
            with pytest.raises(StorageError, match="InternalError about a: try later") as caught:
                store.put("a", [b""])
            assert not caught.value.throttled
        assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (429, "TooManyRequests"), (400, "RequestLimitExceeded"), (503, "X")],
)
def test_a_store_that_asks_for_fewer_requests(status: int, code: str) -> None:
    with (
        Stub(lambda _: error(status, code)).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match=f"fewer requests .{code}") as caught,
    ):
        list(store.list(""))
    assert caught.value.throttled


@pytest.mark.parametrize("size", [0, 5, s3_storage.READ_CHUNK_BYTES + 5])
def test_a_body_that_ends_early_is_an_error(size: int) -> None:
    with (
        Stub(lambda _: Answer(body=b"x" * size, length=1_000_000)).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match=r"in the middle|bytes of a"),
    ):
        list(store.get("a"))


def test_a_server_that_ignores_ranges_is_not_believed() -> None:
    with (
        Stub(lambda _: Answer(body=b"0123456789")).serving() as stub,
        closing(S3Storage(stub.location())) as store,
    ):
        with pytest.raises(StorageError, match="sent all of a"):
            list(store.get("a", 5))
        with pytest.raises(StorageError, match="sent 10 bytes of a when 5"):
            list(store.get("a", 0, 5))


def test_a_delete_that_the_store_refuses_names_the_object() -> None:
    refusal = (
        b"<DeleteResult><Error><Key>path/b</Key><Code>AccessDenied</Code></Error>"
        b"<Error><Key>path/c</Key><Code>InternalError</Code></Error></DeleteResult>"
    )
    with Stub(lambda _: Answer(body=refusal)).serving() as stub:
        with (
            closing(S3Storage(stub.location())) as store,
            pytest.raises(AccessDeniedError, match="did not remove b and 1 more: AccessDenied"),
        ):
            store.delete(["a", "b", "c"])
        [request] = stub.requests
    assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert b"<Quiet>true</Quiet>" in request.body


def test_a_key_that_is_gone_already_is_no_refusal() -> None:
    gone = b"<DeleteResult><Error><Key>path/a</Key><Code>NoSuchKey</Code></Error></DeleteResult>"
    with Stub(lambda _: Answer(body=gone)).serving() as stub, closing(S3Storage(stub.location())) as store:
        store.delete(["a"])


REFUSALS_OF_MANY = [
    (501, "NotImplemented"),
    (405, "MethodNotAllowed"),
    (403, "AccessDenied"),
    (400, "InvalidArgument"),
]
"""Of NetApp's ONTAP the third, of Google's older interface the fourth."""


@pytest.mark.parametrize(("status", "code"), REFUSALS_OF_MANY)
def test_a_store_that_refuses_to_delete_many_is_asked_one_by_one(status: int, code: str) -> None:
    """Once it is found out, all who use that server's client know."""

    def answer(request: Request) -> Answer:
        return error(status, code) if request.verb == "POST" else Answer(204)

    with Stub(answer).serving() as stub:
        with closing(S3Storage(stub.location())) as store, closing(S3Storage(stub.location())) as another:
            store.delete(["a", "b"])
            store.delete(["c"])
            another.delete(["d"])
        asked = [(request.verb, request.path) for request in stub.requests]
    assert asked[0][0] == "POST"
    assert asked[1:] == [("DELETE", f"/bucket/path/{name}") for name in "abcd"]


def test_keys_without_the_right_to_delete_are_not_taken_for_that() -> None:
    """One request more is all it costs, and once they have the right many are deleted at once."""
    refused = True

    def answer(request: Request) -> Answer:
        return error(403, "AccessDenied") if refused else Answer(body=b"<DeleteResult></DeleteResult>")

    with Stub(answer).serving() as stub, closing(S3Storage(stub.location())) as store:
        with pytest.raises(AccessDeniedError):
            store.delete(["a", "b"])
        assert [request.verb for request in stub.requests] == ["POST", "DELETE"]
        refused = False
        store.delete(["a", "b"])
        assert [request.verb for request in stub.requests] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize("name", ["weed", "juicefs"])
def test_promise_10_unfinished_uploads_of_others_stay(name: str, request: pytest.FixtureRequest) -> None:
    """Another database, another generation, another bucket's user: nobody's upload is aborted but what is named."""
    server: peers.S3Server = request.getfixturevalue(name)
    location, client = server.location(), server.client()
    ours = f"{location.path}/generations/00000000000000aa/snapshots/00000000.snapshot.lz4"
    others = [
        f"{location.path}/generations/00000000000000ab/snapshots/00000000.snapshot.lz4",
        f"{location.path}2/generations/00000000000000aa/snapshots/00000000.snapshot.lz4",
        f"{location.path}/generations/00000000000000aaa",
        f"else/{ours}",
    ]
    for key in (ours, ours, *others):
        upload = client.create_multipart_upload(Bucket=location.bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=location.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    with closing(S3Storage(location)) as store:
        assert store.abort_unfinished("generations/00000000000000aa/") == 2
        assert store.abort_unfinished("generations/00000000000000aa/") == 0
    left = client.list_multipart_uploads(Bucket=location.bucket).get("Uploads", [])
    keys = {item["Key"] for item in left}
    assert ours not in keys
    assert set(others) <= keys


def test_a_server_that_does_not_heed_the_prefix_costs_nobody_an_upload() -> None:
    listing = b"".join(
        b"<Upload><Key>%s</Key><UploadId>%d</UploadId></Upload>" % (key, number)
        for number, key in enumerate([b"path/generations/a/x", b"path2/generations/a/x", b"path/generations/b/x"])
    )

    def answer(request: Request) -> Answer:
        body = b"<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>" % listing
        return Answer(body=body) if request.verb == "GET" else Answer(204)

    with Stub(answer).serving() as stub, closing(S3Storage(stub.location())) as store:
        assert store.abort_unfinished("generations/a/") == 1
        deleted = [request.path for request in stub.requests if request.verb == "DELETE"]
    assert deleted == ["/bucket/path/generations/a/x?uploadId=0"]


def test_a_listing_that_never_ends_is_an_error() -> None:
    token = b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    page = b"<ListBucketResult>" + token + b"</ListBucketResult>"
    with (
        Stub(lambda _: Answer(body=page)).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match="not where"),
    ):
        list(store.list(""))


def test_hostile_names_in_a_listing_are_passed_over() -> None:
    keys = ["path/../x", "path//x", "path/a\\b", "path/folder/", "path/good"]
    items = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>"
        for key in keys
    )
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
    with (
        Stub(lambda _: Answer(body=page.encode())).serving() as stub,
        closing(S3Storage(stub.location())) as store,
    ):
        [item] = store.list("")
    assert (item.name, item.modified.isoformat()) == ("good", "2026-01-02T03:04:05.678000+00:00")


@pytest.mark.parametrize("status", [200, 301, 400, 403])
def test_the_region_of_a_bucket_is_asked_for_once(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS tells it in a header, even of a refusal. The stub stands in for AWS where the client is made."""

    def answer(request: Request) -> Answer:
        if request.verb == "HEAD":
            return Answer(status, headers={"x-amz-bucket-region": "eu-north-1"})
        return Answer(body=EMPTY_LIST)

    with Stub(answer).serving() as stub:
        monkeypatch.setattr(
            s3_storage, "make_client", lambda connection: make_client(replace(connection, endpoint=stub.endpoint))
        )
        location = S3Location("bucket", access_key_id="KEYOFTHISTEST", secret_access_key="SECRETOFTHISTEST")
        with closing(S3Storage(location)) as store:
            assert list(store.list("")) == []
            assert list(store.list("")) == []
        verbs = [request.verb for request in stub.requests]
        assert verbs == ["HEAD", "GET", "GET"]
        assert "/eu-north-1/s3/" in stub.requests[-1].headers["authorization"]


def test_replicas_on_one_server_share_a_client_and_the_last_closes_it(weed: S3Server) -> None:
    # By a name of the server that no other test uses, for they may share a client as well.
    location = replace(weed.location(), endpoint=weed.endpoint.replace("127.0.0.1", "localhost"))
    stores = [open_storage(location) for _ in range(3)]
    for store in stores:
        store.put("a", [b""])
    [shared] = [item for item in s3_shared._clients.values() if item.connection.endpoint == location.endpoint]
    assert shared.users == 3
    for store in stores:
        store.close()
        store.close()
    assert shared.connection not in s3_shared._clients


ENVIRONMENT_CASES = [
    ({"AWS_ACCESS_KEY_ID": "A1", "AWS_SECRET_ACCESS_KEY": "S1"}, "A1"),
    ({"LITESTREAM_ACCESS_KEY_ID": "L1", "LITESTREAM_SECRET_ACCESS_KEY": "S2"}, "L1"),
    (
        {
            "LITESTREAM_ACCESS_KEY_ID": "L1",
            "LITESTREAM_SECRET_ACCESS_KEY": "S2",
            "AWS_ACCESS_KEY_ID": "A1",
            "AWS_SECRET_ACCESS_KEY": "S1",
        },
        "A1",
    ),
    ({"LITESTREAM_SECRET_ACCESS_KEY": "S2", "AWS_ACCESS_KEY_ID": "A1"}, "A1"),
]


@pytest.mark.parametrize(("variables", "key"), ENVIRONMENT_CASES)
def test_keys_come_from_the_environment(variables: dict[str, str], key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with Stub(lambda _: Answer(body=EMPTY_LIST)).serving() as stub:
        location = replace(stub.location(), access_key_id=None, secret_access_key=None)
        with closing(S3Storage(location)) as store:
            list(store.list(""))
        assert f"Credential={key}/" in stub.requests[0].headers["authorization"]


def test_keys_that_were_renewed_are_found_after_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: Request) -> Answer:
        if "Credential=OLDKEY/" in request.headers["authorization"]:
            return error(400, "ExpiredToken")
        return Answer(body=EMPTY_LIST)

    with Stub(answer).serving() as stub:
        location = replace(stub.location(), access_key_id=None, secret_access_key=None)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OLDKEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "OLDSECRET")
        with closing(S3Storage(location)) as store:
            with pytest.raises(AccessDeniedError, match="the session token has expired"):
                list(store.list(""))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NEWKEY")
            assert list(store.list("")) == []

"""A server with another region than asked, and a bucket in the name of a host that does not resolve."""

import re
from contextlib import closing
from dataclasses import replace

import pytest

from replication.errors import StorageError
from replication.storage.s3.location import S3Location
from replication.storage.s3.storage import S3Storage
from tests.storage.stub import Answer, Request, Stub

EMPTY = b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def region_of(request: Request) -> str:
    found = re.search(r"Credential=[^/]+/[0-9]+/([^/]+)/s3/", request.headers["authorization"])
    assert found is not None
    return found[1]


def wrong_region(told: str, status: int = 400) -> Answer:
    code = "AuthorizationHeaderMalformed" if status == 400 else "PermanentRedirect"
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Region>{told}</Region></Error>"
    return Answer(status, body.encode(), {"x-amz-bucket-region": told})


@pytest.mark.parametrize("status", [400, 301])
def test_another_region_is_followed_once_and_kept(status: int) -> None:
    def answer(request: Request) -> Answer:
        if region_of(request) != "eu-central-1":
            return wrong_region("eu-central-1", status)
        return Answer(body=EMPTY) if request.verb == "GET" else Answer()

    with Stub(answer).serving() as stub, closing(S3Storage(stub.location())) as store:
        store.put("a", [b"content"])
        assert list(store.list("")) == []
        assert [region_of(request) for request in stub.requests] == ["us-east-1", "eu-central-1", "eu-central-1"]
        assert [request.body for request in stub.requests] == [b"content", b"content", b""]


def test_a_server_that_names_another_region_each_time_is_followed_no_further() -> None:
    def answer(request: Request) -> Answer:
        return wrong_region("b" if region_of(request) == "a" else "a")

    with Stub(answer).serving() as stub, closing(S3Storage(stub.location())) as store:
        for _ in range(2):
            with pytest.raises(StorageError, match="not in the region that was asked; set region to b"):
                list(store.list(""))
        assert [region_of(request) for request in stub.requests] == ["us-east-1", "a", "a"]


@pytest.mark.parametrize("told", ["us-east-1", "not a region", ""])
def test_what_is_no_other_region_is_not_followed(told: str) -> None:
    with (
        Stub(lambda request: wrong_region(told)).serving() as stub,
        closing(S3Storage(stub.location())) as store,
        pytest.raises(StorageError, match="not in the region that was asked"),
    ):
        list(store.list(""))
    assert len(stub.requests) == 1


def test_a_bucket_in_the_name_of_a_host_that_does_not_resolve() -> None:
    location = S3Location("bucket", "", "http://nowhere.invalid:9000", None, "KEY", "SECRET", force_path_style=False)
    with closing(S3Storage(location)) as store, pytest.raises(StorageError) as caught:
        list(store.list(""))
    assert "cannot reach bucket.nowhere.invalid:9000: this name, with the bucket in it, does not resolve" in str(
        caught.value
    )
    assert "force-path-style: true" in str(caught.value)
    with (
        closing(S3Storage(replace(location, force_path_style=True))) as store,
        pytest.raises(StorageError, match=r"cannot reach http://nowhere\.invalid:9000: its name does not resolve"),
    ):
        list(store.list(""))

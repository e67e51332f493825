"""Everything is over in eight seconds, whatever hangs: docker stop waits for ten. Nothing is left that is billed."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.storage.stub import Answer, Request, Stub, error

END_SECONDS_MAX = 8.0
SLACK_SECONDS = 4.0
"""What a crowded machine may add."""
MANY_PARTS_BYTES = 100_000_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(randomblob(30000000))")
    return path


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end, for answers that are held back."""
    event = threading.Event()
    yield event
    event.set()


def url_of(stub: Stub) -> str:
    return f"s3://bucket/app?endpoint={stub.endpoint.removeprefix('http://')}"


def keys() -> dict[str, str]:
    return peers.clean_environment(AWS_ACCESS_KEY_ID="STUBACCESSKEY", AWS_SECRET_ACCESS_KEY="STUBSECRETKEY")


def end_within_eight_seconds(replicate: Replicating) -> None:
    began = time.monotonic()
    assert replicate.end() == 0
    assert time.monotonic() - began < END_SECONDS_MAX + SLACK_SECONDS


def test_an_upload_in_parts_is_aborted_within_the_time(
    database: Path, tmp_path: Path, released: threading.Event
) -> None:
    """The server takes parts and does not answer."""

    def answer(request: Request) -> Answer:
        if "partNumber=" in request.path:
            released.wait()
        if "uploads=" in request.path and request.verb == "POST":
            return Answer(body=b"<R><UploadId>the-upload</UploadId></R>")
        if request.verb == "GET" and "list-type" in request.path:
            return Answer(body=b"<ListBucketResult></ListBucketResult>")
        return error(404, "NoSuchKey") if request.verb in ("GET", "HEAD") else Answer(204)

    with (
        Stub(answer).serving() as stub,
        Replicating(tmp_path / "log", database, url_of(stub), environment=keys()) as replicate,
    ):
        wait_until("a part", lambda: any("partNumber=" in request.path for request in stub.requests))
        end_within_eight_seconds(replicate)
        asked = [(request.verb, "uploadId=the-upload" in request.path) for request in stub.requests]
    assert asked[-1] == ("DELETE", True)


def test_it_ends_although_a_store_is_silent(database: Path, tmp_path: Path, released: threading.Event) -> None:
    def answer(request: Request) -> Answer:
        released.wait()
        return Answer(204)

    with (
        Stub(answer).serving() as stub,
        Replicating(tmp_path / "log", database, url_of(stub), environment=keys()) as replicate,
    ):
        wait_until("a request", lambda: bool(stub.requests))
        end_within_eight_seconds(replicate)
        replicate.wait_for("level=WARN", "not all is uploaded", f"db={database}")


def test_what_a_kill_left_of_uploads_is_aborted_at_the_next_start(tmp_path: Path, weed: peers.S3Server) -> None:
    """Those of others stay, also in the same place."""
    location, client = weed.location(), weed.client()
    path = tmp_path / "large.db"
    Shell(path).run(f"PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(randomblob({MANY_PARTS_BYTES}))")
    environment = peers.clean_environment(AWS_ACCESS_KEY_ID=weed.access_key, AWS_SECRET_ACCESS_KEY=weed.secret_key)
    url = f"s3://{location.bucket}/{location.path}?endpoint={weed.endpoint.removeprefix('http://')}"
    other = f"{location.path}/generations/00000000000000ab/snapshots/00000000.snapshot.lz4"
    client.create_multipart_upload(Bucket=location.bucket, Key=other)

    def unfinished() -> list[str]:
        found = client.list_multipart_uploads(Bucket=location.bucket, Prefix=f"{location.path}/").get("Uploads", [])
        return [item["Key"] for item in found if item["Key"] != other]

    with Replicating(tmp_path / "first", path, url, environment=environment) as first:
        wait_until("an upload in parts", lambda: bool(unfinished()))
        first.send(signal.SIGKILL)
        first.wait()
    assert unfinished(), "it was over before the kill"
    with Replicating(tmp_path / "second", path, url, environment=environment) as second:
        second.wait_for("snapshot written")
        second.wait_for("uploads that were cut off", "uploads=1")
        assert second.end() == 0
    assert unfinished() == []
    left = client.list_multipart_uploads(Bucket=location.bucket, Prefix=f"{location.path}/").get("Uploads", [])
    assert [item["Key"] for item in left] == [other]
    output = tmp_path / "restored.db"
    succeeds("restore", "-o", output, url, environment=environment)
    assert Shell(output).rows("SELECT length(a) FROM t") == [[MANY_PARTS_BYTES]]

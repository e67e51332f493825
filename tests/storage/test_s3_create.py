"""Promise 8 on S3: who heeds `If-None-Match`, found out once and without leaving anything behind."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from peers import S3Server
from replication.errors import ObjectExistsError, StorageError
from replication.storage.s3.parts import PART_BYTES
from replication.storage.s3.storage import S3Storage
from tests.storage.stub import Answer, Request, Stub, error


class Server:
    """Objects in memory; `heeds` says whether the header counts, `refusal` answers every request that has it."""

    def __init__(self, heeds: bool, refusal: Answer | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        """The requests, with a star on those that have the header."""
        self.heeds = heeds
        self.refusal = refusal
        self.next: list[Answer] = []

    def __call__(self, request: Request) -> Answer:
        name = request.path.split("?")[0].rpartition("/")[2]
        conditional = "if-none-match" in request.headers
        self.asked.append(request.verb + "*" * conditional)
        if self.next and conditional:
            return self.next.pop(0)
        if request.verb == "HEAD":
            return Answer() if name in self.objects else Answer(404)
        if conditional and self.refusal is not None:
            return self.refusal
        if conditional and self.heeds and name in self.objects:
            return error(412, "PreconditionFailed")
        if request.verb == "PUT" and "partNumber" in request.path:
            return Answer(headers={"ETag": '"part"'})
        if request.verb == "POST" and "uploads" in request.path:
            return Answer(body=b"<R><UploadId>u</UploadId></R>")
        if request.verb == "DELETE":
            return Answer(204)
        self.objects[name] = request.body
        done = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        return Answer(body=done if request.verb == "POST" else b"")


@pytest.fixture
def serve() -> Iterator[Callable[[Server], S3Storage]]:
    """A function that gives a store on a server."""
    opened: list[closing[S3Storage]] = []
    stubs = []

    def make(server: Server) -> S3Storage:
        serving = Stub(server).serving()
        stub = serving.__enter__()
        stubs.append(serving)
        store = S3Storage(stub.location())
        opened.append(closing(store))
        return store

    yield make
    for store in opened:
        store.__exit__(None, None, None)
    for serving in stubs:
        serving.__exit__(None, None, None)


def test_a_server_that_heeds_the_header_is_asked_once_and_then_costs_nothing(
    serve: Callable[[Server], S3Storage],
) -> None:
    server = Server(heeds=True)
    store = serve(server)
    store.put("a", [b"1"], create=True)
    assert server.asked == ["HEAD", "PUT*", "PUT*"]
    for number in range(3):
        store.put(f"b{number}", [b"2"], create=True)
    assert server.asked[3:] == ["PUT*"] * 3
    with pytest.raises(ObjectExistsError):
        store.put("a", [b"3"], create=True)
    assert server.objects["a"] == b"1"


@pytest.mark.parametrize(
    "server",
    [
        Server(heeds=False),
        Server(heeds=False, refusal=error(501, "NotImplemented")),
        Server(heeds=False, refusal=error(400, "InvalidArgument")),
    ],
    ids=["ignored", "refused with 501", "refused with 400"],
)
def test_where_the_header_is_not_heeded_a_look_comes_before_every_write(
    serve: Callable[[Server], S3Storage], server: Server
) -> None:
    store = serve(server)
    store.put("a", [b"1"], create=True)
    assert server.objects == {"a": b"1"}
    server.asked.clear()
    store.put("b", [b"2"], create=True)
    with pytest.raises(ObjectExistsError):
        store.put("a", [b"3"], create=True)
    assert server.asked == ["HEAD", "PUT", "HEAD"]
    assert server.objects == {"a": b"1", "b": b"2"}


def test_a_large_object_is_looked_for_before_its_end_where_the_header_is_not_known(
    serve: Callable[[Server], S3Storage],
) -> None:
    """Much may happen while its parts are sent. It finds out nothing, for it is not sent twice."""
    server = Server(heeds=False)
    store = serve(server)

    def chunks() -> Iterator[bytes]:
        yield b"x" * PART_BYTES
        yield b"x"
        server.objects["a"] = b"another's"

    with pytest.raises(ObjectExistsError):
        store.put("a", chunks(), create=True)
    assert server.objects == {"a": b"another's"}
    assert server.asked[0] == "HEAD"
    assert server.asked[-2:] == ["HEAD", "DELETE"]


def test_a_conflict_is_tried_again_and_says_nothing_of_the_object(serve: Callable[[Server], S3Storage]) -> None:
    server = Server(heeds=True)
    store = serve(server)
    server.next = [error(409, "ConditionalRequestConflict")]
    with pytest.raises(StorageError) as caught:
        store.put("a", [b"1"], create=True)
    assert not isinstance(caught.value, ObjectExistsError)
    assert store.put("a", [b"1"], create=True) == 1


def test_a_trial_that_fails_fails_nothing(serve: Callable[[Server], S3Storage]) -> None:
    server = Server(heeds=True)
    store = serve(server)
    server.next = [Answer(), error(503, "SlowDown")]
    assert store.put("a", [b"1"], create=True) == 1
    server.asked.clear()
    store.put("b", [b"2"], create=True)
    assert server.asked == ["HEAD", "PUT*", "PUT*"]


@pytest.mark.parametrize(("name", "heeds"), [("weed", True), ("juicefs", False)])
def test_real_servers_are_known_for_what_they_do(request: pytest.FixtureRequest, name: str, heeds: bool) -> None:
    server: S3Server = request.getfixturevalue(name)
    location = server.location()
    with closing(S3Storage(location)) as store:
        store.put("a", [b"1"], create=True)
        assert store._open().heeds_create == {location.bucket: heeds}
        assert [item.name for item in store.list("")] == ["a"]

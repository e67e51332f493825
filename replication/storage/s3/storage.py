"""A replica in an S3 bucket. What speaks the protocol is loaded at first use.

Its promises: an object is stored whole or not at all, no request is retried here, every wait is bounded,
and no secret is in any error. It leaves to the caller when to try again.
"""

import builtins
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from replication.counts import Requests
from replication.errors import AccessDeniedError, ObjectExistsError, StorageError
from replication.scrub import register_secret
from replication.storage.base import (
    ObjectInfo,
    Storage,
    check_name,
    check_prefix,
    check_range,
    is_object_name,
)
from replication.storage.s3.create import create_object
from replication.storage.s3.errors import (
    MessageContext,
    bucket_region,
    error_code,
    error_status,
    is_foreign,
    storage_error,
)
from replication.storage.s3.host import DEFAULT_REGION
from replication.storage.s3.location import S3Location
from replication.storage.s3.making import make_client
from replication.storage.s3.parts import cut_parts
from replication.storage.s3.shared import (
    Connection,
    Credentials,
    SharedClient,
    acquire,
    find_credentials,
    forget,
    known_secrets,
    release,
)
from replication.storage.s3.timeouts import Timeouts
from replication.storage.s3.upload import upload_parts
from replication.storage.url_parts import clean_path

if TYPE_CHECKING:
    from replication.storage.s3.client import ListPage, S3Client

LIST_PAGE_OBJECTS = 1000
DELETE_BATCH_OBJECTS = 1000
"""The most objects that one DeleteObjects request may name."""
READ_CHUNK_BYTES = 256 * 1024
_TIMEOUTS = Timeouts()

_NO_BATCH_CODES = ("NotImplemented", "InvalidArgument")
_NO_BATCH_STATUSES = (403, 405, 501)
"""How stores refuse to remove many objects with one request: ONTAP with 403, Google's older interface with 400
InvalidArgument. The same may be said of the keys' rights; a request for a single object tells."""


class S3Storage(Storage):
    """A path in a bucket. Its lock covers the opening of the client, the question for the region included."""

    type = "s3"

    def __init__(
        self, location: S3Location, *, timeouts: Timeouts = _TIMEOUTS, page_objects: int = LIST_PAGE_OBJECTS
    ) -> None:
        self.address = location.address
        self.requests = Requests()
        self._location = location
        self._timeouts = timeouts
        self._page_objects = page_objects
        path = clean_path(location.path)
        self._root = f"{path}/" if path else ""
        self._lock = threading.Lock()
        self._shared: SharedClient | None = None
        self._region = location.region or (DEFAULT_REGION if location.endpoint else None)
        self._context = MessageContext(
            address=self.address,
            bucket=location.bucket,
            server=location.endpoint or "https://s3.amazonaws.com",
            endpoint=location.endpoint,
            secrets=known_secrets(location),
            bucket_host=location.bucket_host,
        )
        # The logs and the screen hide them as well, wherever else they may come from.
        for secret in self._context.secrets:
            register_secret(secret)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._list(check_prefix(prefix))

    def folders(self, prefix: str) -> builtins.list[str]:
        full = self._root + check_prefix(prefix)
        found: set[str] = set()
        for page in self._pages(full, delimiter="/"):
            found.update(item.removeprefix(full).rstrip("/") for item in page.prefixes)
            # A server that does not know the delimiter lists whatever is below.
            below = (item.key.removeprefix(full).partition("/") for item in page.objects)
            found.update(name for name, slash, rest in below if slash and rest)
        names = sorted(name for name in found if is_object_name(name))
        if self._location.endpoint is None:
            return names
        # Servers that keep objects as files, SeaweedFS and JuiceFS among them, show empty folders too.
        return [name for name in names if self._holds_objects(f"{full}{name}/")]

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        stored = self._put(check_name(name), chunks, create)
        self.requests.add("PUT", stored)
        return stored

    def _put(self, name: str, chunks: Iterable[bytes], create: bool) -> int:
        parts = cut_parts(chunks)
        first, last = next(parts)
        bucket, key = self._location.bucket, self._root + name
        if create:
            with self._mapped(name):
                heeded = self._open().heeds_create
            if self._location.endpoint is None:
                heeded[bucket] = True
            exists = ObjectExistsError(name, self.address)
            rest = None if last else parts
            return create_object(lambda: self._mapped(name), bucket, key, first, rest, heeded, exists)
        if not last:
            return upload_parts(lambda: self._mapped(name), bucket, key, first, parts)
        with self._mapped(name) as client:
            client.put_object(bucket, key, first)
        return len(first)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_range(offset, length)
        return self._get(check_name(name), offset, length)

    def delete(self, names: Iterable[str]) -> None:
        checked = [check_name(name) for name in names]
        for start in range(0, len(checked), DELETE_BATCH_OBJECTS):
            self._delete_batch(checked[start : start + DELETE_BATCH_OBJECTS])

    def abort_unfinished(self, prefix: str) -> int:
        full = self._root + check_prefix(prefix)
        count = 0
        with self._mapped(None) as client:
            uploads = client.list_multipart_uploads(self._location.bucket, full)
        for item in uploads:
            with self._mapped(None) as client:
                client.abort_multipart_upload(self._location.bucket, item.key, item.upload)
            count += 1
        return count

    def interrupt(self) -> None:
        # A lock that is held may be waiting for the very store.
        shared = self._shared
        if shared is not None:
            shared.client.interrupt()

    def close(self) -> None:
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            release(shared)

    # Requests.

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = []
        for page in self._pages(self._root + prefix):
            for item in page.objects:
                name = item.key.removeprefix(self._root)
                # A key that ends in "/" is a folder, drawn by some console or left empty.
                if is_object_name(name):
                    found.append(ObjectInfo(name, item.size, item.modified))
        # SeaweedFS sorts by folder, "a/x" before "a-b", where S3 sorts whole names.
        yield from sorted(found, key=lambda info: info.name)

    def _holds_objects(self, full_prefix: str) -> bool:
        return any(not item.key.endswith("/") for page in self._pages(full_prefix) for item in page.objects)

    def _pages(self, prefix: str, delimiter: str = "") -> "Iterator[ListPage]":
        token: str | None = None
        while True:
            with self._mapped(None) as client:
                page = client.list_objects(self._location.bucket, prefix, delimiter, self._page_objects, token)
            self.requests.add("LIST")
            yield page
            if not page.truncated:
                return
            if page.token is None or page.token == token:
                raise StorageError(f"{self.address} says that its listing goes on but not where")
            token = page.token

    def _get(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        bucket, key = self._location.bucket, self._root + name
        if length == 0:
            with self._mapped(name) as client:
                client.head_object(bucket, key)
            return
        wanted = None
        if offset or length is not None:
            wanted = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        with self._mapped(name) as client:
            try:
                answer = client.get_object(bucket, key, wanted)
            except Exception as error:
                # The object is there but ends before the range begins, as every range of an empty one does.
                if error_code(error) == "InvalidRange" or error_status(error) == 416:
                    return
                raise
        with closing(answer):
            expected = answer.length
            if expected is None:
                raise StorageError(f"{self.address} does not say how long {name} is")
            if offset and "content-range" not in answer.headers:
                raise StorageError(f"{self.address} sent all of {name} when a part was asked for")
            if length is not None and expected > length:
                raise StorageError(f"{self.address} sent {expected} bytes of {name} when {length} were asked for")
            self.requests.add("GET", expected)
            received = 0
            while received < expected:
                with self._mapped(name):
                    chunk = answer.read(READ_CHUNK_BYTES)
                if not chunk:
                    raise StorageError(f"{self.address} sent {received} of {expected} bytes of {name}")
                received += len(chunk)
                yield chunk

    def _delete_batch(self, names: Sequence[str]) -> None:
        bucket = self._location.bucket
        with self._mapped(None):
            one_by_one = self._open().deletes_one_by_one
        if bucket not in one_by_one and self._delete_at_once(names):
            return
        for name in names:
            with self._mapped(None) as client:
                client.delete_object(bucket, self._root + name)
            self.requests.add("DELETE")
            # Now it is known to be the request for many that is refused, and not the right to delete.
            one_by_one.add(bucket)

    def _delete_at_once(self, names: Sequence[str]) -> bool:
        """Remove many with one request. Return False if the store refuses such requests, as far as it says."""
        with self._mapped(None) as client:
            try:
                refused = client.delete_objects(self._location.bucket, [self._root + name for name in names])
            except Exception as error:
                if error_code(error) in _NO_BATCH_CODES or error_status(error) in _NO_BATCH_STATUSES:
                    return False
                raise
        self.requests.add("DELETE")
        self._check_deleted(refused)
        return True

    def _check_deleted(self, errors: Sequence[Mapping[str, str]]) -> None:
        failed = [error for error in errors if error.get("Code") != "NoSuchKey"]
        if not failed:
            return
        first = failed[0]
        name, code = first.get("Key", "?").removeprefix(self._root), first.get("Code", "no reason given")
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        message = f"{self.address} did not remove {name}{more}: {code}"
        raise AccessDeniedError(message) if code == "AccessDenied" else StorageError(message)

    # The client.

    @contextmanager
    def _mapped(self, name: str | None) -> "Iterator[S3Client]":
        """The client, for one request about the object `name`, with foreign errors turned into ours."""
        shared: SharedClient | None = None
        try:
            shared = self._open()
            yield shared.client
        except Exception as error:
            ours = storage_error(error, self._context, name) if is_foreign(error) else None
            if isinstance(ours, AccessDeniedError) and shared is not None:
                self._forget(shared)
            if ours is None:
                raise
            raise ours from None

    def _open(self) -> SharedClient:
        with self._lock:
            if self._shared is None:
                credentials = find_credentials(self._location)
                if self._region is None:
                    self._region = self._ask_region(credentials)
                self._shared = acquire(self._connection(self._region, credentials), make_client)
            return self._shared

    def _connection(self, region: str, credentials: Credentials | None) -> Connection:
        location = self._location
        return Connection(
            location.endpoint,
            region,
            location.force_path_style,
            location.skip_verify,
            self._timeouts,
            credentials,
        )

    def _ask_region(self, credentials: Credentials | None) -> str:
        """The region of the bucket; AWS tells it even with a refusal."""
        shared = acquire(self._connection(DEFAULT_REGION, credentials), make_client)
        try:
            headers = shared.client.head_bucket(self._location.bucket)
            answer: Mapping[str, Any] = {"ResponseMetadata": {"HTTPHeaders": headers}}
        except Exception as error:
            if not error_status(error):
                raise
            answer = getattr(error, "response", {})
        finally:
            release(shared)
        return bucket_region(answer) or DEFAULT_REGION

    def _forget(self, shared: SharedClient) -> None:
        """Make a new client next time, which looks for credentials again: they may have been renewed."""
        with self._lock:
            mine = self._shared is shared
            if mine:
                self._shared = None
        forget(shared)
        if mine:
            release(shared)

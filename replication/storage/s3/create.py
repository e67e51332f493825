"""Storing an object only where there is none, on servers that heed `If-None-Match: *` and on those that do not.

Its promise: an object that is there is never replaced by a server that heeds the header. Whether it does is found out
once for each bucket, by making the first small object a second time with the same bytes: that is harmless whatever
comes of it, and however late. Until it is known, and where the header is ignored, a look comes right before the write.
"""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from replication.errors import ObjectExistsError, ObjectNotFoundError, StorageError
from replication.storage.s3.errors import error_code, error_status
from replication.storage.s3.upload import upload_parts

if TYPE_CHECKING:
    from replication.storage.s3.client import S3Client

TRIAL_BYTES_MAX = 64 * 1024
"""The largest object that is sent twice to find out what the server does."""
_BAD_REQUEST, _NOT_IMPLEMENTED = 400, 501
_REFUSALS = ("NotImplemented", "InvalidArgument", "InvalidRequest")
"""Codes with which servers refuse a header that they do not know, under status 400 or 501."""


def create_object(
    request: "Callable[[], AbstractContextManager[S3Client]]",
    bucket: str,
    key: str,
    first: bytearray,
    rest: Iterator[tuple[bytearray, bool]] | None,
    heeded: MutableMapping[str, bool],
    exists: ObjectExistsError,
) -> int:
    """Store `first` and `rest`, if it goes in parts, as a new object, and return its bytes.

    Raises `exists` if there is one. `request` is as in upload_parts; `heeded` has what is known of the header, by
    bucket.
    """

    def look() -> None:
        if heeded.get(bucket):
            return
        with suppress(ObjectNotFoundError):
            with request() as client:
                client.head_object(bucket, key)
            raise exists

    look()
    asked = heeded.get(bucket, True)
    if rest is not None:
        return upload_parts(request, bucket, key, first, rest, asked, look)
    if not asked or not _put(request, bucket, key, first):
        heeded[bucket] = False
        with request() as client:
            client.put_object(bucket, key, first)
    elif bucket not in heeded and len(first) <= TRIAL_BYTES_MAX:
        _try_again(request, bucket, key, first, heeded)
    return len(first)


def _put(
    request: "Callable[[], AbstractContextManager[S3Client]]", bucket: str, key: str, body: bytes | bytearray
) -> bool:
    """Store a new object. Return False if the server wants no such header, and has stored nothing."""
    with request() as client:
        try:
            client.put_object(bucket, key, body, create=True)
        except Exception as error:
            status = error_status(error)
            if status == _NOT_IMPLEMENTED or (status == _BAD_REQUEST and error_code(error) in _REFUSALS):
                return False
            raise
    return True


def _try_again(
    request: "Callable[[], AbstractContextManager[S3Client]]",
    bucket: str,
    key: str,
    body: bytes | bytearray,
    heeded: MutableMapping[str, bool],
) -> None:
    """Find out what the server does, with an object that was stored a moment ago: that is done, whatever comes now."""
    try:
        if _put(request, bucket, key, body):
            heeded[bucket] = False
    except ObjectExistsError:
        heeded[bucket] = True
    except StorageError:
        pass

"""One object in parts: a multipart upload that is finished or aborted, whatever happens.

Its promises: a failure leaves neither an object nor parts that cost money; and no more than PARTS_IN_FLIGHT_MAX parts
are held at a time. Only the death of the process can leave parts; a lifecycle rule of the bucket removes those.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from replication.errors import StorageError
from replication.storage.s3.parts import PARTS_MAX

if TYPE_CHECKING:
    from replication.storage.s3.client import S3Client

PARTS_IN_FLIGHT_MAX = 2
"""Parts on their way at a time, each on a thread of its own: while one is sent the next is made."""


def upload_parts(
    request: "Callable[[], AbstractContextManager[S3Client]]",
    bucket: str,
    key: str,
    first: bytearray,
    rest: Iterator[tuple[bytearray, bool]],
    create: bool = False,
    before_end: Callable[[], None] = lambda: None,
) -> int:
    """Store `first` and `rest` as one object and return its bytes.

    `request` gives the client for one request and turns foreign errors into ours; what `rest` raises passes, and
    so does what `before_end` raises when all parts are stored. `create` is as in S3Client.put_object.
    """
    with request() as client:
        upload = client.create_multipart_upload(bucket, key)

    def send(number: int, part: bytearray) -> str:
        with request() as client:
            return client.upload_part(bucket, key, upload, number, part)

    sending: deque[Future[str]] = deque()
    etags: list[str] = []
    number = size = 0
    part: bytearray | None = first
    try:
        while part is not None:
            number += 1
            if number > PARTS_MAX:
                raise StorageError(f"{key} is larger than any object that the bucket {bucket} can hold")
            size += len(part)
            sending.append(_begin(send, number, part))
            # Let go of this part before the next is cut.
            part = first = bytearray()
            if len(sending) == PARTS_IN_FLIGHT_MAX:
                etags.append(sending.popleft().result())
            part, _ = next(rest, (None, True))
        etags += [one.result() for one in sending]
        before_end()
        with request() as client:
            client.complete_multipart_upload(bucket, key, upload, etags, create)
    except BaseException:
        # A part that arrives after the end of its upload could stay for ever.
        for one in sending:
            one.exception()
        with suppress(StorageError), request() as client:
            client.abort_multipart_upload(bucket, key, upload)
        raise
    return size


def _begin(send: Callable[[int, bytearray], str], number: int, part: bytearray) -> Future[str]:
    """Send a part on a thread that does not keep the process from its end."""
    sent: Future[str] = Future()

    def run() -> None:
        try:
            sent.set_result(send(number, part))
        except BaseException as error:
            sent.set_exception(error)

    threading.Thread(target=run, name=f"s3-part-{number}", daemon=True).start()
    return sent

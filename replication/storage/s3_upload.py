"""One object in parts: a multipart upload that is finished or aborted, whatever happens.

Its promise: a failure leaves neither an object nor parts that cost money. Only the death of the process can
leave parts; a lifecycle rule of the bucket removes those.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from replication.errors import StorageError
from replication.storage.s3_parts import PARTS_MAX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


def upload_parts(
    request: "Callable[[], AbstractContextManager[S3Client]]",
    bucket: str,
    key: str,
    first: bytes,
    rest: Iterator[tuple[bytes, bool]],
) -> int:
    """Store `first` and `rest` as one object and return its bytes.

    `request` gives the client for one request and turns foreign errors into ours; what `rest` raises passes.
    """
    with request() as client:
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    done: list[CompletedPartTypeDef] = []
    size = 0
    part: bytes | None = first
    try:
        while part is not None:
            number = len(done) + 1
            if number > PARTS_MAX:
                raise StorageError(f"{key} is larger than any object that the bucket {bucket} can hold")
            with request() as client:
                answer = client.upload_part(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=part,
                    ContentMD5=content_md5(part),
                )
            done.append({"ETag": answer["ETag"], "PartNumber": number})
            size += len(part)
            # Let go of this part before the next is cut.
            part = first = b""
            part, _ = next(rest, (None, True))
        with request() as client:
            client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done})
    except BaseException:
        with suppress(StorageError), request() as client:
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise
    return size


def content_md5(data: bytes) -> str:
    """The value of the Content-MD5 header."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

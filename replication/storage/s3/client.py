"""The requests of the S3 protocol that a replica needs, each signed and sent once.

Its promises: an answer that is an error raises S3ResponseError, also where the status is 200; a body that is damaged
on its way is refused by the server, for its checksum is in the signature. It leaves words to s3/errors.py.
"""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from replication.storage.s3.address import Server, bucket_address
from replication.storage.s3.connections import Connections, Response
from replication.storage.s3.errors import bucket_region, error_status
from replication.storage.s3.faults import RequestFormatError, ResponseFormatError, S3FaultError, S3ResponseError
from replication.storage.s3.sign import UNSIGNED_PAYLOAD, Keys, Signer, spell_path, spell_query
from replication.storage.s3.xml import Document, completion, deletion, read_document

_USER_AGENT = "litestream-tui"
_REGION = re.compile(r"[a-zA-Z0-9-]{1,64}")
_WRONG_REGION_STATUSES = (301, 400)
"""With these a server says that a bucket is in another region, and does nothing."""
_CREATE = {"if-none-match": "*"}
"""Asks the server to answer 412, and to do nothing, if there is an object of that name."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that has not ended."""

    key: str
    upload: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing; `token` asks for the next, if it goes on."""

    objects: list[ListedObject]
    prefixes: list[str]
    truncated: bool
    token: str | None


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for a bucket or for one of its objects, before it is signed.

    `payload` is what is signed for the body, by default its SHA-256. `last` is true for one that is sent even after
    `interrupt`: it aborts an upload.
    """

    method: str
    bucket: str
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | bytearray = b""
    payload: str | None = None
    last: bool = False


class S3Client:
    """Requests to one server. Safe in several threads. `keys` is asked for each request, for keys are renewed."""

    def __init__(
        self, server: Server, region: str, path_style: bool, keys: Callable[[], Keys], connections: Connections
    ) -> None:
        self._server = server
        self._region = region
        self._path_style = path_style
        self._keys = keys
        self._connections = connections
        self._signer: tuple[Keys, Signer] | None = None
        self._followed = False
        """True once the server named another region than the one that was asked, which is believed once."""

    def put_object(self, bucket: str, key: str, body: bytes | bytearray, create: bool = False) -> None:
        """Store an object. With `create` it is stored only if there is none, by servers that know the header."""
        self._store(bucket, key, {}, body, _CREATE if create else {})

    def get_object(self, bucket: str, key: str, byte_range: str | None = None) -> Response:
        """The answer, whose body is still to be read and whose `close` is the caller's."""
        headers = {"range": byte_range} if byte_range else {}
        return self._send(_Request("GET", bucket, key, headers=headers))

    def head_object(self, bucket: str, key: str) -> None:
        self._ask(_Request("HEAD", bucket, key))

    def head_bucket(self, bucket: str) -> Mapping[str, str]:
        """Ask for the bucket. Return the headers of the answer, or of a refusal, which tell the region."""
        with closing(self._send_once(_Request("HEAD", bucket))) as answer:
            return answer.headers

    def list_objects(self, bucket: str, prefix: str, delimiter: str, keys_max: int, token: str | None) -> ListPage:
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(keys_max), "prefix": prefix}
        if delimiter:
            query["delimiter"] = delimiter
        if token is not None:
            query["continuation-token"] = token
        return _list_page(self._ask(_Request("GET", bucket, query=query)))

    def delete_object(self, bucket: str, key: str) -> None:
        self._ask(_Request("DELETE", bucket, key))

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> list[dict[str, str]]:
        """Remove objects. Return those that were not removed, each with its Key and, as Code, the reason."""
        body = deletion(keys)
        # AWS, and MinIO's request handling, want this header here.
        headers = {"content-md5": content_md5(body)}
        found = self._ask(_Request("POST", bucket, query={"delete": ""}, headers=headers, body=body))
        return [fields for name, fields in found.records if name == "Error"]

    def create_multipart_upload(self, bucket: str, key: str) -> str:
        """Begin an upload in parts. Return its id."""
        upload = self._ask(_Request("POST", bucket, key, query={"uploads": ""})).fields.get("UploadId")
        if not upload:
            raise ResponseFormatError("no id of an upload")
        return upload

    def upload_part(self, bucket: str, key: str, upload: str, number: int, body: bytes | bytearray) -> str:
        """Upload a part. Return its ETag."""
        headers = self._store(bucket, key, {"partNumber": str(number), "uploadId": upload}, body)
        etag = headers.get("etag")
        if not etag:
            raise ResponseFormatError("no ETag of a part")
        return etag

    def complete_multipart_upload(
        self, bucket: str, key: str, upload: str, etags: Sequence[str], create: bool = False
    ) -> None:
        headers = _CREATE if create else {}
        request = _Request("POST", bucket, key, {"uploadId": upload}, headers, completion(etags))
        if not self._ask(request).name:
            raise ResponseFormatError("nothing said of the object")

    def abort_multipart_upload(self, bucket: str, key: str, upload: str) -> None:
        with closing(self._send(_Request("DELETE", bucket, key, {"uploadId": upload}, last=True))) as answer:
            _document(answer)

    def list_multipart_uploads(self, bucket: str, prefix: str) -> list[Upload]:
        """Up to a thousand uploads in parts of keys that begin with `prefix`."""
        document = self._ask(_Request("GET", bucket, query={"uploads": "", "encoding-type": "url", "prefix": prefix}))
        spelled = document.fields.get("EncodingType") == "url"
        found = [
            Upload(unquote_plus(key) if spelled else key, upload)
            for kind, item in document.records
            if kind == "Upload" and (key := item.get("Key", "")) and (upload := item.get("UploadId", ""))
        ]
        # Not every server heeds the prefix.
        return [item for item in found if item.key.startswith(prefix)]

    def interrupt(self) -> None:
        """Break off all requests, and refuse others, but for those that abort an upload."""
        self._connections.interrupt()

    def close(self) -> None:
        self._connections.close()

    def _store(
        self,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        body: bytes | bytearray,
        headers: Mapping[str, str] = {},
    ) -> Mapping[str, str]:
        # One pass over the data: SeaweedFS compares an MD5 with the body and not the signature's SHA-256, and being
        # a header the MD5 is part of the signature.
        headers = {"content-md5": content_md5(body), **headers}
        with closing(self._send(_Request("PUT", bucket, key, query, headers, body, UNSIGNED_PAYLOAD))) as answer:
            _document(answer)
            return answer.headers

    def _ask(self, request: _Request) -> Document:
        with closing(self._send(request)) as answer:
            return _document(answer)

    def _send(self, request: _Request) -> Response:
        """The answer to a request, if it is no error. One that is refused for its region is sent to the other."""
        asked = self._region
        try:
            return self._send_once(request)
        except S3ResponseError as error:
            told = bucket_region(error.response) or ""
            if error_status(error) not in _WRONG_REGION_STATUSES or told == asked or not _REGION.fullmatch(told):
                raise
            # Another thread may have been told so meanwhile.
            if self._region != told and self._followed:
                raise
            self._followed, self._region, self._signer = True, told, None
        return self._send_once(request)

    def _send_once(self, request: _Request) -> Response:
        host, above = bucket_address(self._server, request.bucket, self._path_style)
        signer = self._signer_of(self._keys())
        try:
            path = spell_path(f"{above}/{request.key}" if request.key or not above else above)
            spelled = spell_query(request.query)
            payload = request.payload or hashlib.sha256(request.body).hexdigest()
            headers = {**request.headers, "host": host}
            signed = signer.sign(request.method, path, spelled, headers, payload, time.time())
            target = f"{path}?{spelled}" if spelled else path
            headers = {**signed, "user-agent": _USER_AGENT}
            answer = self._connections.request(request.method, host, target, headers, request.body, request.last)
        except OSError:
            # Among them is a certificate that is not trusted, which is a ValueError as well.
            raise
        except ValueError:
            # The words of the error may hold a key.
            raise RequestFormatError from None
        if 200 <= answer.status < 300:
            return answer
        with closing(answer):
            raise S3ResponseError(answer.status, answer.headers, _error_fields(answer))

    def _signer_of(self, keys: Keys) -> Signer:
        kept = self._signer
        if kept is None or kept[0] != keys:
            kept = self._signer = (keys, Signer(keys, self._region))
        return kept[1]


def content_md5(data: bytes | bytearray) -> str:
    """The value of the Content-MD5 header."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _document(answer: Response) -> Document:
    """The document in an answer, empty without a body. An error under a good status is raised as one."""
    body = answer.read_whole()
    if not body:
        return Document("", {}, [])
    document = read_document(body)
    if document.name == "Error":
        # S3 answers 200 before it knows how a long request ends.
        raise S3ResponseError(500, answer.headers, document.fields)
    return document


def _error_fields(answer: Response) -> dict[str, str]:
    """What an error says of itself; nothing if it is a page of some proxy, or cut: its status is known all the same."""
    try:
        document = read_document(answer.read_whole())
    except S3FaultError:
        return {}
    return document.fields if document.name == "Error" else {}


def _list_page(document: Document) -> ListPage:
    if document.name != "ListBucketResult":
        raise ResponseFormatError("not a listing")
    fields = document.fields
    spelled = fields.get("EncodingType") == "url"

    def name(text: str) -> str:
        return unquote_plus(text) if spelled else text

    try:
        objects = [
            ListedObject(name(item.get("Key", "")), int(item.get("Size", "0")), _moment(item["LastModified"]))
            for kind, item in document.records
            if kind == "Contents"
        ]
    except (KeyError, ValueError, OverflowError):
        raise ResponseFormatError("not a listing") from None
    prefixes = [name(item.get("Prefix", "")) for kind, item in document.records if kind == "CommonPrefixes"]
    return ListPage(
        objects, prefixes, fields.get("IsTruncated", "").lower() == "true", fields.get("NextContinuationToken") or None
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

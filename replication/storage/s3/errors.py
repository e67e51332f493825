"""What requests, servers and boto3's search for credentials raise, as our errors: one place, in short sentences.

It goes by the names of foreign classes and the codes of the S3 protocol, so that it can be read and tested
without boto3. Its promise: no key, password or signature is in any message.
"""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    ReplicationError,
    StorageError,
)
from replication.storage.s3.faults import S3FaultError

THROTTLING_CODES = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ServiceUnavailable",
        "RequestLimitExceeded",
        "RequestThrottled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
    }
)
"""Answers that ask for fewer requests, of AWS and of compatible servers; so do HTTP 429 and 503."""

_KEY_HINTS = {
    "InvalidAccessKeyId": "the store does not know the access key; check access-key-id",
    "SignatureDoesNotMatch": "the secret key does not match the access key; check secret-access-key",
    "InvalidSecurity": "the store does not accept the keys; check access-key-id and secret-access-key",
    "ExpiredToken": "the session token has expired; get new credentials",
    "TokenRefreshRequired": "the session token has expired; get new credentials",
    "InvalidToken": "the session token is not valid; get new credentials or unset AWS_SESSION_TOKEN",
}
_NO_CREDENTIALS = (
    "set access-key-id and secret-access-key in the configuration, or LITESTREAM_ACCESS_KEY_ID and "
    "LITESTREAM_SECRET_ACCESS_KEY or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment; "
    "the profiles of ~/.aws and the role of this machine are looked at too"
)
_WRONG_REGION_CODES = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_PRECONDITION_FAILED = 412
_GATEWAY_STATUSES = (502, 503, 504)
"""What a proxy before a store answers, as a page, when the store is away."""
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_SIGNATURE = re.compile(r"\b((?:Signature|Credential|X-Amz-[A-Za-z-]+)=)[^\s&,]+", re.IGNORECASE)
_FOREIGN_MESSAGE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class MessageContext:
    """How messages name the store, and the secrets that no message may contain."""

    address: str
    bucket: str
    server: str
    endpoint: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    bucket_host: str = ""
    """The virtual-hosted name (BUCKET.HOST), if requests go to it; else ''."""


def is_foreign(error: BaseException) -> bool:
    """True for errors of a request, of boto3 and what it is built on, and of the operating system."""
    modules = (kind.__module__.partition(".")[0] for kind in type(error).__mro__)
    return isinstance(error, OSError | S3FaultError) or any(
        name in ("boto3", "botocore", "urllib3") for name in modules
    )


def error_code(error: BaseException) -> str:
    """The S3 code of an answer that is an error, or "" if there was no such answer."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def error_status(error: BaseException) -> int:
    """The HTTP status of an answer that is an error, or 0 if there was no such answer."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def bucket_region(answer: Mapping[str, Any]) -> str | None:
    """The region that an answer about a bucket tells, be it an error or not."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region") or None


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """`text` on one line without secrets, signatures and what looks like an access key, cut short."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _SIGNATURE.sub(r"\1***", _ACCESS_KEY.sub("***", " ".join(text.split())))
    return text[:_FOREIGN_MESSAGE_CHARACTERS_MAX]


def storage_error(error: Exception, context: MessageContext, name: str | None = None) -> ReplicationError:
    """Our error for a foreign one. `name` is the object that the request was about, if any."""
    if _answer(error):
        return _answered(error, context, name)
    return _not_answered(error, context)


def _answered(error: Exception, context: MessageContext, name: str | None) -> StorageError:
    code, status, bucket = error_code(error), error_status(error), context.bucket
    if code == "NoSuchBucket" or (code == "404" and name is None):
        return BucketNotFoundError(
            f"the bucket {bucket} does not exist at {context.server}; make it in the console of the server, "
            + (f"with `mc mb ALIAS/{bucket}`, " if context.endpoint else "")
            + f"or with `aws s3 mb s3://{bucket}"
            + (f" --endpoint-url {context.endpoint}`" if context.endpoint else "`")
        )
    if name is not None and code in ("NoSuchKey", "404"):
        return ObjectNotFoundError(name, context.address)
    if name is not None and (code == "PreconditionFailed" or status == _PRECONDITION_FAILED):
        return ObjectExistsError(name, context.address)
    if code == "RequestTimeTooSkewed":
        return StorageError(
            f"{context.server} refused the request because the clock of this machine is off; set the clock"
        )
    if code in _WRONG_REGION_CODES or status == 301:
        region = bucket_region(_answer(error))
        return StorageError(
            f"the bucket {bucket} is not in the region that was asked; "
            + (f"set region to {region}" if region else "set region to that of the bucket")
        )
    headers = _answer(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    is_page = str(headers.get("content-type", "")).startswith("text/html")
    if code in THROTTLING_CODES or status == 429 or (status == 503 and not is_page):
        throttled = StorageError(f"{context.address} asks for fewer requests ({code or status})")
        throttled.throttled = True
        return throttled
    if is_page and status not in _GATEWAY_STATUSES:
        return _no_s3_server(context)
    if code in _KEY_HINTS:
        return AccessDeniedError(f"access to {context.address} denied: {_KEY_HINTS[code]} ({code})")
    if status in (401, 403) or code in ("AccessDenied", "AllAccessDisabled", "AccountProblem", "NotSignedUp"):
        return AccessDeniedError(
            f"access to {context.address} denied ({code or status}); the keys need permission to list, read, "
            "write and delete there: check access-key-id, secret-access-key and the policy of the bucket"
        )
    message = scrub(str(_answer(error).get("Error", {}).get("Message") or ""), context.secrets)
    about = f" about {name}" if name else ""
    return StorageError(f"{context.address} answered {code or status}{about}" + (f": {message}" if message else ""))


def _no_s3_server(context: MessageContext) -> StorageError:
    return StorageError(
        f"{context.server} does not answer as an S3 server; check the endpoint: it may be that of a web console"
    )


def _not_answered(error: Exception, context: MessageContext) -> StorageError:
    kind = type(error).__name__
    server = context.server
    if kind == "PartialCredentialsError":
        return AccessDeniedError(f"only half of a key pair was found for {context.address}; {_NO_CREDENTIALS}")
    if kind == "NoCredentialsError":
        return AccessDeniedError(f"no credentials were found for {context.address}; {_NO_CREDENTIALS}")
    if kind == "ProfileNotFound":
        return AccessDeniedError(f"the profile that AWS_PROFILE names is not in ~/.aws, for {context.address}")
    if any(word in kind for word in ("Credential", "Token", "SSO", "Login")):
        return AccessDeniedError(
            f"the credentials for {context.address} could not be fetched ({kind}); {_NO_CREDENTIALS}"
        )
    if kind == "ResponseFormatError":
        return _no_s3_server(context)
    if kind == "RequestFormatError":
        return StorageError(
            f"the request to {server} cannot be written; look for line ends and odd characters in access-key-id, "
            "secret-access-key, session token and path"
        )
    if kind in ("ResponseCutError", "IncompleteReadError", "ResponseStreamingError", "ProtocolError"):
        return StorageError(f"{server} closed the connection in the middle of an answer")
    if kind == "ProxyConnectionError":
        return StorageError(f"cannot reach {server}: the proxy in HTTP_PROXY or HTTPS_PROXY did not connect")
    causes = list(_causes(error))
    for cause in causes:
        reason = _tls_reason(cause)
        if reason:
            return StorageError(f"cannot reach {server}: {reason}")
    if kind in ("ConnectTimeoutError", "ConnectTimeout"):
        return StorageError(f"cannot reach {server}: it did not accept a connection in time")
    if kind in ("ReadTimeoutError", "ReadTimeout"):
        return StorageError(f"{server} did not answer in time")
    if context.bucket_host and any(isinstance(cause, socket.gaierror) for cause in causes):
        return StorageError(
            f"cannot reach {context.bucket_host}: this name, with the bucket in it, does not resolve; with "
            f"force-path-style: true the bucket stands in the path, and {server} is asked"
        )
    for cause in causes:
        reason = _network_reason(cause)
        if reason:
            return StorageError(f"cannot reach {server}: {reason}")
    if kind == "ConnectionClosedError":
        return StorageError(f"{server} closed the connection before it answered")
    return StorageError(f"the request to {server} failed: {kind}: {scrub(str(error), context.secrets)}")


def _tls_reason(cause: BaseException) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its TLS certificate is not trusted ({cause.verify_message}); name its authority in "
            "AWS_CA_BUNDLE, or set skip-verify if you trust the network"
        )
    if isinstance(cause, ssl.SSLError):
        if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            return "it does not speak TLS; if it speaks plain HTTP, begin the endpoint with http://"
        return f"the TLS handshake failed ({cause.reason or 'no reason given'})"
    if isinstance(cause, FileNotFoundError) or "CA certificate bundle" in str(cause):
        # OpenSSL does not name what it looked for; whoever reads a token or starts a program for credentials does.
        name = getattr(cause, "filename", None)
        return f"{name} is not there" if name else "the file that AWS_CA_BUNDLE names is not there"
    return None


def _network_reason(cause: BaseException) -> str | None:
    if isinstance(cause, socket.gaierror):
        return "its name does not resolve; check the endpoint and this machine's DNS"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused; is the server running?"
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return "connection reset"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
        return cause.strerror.lower()
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all it carries, outermost first: boto3 and urllib3 keep causes in several places."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        carried = [
            current.__cause__,
            current.__context__,
            getattr(current, "reason", None),
            getattr(current, "kwargs", {}).get("error"),
            *current.args,
        ]
        waiting += [item for item in carried if isinstance(item, BaseException)]


def _answer(error: BaseException) -> Mapping[str, Any]:
    answer = getattr(error, "response", None)
    return answer if isinstance(answer, Mapping) else {}

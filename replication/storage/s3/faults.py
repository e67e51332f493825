"""What may go wrong with a request to S3, before s3/errors.py says it in words.

    S3FaultError
    ├── S3ResponseError           the server answered with an error
    ├── ResponseFormatError       the answer is none of an S3 server
    ├── ResponseCutError          the connection ended within the answer
    ├── ConnectionClosedError   it ended before the answer
    ├── ConnectTimeoutError     no connection in time
    ├── ReadTimeoutError        no answer, or no more of it, in time
    ├── ProxyConnectionError    the proxy did not connect
    └── RequestFormatError      the request holds what no request can

What the operating system says, such as a refused connection, is passed as it is.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class S3FaultError(Exception):
    """The root of these. Their messages are never shown."""


class S3ResponseError(S3FaultError):
    """The server answered with an error; `response` has what it said, in the form that botocore gives it."""

    def __init__(self, status: int, headers: Mapping[str, str], fields: Mapping[str, str]) -> None:
        super().__init__(status)
        said = {"Code": str(status), "Message": _PHRASES.get(status, ""), **fields}
        self.response: dict[str, Any] = {
            "Error": said,
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": dict(headers)},
        }


class ResponseFormatError(S3FaultError):
    """The answer is not what S3 answers to such a request."""


class ResponseCutError(S3FaultError):
    """The connection ended in the middle of an answer."""


class ConnectionClosedError(S3FaultError):
    """The connection ended before an answer began; its cause may say why."""


class ConnectTimeoutError(S3FaultError):
    """No connection was accepted in time."""


class ReadTimeoutError(S3FaultError):
    """The server was silent for too long."""


class ProxyConnectionError(S3FaultError):
    """The proxy could not be reached, or did not reach the server."""


class RequestFormatError(S3FaultError):
    """Keys or names hold characters that no request can carry, such as line ends."""

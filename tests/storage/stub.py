"""A scripted HTTP server: it answers as no real store does on demand, and keeps what it was asked."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from replication.storage.s3.location import S3Location

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""A certificate for localhost that no authority signed, with its key."""


@dataclass(frozen=True)
class Request:
    verb: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """`length` may announce more than the body holds; the connection is closed after every answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


def error(status: int, code: str, message: str = "", **headers: str) -> Answer:
    """An error as S3 writes it."""
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, xml.encode(), {name.replace("_", "-"): value for name, value in headers.items()})


class Stub:
    """Answers each request with what `answer` makes of it; `requests` holds them all."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.scheme = "http"
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                stub.requests.append(request)
                answer = stub.answer(request)
                self.send_response(answer.status)
                length = len(answer.body) if answer.length is None else answer.length
                for name, value in {
                    "Content-Length": str(length),
                    "Connection": "close",
                    **answer.headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that leaves in the middle of an answer or a handshake is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}"

    def location(self) -> S3Location:
        return S3Location("bucket", "path", self.endpoint, "us-east-1", "STUBACCESSKEY", "STUBSECRETKEY")

    @contextmanager
    def serving(self, *, tls: bool = False) -> Iterator["Stub"]:
        if tls:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

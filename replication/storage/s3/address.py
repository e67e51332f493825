"""Where in an S3 server a bucket is: in the path, or in the name of the host. Pure.

Its promise: the same choice as botocore makes, so that what was reached by it stays reachable.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """An endpoint: `host` is as a Host header has it, so without the port that the scheme implies."""

    tls: bool
    host: str

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"


def parse_server(url: str) -> Server:
    """The server of a URL with scheme, host and perhaps port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return Server(
        parts.scheme == "https", host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"
    )


def bucket_address(server: Server, bucket: str, path_style: bool) -> tuple[str, str]:
    """The host to ask for a bucket, and the path that goes before each key, without its last slash."""
    if path_style or not _fits_host(server, bucket):
        return server.host, f"/{bucket}"
    return f"{bucket}.{server.host}", ""


def _fits_host(server: Server, bucket: str) -> bool:
    """True if a bucket may be part of a host name; under TLS no dots, for no certificate covers them."""
    name = server.host.rpartition(":")[0] or server.host
    if server.host.startswith("[") or _IPV4.fullmatch(name):
        return False
    labels = [bucket] if server.tls else bucket.split(".")
    return len(bucket) >= 3 and not _IPV4.fullmatch(bucket) and all(_LABEL.fullmatch(label) for label in labels)

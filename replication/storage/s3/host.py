"""The host part of an s3 URL: which bucket, which server, which region.

Pure. Its promise: a host with a port or of a known provider never falls back to AWS in silence.
"""

import ipaddress
import re
from dataclasses import dataclass

from replication.errors import ConfigError
from replication.scrub import quoted

DEFAULT_REGION = "us-east-1"
"""The region of every server that has none of its own."""

_REGION = re.compile(r"[a-zA-Z0-9-]{1,64}")
_BUCKET = re.compile(r"[a-zA-Z0-9._-]{1,255}")
_HOST_AND_PORT = re.compile(r"(.*?)(?::([0-9]{1,5}))?", re.DOTALL)
_SCHEME = re.compile(r"(https?)://(.+)", re.IGNORECASE | re.DOTALL)
_HOST_NAME = re.compile(r"[a-zA-Z0-9_.-]+|\[[0-9a-fA-F:.]+\]")

_AMAZON = re.compile(r"(?:(.+)\.)?s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
_PROVIDERS = (
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>s3\.(?P<region>[^.]+)\.backblazeb2\.com)"),
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>s3\.filebase\.com)"),
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>(?P<region>[^.]+)\.digitaloceanspaces\.com)"),
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>s3\.(?P<region>[^.]+)\.scw\.cloud)"),
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>(?P<region>[^.]+)\.linodeobjects\.com)"),
    re.compile(r"(?:(?P<bucket>.+)\.)?(?P<host>localhost)"),
)


@dataclass(frozen=True, slots=True)
class S3Host:
    """What a host says: a bucket, and a server and region if it names them."""

    bucket: str
    endpoint: str | None = None
    region: str | None = None


def parse_s3_host(text: str) -> S3Host:
    """Split `BUCKET`, `BUCKET.HOST`, `BUCKET.HOST:PORT`; raise ConfigError if the bucket is missing."""
    host, port = _split_port(text)
    if not host:
        raise ConfigError("bucket required for s3 replica: write s3://BUCKET/PATH")
    if ":" in host:
        # Not repeated: what follows the colon may be a password.
        raise ConfigError("the host of the s3 replica URL has a colon that no port follows")
    if match := _AMAZON.fullmatch(host):
        return _amazon(match[1], match[2], text)
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        raise ConfigError(f"{quoted(text)} is not a host this program can read; write s3://BUCKET/PATH?region=REGION")
    for provider in _PROVIDERS:
        if match := provider.fullmatch(host):
            found = match.groupdict()
            if found["bucket"] is None:
                raise _bucket_required(text)
            endpoint = parse_endpoint(_join_port(match["host"], port))
            # Filebase and localhost have no regions; a request must still be signed for one.
            return S3Host(found["bucket"], endpoint, found.get("region") or DEFAULT_REGION)
    if port is None:
        return S3Host(host)
    bucket, _, server = host.partition(".")
    if not bucket or not server or _is_address(host):
        raise _bucket_required(text)
    return S3Host(bucket, parse_endpoint(_join_port(server, port)), DEFAULT_REGION)


def parse_endpoint(text: str) -> str:
    """An endpoint as `scheme://host[:port]`; one without a scheme gets http on a local host, else https.

    Raises ConfigError for what is no endpoint, without repeating a password in it.
    """
    match = _SCHEME.fullmatch(text)
    scheme, rest = (match[1].lower(), match[2].rstrip("/")) if match else (None, text.rstrip("/"))
    if "@" in rest:
        raise ConfigError("the s3 endpoint has a user or password before @; it is only scheme, host and port")
    if match is None and "://" in text:
        raise ConfigError(f"the s3 endpoint {quoted(text)} is neither http:// nor https://")
    host, _ = _split_port(rest)
    if _HOST_NAME.fullmatch(host) is None:
        raise ConfigError(
            f"the s3 endpoint {quoted(text)} is not a host: write http://HOST:PORT, such as http://localhost:9000"
        )
    if scheme is None:
        scheme = "http" if is_local_host(host) else "https"
    return f"{scheme}://{rest}"


def check_bucket(bucket: str) -> str:
    """Return `bucket` if it can be one, else raise ConfigError."""
    if _BUCKET.fullmatch(bucket) is None:
        raise ConfigError(f"{quoted(bucket)!r} is not a bucket name: it has letters, digits, dots, hyphens and _")
    return bucket


def is_region(text: str) -> bool:
    """True for what may be a region."""
    return _REGION.fullmatch(text) is not None


def is_local_host(host: str) -> bool:
    """True for a host that is not on the open internet: a name without a dot, or an address."""
    name = host.lower().rstrip(".")
    if "." not in name and not name.startswith("["):
        return True
    return name.endswith((".localhost", ".local", ".internal")) or _is_address(name)


def is_loopback_host(host: str) -> bool:
    """True for this very machine."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _amazon(bucket: str | None, region: str | None, text: str) -> S3Host:
    if bucket is None:
        raise ConfigError(f"bucket required for s3 replica: {text} names none; write s3://BUCKET/PATH?region=REGION")
    return S3Host(bucket, None, region)


def _bucket_required(text: str) -> ConfigError:
    return ConfigError(
        f"bucket required for s3 replica: {text} names a server and no bucket; write s3://BUCKET.{text}/PATH "
        f"or s3://BUCKET/PATH?endpoint={text}"
    )


def _split_port(text: str) -> tuple[str, str | None]:
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 65536):
        raise ConfigError("the s3 server has a port that cannot be one: a port is a number from 1 to 65535")
    return match[1], match[2]


def _join_port(host: str, port: str | None) -> str:
    return host if port is None else f"{host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True

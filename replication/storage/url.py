"""Replica URLs: the text people write for a place, read into a Location, and a Location written for people.

Its promise: a URL either means one store, the one its writer sees in it, or is refused in words. It is pure,
and leaves to the caller whether the store exists. Errors are ConfigError and never repeat a password or key.

    s3://BUCKET/PATH                          AWS, the region is asked for
    s3://BUCKET.s3.REGION.amazonaws.com/PATH  AWS in that region
    s3://BUCKET.HOST:PORT/PATH                any server: http for a local host, else https
    s3://BUCKET.localhost/PATH                a server on this machine
    s3://BUCKET.s3.REGION.backblazeb2.com/PATH and other providers, see s3/host.py
    s3://BUCKET/PATH?endpoint=HOST:PORT&region=R&force-path-style=true&skip-verify=true
    file:///ABSOLUTE/PATH

Percent escapes are decoded in both. A file URL with a host (file://rel/x) is refused: Litestream reads it as
/rel/x, which nobody who writes it expects.
"""

import difflib
import posixpath
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote_to_bytes

from replication.errors import ConfigError
from replication.scrub import quoted
from replication.storage.location import FileLocation, Location, S3Location
from replication.storage.s3.host import DEFAULT_REGION, check_bucket, parse_endpoint, parse_s3_host

_URL = re.compile(r"(\w+)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL | re.ASCII)
_URL_START = re.compile(r"\w+://", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")

QUERY_KEYS = ("endpoint", "region", "force-path-style", "skip-verify")
"""What may follow the question mark of an s3 URL."""

_GOOGLE = "use type s3 with endpoint https://storage.googleapis.com and an HMAC key of the bucket's service account"
_MOUNT = "mount it, as with {}, and use type file"
NEAREST_WAY = {
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "abs": _MOUNT.format("blobfuse2 or rclone mount"),
    "azure": _MOUNT.format("blobfuse2 or rclone mount"),
    "sftp": _MOUNT.format("sshfs"),
    "nats": "use s3 or file",
    "webdav": _MOUNT.format("rclone mount or davfs2"),
    "webdavs": _MOUNT.format("rclone mount or davfs2"),
    "oss": "use type s3 with endpoint https://oss-REGION.aliyuncs.com and force-path-style: false",
}
"""Stores that some Litestream knows and this program does not, and how data may get there all the same."""

_REGION = re.compile(r"[a-zA-Z0-9-]{1,64}")
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SECRET_WORDS = ("secret", "password", "token", "access-key", "accesskey")


def is_replica_url(text: str) -> bool:
    """True if `text` begins as a URL does, so that it cannot be meant as a path."""
    return _URL_START.match(text) is not None


def parse_replica_url(text: str) -> Location:
    """Read a replica URL; raise ConfigError, in words, if it does not name one store."""
    match = _URL.fullmatch(text)
    if match is None:
        # What has no scheme is most likely a path, but it may be a mangled URL that holds a password.
        shown = f": {text}" if "@" not in text else ""
        raise ConfigError(f"replica url scheme required{shown}; write s3://BUCKET/PATH or file:///ABSOLUTE/PATH")
    scheme, host, path, query, fragment = match[1].lower(), match[2], match[3], match[4], match[5]
    if scheme in NEAREST_WAY:
        raise ConfigError(f"replica type {scheme} is not built yet; {NEAREST_WAY[scheme]}")
    if scheme not in ("s3", "file"):
        raise ConfigError(f"unknown replica type {quoted(scheme)}; use s3 or file")
    if "@" in host:
        raise ConfigError(
            f"the {scheme} replica URL has a user or password before @, which is not read from a URL; set "
            "access-key-id and secret-access-key in the configuration, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment"
        )
    if fragment is not None:
        raise ConfigError(f"the {scheme} replica URL has a #; write %23 where # is part of the path")
    if scheme == "file":
        return _file_location(host, path, query)
    return _s3_location(host, path, query)


def clean_path(path: str) -> str:
    """A path inside a bucket as Litestream keeps it: no slash at either end, no empty, "." or ".." parts."""
    return posixpath.normpath("/" + path).strip("/")


def format_location(location: Location) -> str:
    """Where a location is, for people: an address without secrets."""
    if isinstance(location, FileLocation):
        return f"file://{location.path}"
    path = clean_path(location.path)
    address = f"s3://{location.bucket}/{path}" if path else f"s3://{location.bucket}"
    return f"{address} at {location.endpoint}" if location.endpoint else address


def _file_location(host: str, path: str, query: str | None) -> FileLocation:
    if query is not None:
        raise ConfigError("a file replica URL takes no query; write %3F where ? is part of the path")
    if host and (":" in host or "@" in path):
        raise ConfigError(
            "the file replica URL has a host, and perhaps a user and password; a file URL has three slashes and an "
            "absolute path: file:///ABSOLUTE/PATH"
        )
    if host:
        raise ConfigError(
            f"file://{host}{path} names {host} as a host; a file URL has three slashes and an absolute path: "
            f"file:///{host}{path}"
        )
    if not path:
        raise ConfigError("file replica path required: write file:///ABSOLUTE/PATH")
    decoded = _decode(path, "surrogateescape")
    return FileLocation(Path("/" + clean_path(decoded)))


def _s3_location(host: str, path: str, query: str | None) -> S3Location:
    options = _query_options(query)
    found = parse_s3_host(_decode(host, "strict"))
    if "region" in options and _REGION.fullmatch(options["region"]) is None:
        raise ConfigError(f"{quoted(options['region'])!r} in the replica URL is not a region such as {DEFAULT_REGION}")
    endpoint = parse_endpoint(options["endpoint"]) if "endpoint" in options else found.endpoint
    return S3Location(
        bucket=check_bucket(found.bucket),
        path=clean_path(_decode(path, "strict")),
        endpoint=endpoint,
        region=options.get("region") or found.region,
        force_path_style=_boolean(options, "force-path-style"),
        skip_verify=_boolean(options, "skip-verify") or False,
    )


def _query_options(query: str | None) -> dict[str, str]:
    options: dict[str, str] = {}
    for written, value in parse_qsl((query or "?")[1:], keep_blank_values=True):
        key = _plain(written)
        if key not in QUERY_KEYS:
            raise ConfigError(_unknown_key(written))
        if key in options:
            raise ConfigError(f"the s3 replica URL has {quoted(key)} twice in its query")
        if not value:
            raise ConfigError(f"the s3 replica URL has {quoted(key)} without a value in its query")
        options[key] = value
    return options


def _unknown_key(key: str) -> str:
    if any(word in key.lower().replace("_", "-") for word in _SECRET_WORDS):
        return (
            f"the s3 replica URL has {key} in its query, but keys are not read from a URL; set them in the "
            "configuration or the environment"
        )
    nearest = difflib.get_close_matches(_plain(key), QUERY_KEYS, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"it may have {', '.join(QUERY_KEYS)}"
    return f"the s3 replica URL has an unknown key {quoted(key)!r} in its query; {hint}"


def _plain(key: str) -> str:
    """`forcePathStyle` and `force_path_style`, which people write as well, are force-path-style."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"-\1", key).lower().replace("_", "-")


def _boolean(options: dict[str, str], key: str) -> bool | None:
    if key not in options:
        return None
    value = _BOOLEANS.get(options[key].lower())
    if value is None:
        raise ConfigError(f"{key} in the s3 replica URL is true or false, not {quoted(options[key])!r}")
    return value


def _decode(text: str, errors: str) -> str:
    """Undo percent escapes; `errors` says what to do with bytes that are not UTF-8."""
    if _BAD_ESCAPE.search(text):
        raise ConfigError("the replica URL has a % that begins no escape; write %25 where % is part of it")
    try:
        decoded = unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", errors)
    except UnicodeDecodeError:
        raise ConfigError("the percent escapes of the replica URL are not UTF-8") from None
    if "\0" in decoded:
        raise ConfigError("the replica URL holds a NUL byte")
    return decoded

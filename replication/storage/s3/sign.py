"""Signature Version 4 of a request to S3, in its header form. Pure: the time is passed in.

Its promise: the signature is that of botocore's S3SigV4Auth for the same request. It leaves to the caller that path
and query are spelt as they are sent (`spell_path`, `spell_query`), and which headers there are.
Format: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""In place of the payload's SHA-256: the body is not part of the signature, but for a Content-MD5 that is signed."""

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that sign a request."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs for one pair of keys and one region. Safe in several threads, for what it keeps changes as a whole."""

    def __init__(self, keys: Keys, region: str) -> None:
        self._keys = keys
        self._region = region
        self._key_of_day = ("", b"")

    def sign(
        self, method: str, path: str, query: str, headers: Mapping[str, str], payload: str, now: float
    ) -> dict[str, str]:
        """`headers`, which are in lower case and name the host, with those that make the request a signed one.

        `payload` is the SHA-256 of the body in hex digits, or UNSIGNED_PAYLOAD; `now` is in seconds of the epoch.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        signed = {**headers, "x-amz-content-sha256": payload, "x-amz-date": stamp}
        if self._keys.token:
            signed["x-amz-security-token"] = self._keys.token
        names = sorted(signed)
        listed = ";".join(names)
        lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{payload}"
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = _hmac(self._key(stamp[:8]), f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={self._keys.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _key(self, day: str) -> bytes:
        kept, key = self._key_of_day
        if kept != day:
            key = f"AWS4{self._keys.secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = _hmac(key, part)
            self._key_of_day = (day, key)
        return key


def spell_path(path: str) -> str:
    """A path as it is sent and signed: every byte that is not a letter, digit or one of "/-._~" is escaped."""
    return quote(path, safe="/~")


def spell_query(query: Mapping[str, str]) -> str:
    """A query string as it is sent and signed: escaped, and sorted by name after that."""
    escaped = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in escaped)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

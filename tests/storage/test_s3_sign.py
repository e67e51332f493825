"""Signatures are those that botocore makes, whatever is signed; and only what is true is accepted by servers."""

from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import patch

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replication.storage.s3.sign import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Keys, Signer, spell_path, spell_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LINE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))


def botocore_signs(
    method: str, url: str, headers: dict[str, str], body: bytes, keys: Keys, region: str, moment: datetime, signed: bool
) -> dict[str, str]:
    """The headers of the same request when botocore has signed it, in lower case."""
    request = botocore.awsrequest.AWSRequest(method, url, dict(headers), body)
    config = SimpleNamespace(s3={"payload_signing_enabled": signed})
    request.context.update(client_config=config)
    credentials = botocore.credentials.Credentials(keys.access_key, keys.secret_key, keys.token)
    with patch.object(botocore.auth, "get_current_datetime", lambda: moment):
        botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    key=TEXT,
    query=st.dictionaries(TEXT.filter(bool), TEXT, max_size=4),
    md5=st.none() | LINE,
    byte_range=st.none() | LINE,
    body=st.binary(max_size=50),
    keys=st.builds(Keys, LINE, TEXT, st.none() | LINE.filter(bool)),
    region=st.sampled_from(["us-east-1", "eu-central-1", "x"]),
    moment=MOMENTS,
    signed=st.booleans(),
)
@example("GET", "a b/ü+%2F~?#&=*'()!", {"prefix": "x y/+", "a": "", "a-": "~"}, None, None, b"", Keys("a", "b"),
         "r", datetime(2026, 1, 2), True)  # fmt: skip
def test_as_botocore_signs(
    method: str,
    key: str,
    query: dict[str, str],
    md5: str | None,
    byte_range: str | None,
    body: bytes,
    keys: Keys,
    region: str,
    moment: datetime,
    signed: bool,
) -> None:
    path, spelled = spell_path(f"/bucket/{key}"), spell_query(query)
    headers = {"host": "server.example:9000"}
    headers |= {"content-md5": md5} if md5 is not None else {}
    headers |= {"range": byte_range} if byte_range is not None else {}
    url = f"http://server.example:9000{path}?{spelled}"
    theirs = botocore_signs(method, url, headers, body, keys, region, moment, signed)
    payload = theirs["x-amz-content-sha256"]
    assert signed or payload == UNSIGNED_PAYLOAD
    ours = Signer(keys, region).sign(method, path, spelled, headers, payload, moment.replace(tzinfo=UTC).timestamp())
    assert ours == theirs


def test_the_payload_of_nothing() -> None:
    url = "http://h/b"
    found = botocore_signs("GET", url, {}, b"", Keys("a", "b"), "r", datetime.now(UTC), True)
    assert found["x-amz-content-sha256"] == EMPTY_PAYLOAD


def test_the_key_of_a_day_is_that_of_the_day() -> None:
    """What is kept for a day does not sign the next one."""
    signer, keys = Signer(Keys("key", "secret"), "r"), Keys("key", "secret")
    for day in (1, 2, 2, 1):
        now = datetime(2026, 1, day, 23, 59, 59, tzinfo=UTC).timestamp()
        again = signer.sign("GET", "/", "", {"host": "h"}, EMPTY_PAYLOAD, now)
        assert again == Signer(keys, "r").sign("GET", "/", "", {"host": "h"}, EMPTY_PAYLOAD, now)


@pytest.mark.parametrize("keys", [Keys("CANARYKEY", "CANARYSECRET", "CANARYTOKEN")])
def test_no_key_in_a_repr(keys: Keys) -> None:
    assert "CANARY" not in repr(keys) + repr(Signer(keys, "r"))

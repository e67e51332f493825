"""Requests go where boto3 sends them: host, path and query, for each style, scheme and shape of bucket."""

from contextlib import closing
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.config
import pytest

from replication.storage.s3.address import bucket_address, parse_server
from replication.storage.s3.aws import endpoint_of
from replication.storage.s3.sign import spell_path

BUCKETS = [
    "bucket",
    "with.dots",
    "b1.2.3",
    "1.2.3.4",
    "-ends",
    "ends-",
    "a..b",
    "under_score",
    "UPPER",
    "abc",
    "x" * 63,
]
ENDPOINTS = [
    "http://server.example:9000",
    "https://server.example",
    "https://server.example:443",
    "https://server.example:8443",
    "http://127.0.0.1:9000",
    "http://[::1]:9000",
    "http://localhost",
    None,
]
KEY = "a b/ü+%2F~!*'()&=@:$,;/x"


@pytest.fixture(autouse=True)
def no_keys_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def session() -> boto3.session.Session:
    """One for all clients: what it reads of AWS takes most of the time of a client."""
    return boto3.session.Session("key", "secret")


class Asked:
    """What a client of boto3 would send for an endpoint and a style; nothing is sent."""

    def __init__(self, session: boto3.session.Session, endpoint: str | None, style: str) -> None:
        self._seen: list[Any] = []
        self._client: Any = session.client(
            "s3",
            endpoint_url=endpoint,
            region_name="eu-west-3",
            config=botocore.config.Config(
                s3={"addressing_style": style},  # type: ignore[arg-type]
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]
            ),
        )
        self._client.meta.events.register("before-send.s3", self._stop)

    def of(self, bucket: str) -> tuple[str, str]:
        """Host header and path of its request for the object."""
        self._client.head_object(Bucket=bucket, Key=KEY)
        parts = urlsplit(self._seen.pop().url)
        return parts.netloc.removesuffix(":443") if parts.scheme == "https" else parts.netloc, parts.path

    def close(self) -> None:
        self._client.close()

    def _stop(self, request: Any, **_: Any) -> Any:
        self._seen.append(request)
        return SimpleNamespace(status_code=200, headers={}, content=b"", raw=None)


@pytest.mark.parametrize("path_style", [True, False])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_as_boto3_asks(session: boto3.session.Session, endpoint: str | None, path_style: bool) -> None:
    server = parse_server(endpoint or endpoint_of("eu-west-3"))
    style = "path" if path_style else "virtual" if endpoint else "auto"
    with closing(Asked(session, endpoint, style)) as asked:
        for bucket in BUCKETS:
            if "." in bucket and server.host.startswith(("127.", "[")) and not path_style:
                # boto3 makes a name of the two that no resolver knows.
                assert bucket_address(server, bucket, path_style) == (server.host, f"/{bucket}")
                continue
            host, before = bucket_address(server, bucket, path_style)
            assert (host, spell_path(f"{before}/{KEY}")) == asked.of(bucket), bucket


@pytest.mark.parametrize(
    ("region", "variable", "host"),
    [
        ("us-east-1", None, "s3.amazonaws.com"),
        ("eu-west-3", None, "s3.eu-west-3.amazonaws.com"),
        ("cn-north-1", None, "s3.cn-north-1.amazonaws.com.cn"),
        ("us-west-2", "AWS_USE_DUALSTACK_ENDPOINT", "s3.dualstack.us-west-2.amazonaws.com"),
        ("us-east-1", "AWS_USE_FIPS_ENDPOINT", "s3-fips.us-east-1.amazonaws.com"),
        ("eu-west-3", "AWS_ENDPOINT_URL", "s3.eu-west-3.amazonaws.com"),
    ],
)
def test_where_aws_is(region: str, variable: str | None, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable:
        monkeypatch.setenv(variable, "http://elsewhere.example" if variable == "AWS_ENDPOINT_URL" else "true")
    assert endpoint_of.__wrapped__(region) == f"https://{host}"

"""Which certificates are believed, and which proxy is asked."""

import os
import ssl
from pathlib import Path

import pytest

from replication.errors import StorageError
from replication.storage.s3 import network as s3_network
from replication.storage.s3.address import parse_server
from replication.storage.s3.network import find_proxy, tls_context
from tests.storage.stub import CERTIFICATE


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("CA_BUNDLE"):
            monkeypatch.delenv(name)


def test_servers_are_verified_by_name_unless_it_is_said() -> None:
    context = tls_context(False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    context = tls_context(True)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_system_without_certificates_has_those_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_network, "_system_has_certificates", lambda: False)
    assert len(tls_context(False).get_ca_certs()) > 50


def test_a_bundle_stands_in_for_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
    assert len(tls_context(False).get_ca_certs()) == 1
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path))
    assert tls_context(False).get_ca_certs() == []


@pytest.mark.parametrize(
    ("variables", "url", "address"),
    [
        ({}, "http://far", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://far", "p:1"),
        ({"http_proxy": "p:1"}, "http://far", "p:1"),
        ({"HTTP_PROXY": "http://p"}, "http://far", "p:80"),
        ({"HTTPS_PROXY": "http://[::1]"}, "https://far", "[::1]:80"),
        ({"HTTP_PROXY": "http://[::1]:3128"}, "http://far", "[::1]:3128"),
        ({"HTTP_PROXY": "http://p:1"}, "https://far", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://far", "p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "far"}, "https://far", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "near"}, "https://far", "p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:9000", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://127.0.0.1:9000", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:9000", None),
    ],
)
def test_which_proxy(variables: dict[str, str], url: str, address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = find_proxy(parse_server(url))
    assert (proxy.address if proxy else None) == address


@pytest.mark.parametrize("url", ["https://user:CANARY@p:1", "socks5://user:CANARY@p:1", "http://"])
def test_a_proxy_that_cannot_be_used_is_refused_in_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", url)
    with pytest.raises(StorageError, match="name it as http://HOST:PORT") as caught:
        find_proxy(parse_server("http://far"))
    assert "CANARY" not in str(caught.value)


def test_the_password_of_a_proxy_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:CANARY@p:1")
    proxy = find_proxy(parse_server("http://far"))
    assert proxy is not None
    assert "proxy-authorization" in proxy.headers
    assert "CANARY" not in repr(proxy)

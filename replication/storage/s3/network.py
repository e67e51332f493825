"""What lies between this machine and an S3 server: the certificates it must show, and a proxy.

The certificates: AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE, as with boto3, else the system's, else botocore's. The proxy:
HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Nothing is sent here.
"""

import base64
import importlib.util
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from replication.errors import StorageError
from replication.storage.s3.address import Server
from replication.storage.s3.host import is_loopback_host

_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to in plain HTTP, with the header that names its user if it wants one."""

    address: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def tls_context(skip_verify: bool) -> ssl.SSLContext:
    """The TLS context that verifies the server's certificate and host name; with `skip_verify` it accepts any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    bundle = next((path for name in _BUNDLE_VARIABLES if (path := os.environ.get(name))), None)
    if bundle is None and not _system_has_certificates():
        bundle = _botocore_bundle()
    if bundle is None:
        context.load_default_certs()
    elif Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(bundle)
    return context


def find_proxy(server: Server) -> Proxy | None:
    """The proxy to reach a server through, if the environment names one."""
    # A proxy cannot reach the loopback of this machine; Go programs never ask it to.
    if is_loopback_host(urlsplit(server.url).hostname or ""):
        return None
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request

    if urllib.request.proxy_bypass(server.host):
        return None
    url = urllib.request.getproxies().get("https" if server.tls else "http")
    return _parse_proxy(url) if url else None


def _parse_proxy(url: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url.removeprefix('//')}")
    address = parts.netloc.rpartition("@")[2]
    if parts.scheme != "http" or not address:
        raise StorageError(
            "the proxy in HTTP_PROXY or HTTPS_PROXY is not one that this program can use; name it as http://HOST:PORT, "
            "which is for https:// servers too"
        )
    headers = {}
    # As in botocore: a user without a password is not sent.
    if parts.username and parts.password:
        pair = f"{unquote(parts.username)}:{unquote(parts.password)}".encode()
        headers["proxy-authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(address if parts.port is not None else f"{address}:80", headers)


def _system_has_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))


def _botocore_bundle() -> str | None:
    """The certificates that botocore brings, for small systems without any; botocore itself is not loaded."""
    found = importlib.util.find_spec("botocore")
    bundle = Path(found.origin).with_name("cacert.pem") if found and found.origin else None
    return str(bundle) if bundle and bundle.exists() else None

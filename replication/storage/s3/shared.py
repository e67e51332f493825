"""The clients that replicas share, and the keys they are made with.

Its promises: replicas with the same server, region, keys and settings use one client, and so the same connections;
and a client is closed with the last of its users. Making one is left to the caller, storage.py.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replication.errors import AccessDeniedError
from replication.storage.s3.location import S3Location
from replication.storage.s3.timeouts import Timeouts

if TYPE_CHECKING:
    from replication.storage.s3.client import S3Client

_CREDENTIAL_VARIABLES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
_TOKEN_VARIABLES = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
KEY_VARIABLES = (
    *(f"{program}_{name}" for program in ("AWS", "LITESTREAM") for name in _CREDENTIAL_VARIABLES),
    *_TOKEN_VARIABLES,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
"""Variables of the environment that hold the keys of a store."""
_EXPIRY_VARIABLE = "AWS_CREDENTIAL_EXPIRATION"
"""Keys of the environment that expire are left to boto3, which reads this."""

Credentials = tuple[str, str, str | None]
"""Access key, secret key, session token."""


@dataclass(frozen=True, slots=True)
class Connection:
    """All that makes a client: replicas with the same share one, and the connections it keeps."""

    endpoint: str | None
    region: str
    force_path_style: bool | None
    skip_verify: bool
    timeouts: Timeouts
    credentials: Credentials | None = field(repr=False)


class SharedClient:
    """A client and how many storages use it."""

    def __init__(self, connection: Connection, client: "S3Client") -> None:
        self.connection = connection
        self.client = client
        self.users = 0
        self.heeds_create: dict[str, bool] = {}
        """By bucket, whether its server heeds `If-None-Match`, as far as that was found out."""
        self.deletes_one_by_one: set[str] = set()
        """Buckets whose server was found out to refuse requests that remove many objects."""


_clients: dict[Connection, SharedClient] = {}
_clients_lock = threading.Lock()
"""Covers `_clients` and the making of a client, which reads files but sends nothing."""


def acquire(connection: Connection, make: Callable[[Connection], "S3Client"]) -> SharedClient:
    """The client of a connection, made if there is none. Each `acquire` wants one `release`."""
    with _clients_lock:
        shared = _clients.get(connection)
        if shared is None:
            shared = _clients[connection] = SharedClient(connection, make(connection))
        shared.users += 1
        return shared


def release(shared: SharedClient) -> None:
    """Let go of a client; the last user closes it."""
    with _clients_lock:
        shared.users -= 1
        unused = shared.users == 0
        if unused and _clients.get(shared.connection) is shared:
            del _clients[shared.connection]
    if unused:
        shared.client.close()


def forget(shared: SharedClient) -> None:
    """Have the next `acquire` make a new client; those who hold this one still release it."""
    with _clients_lock:
        if _clients.get(shared.connection) is shared:
            del _clients[shared.connection]


def find_credentials(location: S3Location) -> Credentials | None:
    """The key pair to use, with its session token; None leaves the search to boto3's chain.

    LITESTREAM_ variables stand in for AWS_ ones that are not set at all, each on its own.
    """
    if location.access_key_id or location.secret_access_key:
        if not (location.access_key_id and location.secret_access_key):
            missing = "secret-access-key" if location.access_key_id else "access-key-id"
            raise AccessDeniedError(f"{missing} is missing beside its other half for {location.address}")
        return location.access_key_id, location.secret_access_key, None
    if _EXPIRY_VARIABLE in os.environ and "AWS_ACCESS_KEY_ID" in os.environ:
        return None
    key, secret = (
        os.environ.get(f"AWS_{name}", os.environ.get(f"LITESTREAM_{name}", "")) for name in _CREDENTIAL_VARIABLES
    )
    token = next((value for name in _TOKEN_VARIABLES if (value := os.environ.get(name))), None)
    return (key, secret, token) if key and secret else None


def known_secrets(location: S3Location) -> tuple[str, ...]:
    """Whatever no message may hold, as far as it is known here."""
    named = [f"{program}_{name}" for program in ("AWS", "LITESTREAM") for name in _CREDENTIAL_VARIABLES]
    found = [os.environ.get(name, "") for name in [*named, *_TOKEN_VARIABLES]]
    return tuple(value for value in [location.access_key_id, location.secret_access_key, *found] if value)

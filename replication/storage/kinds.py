"""The kinds of stores that there are, and what to say of those that some Litestream has and this program does not.

A new kind is a folder here and its name in KIND_NAMES.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from replication.storage.kind import Kind

KIND_NAMES = (
    "s3",
    "file",
)
"""Each is a folder beside this file whose module `kind` holds KIND, in the order in which messages name them."""

DEFAULT_KIND = "file"
"""The type of a replica that names none."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A store that this program does not have: how data may get there all the same, and its keys in Litestream 0.3."""

    nearest_way: str
    keys: tuple[str, ...] = ()


_GOOGLE = "use type s3 with endpoint https://storage.googleapis.com and an HMAC key of the bucket's service account"
_MOUNT = "mount it, as with {}, and use type file"
MISSING: Mapping[str, Missing] = {
    "gs": Missing(_GOOGLE),
    "gcs": Missing(_GOOGLE),
    "abs": Missing(_MOUNT.format("blobfuse2 or rclone mount"), ("account-key", "account-name")),
    "azure": Missing(_MOUNT.format("blobfuse2 or rclone mount")),
    "sftp": Missing(_MOUNT.format("sshfs"), ("host", "key-path", "password", "user")),
    "nats": Missing("use s3 or file"),
    "webdav": Missing(_MOUNT.format("rclone mount or davfs2")),
    "webdavs": Missing(_MOUNT.format("rclone mount or davfs2")),
    "oss": Missing("use type s3 with endpoint https://oss-REGION.aliyuncs.com and force-path-style: false"),
}
"""By the word for their type, or the scheme of their URL."""


def _load(name: str) -> Kind[Any]:
    kind = import_module(f"replication.storage.{name}.kind").KIND
    assert isinstance(kind, Kind)
    assert kind.name == name
    return kind


KINDS: Mapping[str, Kind[Any]] = {name: _load(name) for name in KIND_NAMES}
"""By the word for `type`, which is the scheme of the URL too. It is made once and not changed."""

TYPES = " or ".join(", ".join(KIND_NAMES).rsplit(", ", 1))
"""For messages: "s3 or file"."""

URL_FORMS = " or ".join(", ".join(kind.url_form for kind in KINDS.values()).rsplit(", ", 1))
"""For messages: how URLs are written."""

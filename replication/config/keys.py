"""The keys of litestream.yml: which there are at each level, and what to say about one that is not there.

Its promise: a key that is not in these tables is named in a refusal with the way to the right one, never
passed over: a setting that is silently ignored is a backup that is not what its owner believes.
"""

import difflib
from typing import Literal

Level = Literal["top", "logging", "dbs[]", "dbs[].replicas[]"]

KEYS: dict[Level, tuple[str, ...]] = {
    "top": ("access-key-id", "addr", "dbs", "exec", "logging", "secret-access-key"),
    "logging": ("level", "stderr", "type"),
    "dbs[]": (
        "checkpoint-interval",
        "max-backlog-size",
        "max-checkpoint-page-count",
        "meta-path",
        "min-checkpoint-page-count",
        "monitor-interval",
        "path",
        "replicas",
    ),
    "dbs[].replicas[]": (
        "access-key-id",
        "account-key",
        "account-name",
        "age",
        "bucket",
        "endpoint",
        "force-path-style",
        "host",
        "key-path",
        "name",
        "password",
        "path",
        "region",
        "retention",
        "retention-check-interval",
        "secret-access-key",
        "skip-verify",
        "snapshot-interval",
        "sync-interval",
        "type",
        "url",
        "user",
        "validation-interval",
    ),
}
"""Every key of Litestream 0.3.13, at its level, and max-backlog-size, which is ours."""

S3_KEYS = (
    "access-key-id",
    "bucket",
    "endpoint",
    "force-path-style",
    "region",
    "secret-access-key",
    "skip-verify",
)
"""Keys of a replica that only type s3 reads."""

FOREIGN_KEYS = {
    "account-key": "abs",
    "account-name": "abs",
    "host": "sftp",
    "key-path": "sftp",
    "password": "sftp",
    "user": "sftp",
}
"""Keys of a replica that belong to a type which this program does not have."""

SECRET_KEYS = frozenset({"access-key-id", "account-key", "age", "password", "secret-access-key", "url"})
"""Keys whose values never appear in a message. A replica URL may hold a password."""

HOLDER_PREFIX = "x-"
"""Keys at the top that begin so are not settings: they hold YAML anchors for others to refer to."""

_EACH_REPLICA = "set snapshot-interval and retention of each replica"
_NOT_KEPT_SO = "remove it: objects are stored without it"
_NO_COMPACTION = "remove it: segments are not compacted"
_OTHER_STORE = "it belongs to a store that this program does not have"

KEYS_OF_05 = {
    "auto-recover": "remove it: a new generation begins by itself where the old one cannot go on",
    "busy-timeout": "remove it",
    "client-cert": _OTHER_STORE,
    "client-key": _OTHER_STORE,
    "concurrency": "remove it",
    "concurrent-writes": _OTHER_STORE,
    "creds": _OTHER_STORE,
    "dir": "write one entry with path for each database",
    "heartbeat-interval": "remove it",
    "heartbeat-url": "remove it",
    "host-key": _OTHER_STORE,
    "jwt": _OTHER_STORE,
    "l0-retention": _NO_COMPACTION,
    "l0-retention-check-interval": _NO_COMPACTION,
    "levels": _NO_COMPACTION,
    "max-reconnects": _OTHER_STORE,
    "max-sync-ltx-files": "remove it",
    "max-sync-wal-bytes": "remove it",
    "mcp-addr": "remove it",
    "meta-dir": "set meta-path of each database",
    "nkey": _OTHER_STORE,
    "part-size": "remove it",
    "pattern": "write one entry with path for each database",
    "permissions": "remove it",
    "persist-wal": "remove it",
    "reconnect-wait": _OTHER_STORE,
    "recursive": "write one entry with path for each database",
    "replica": "write it as a list under replicas",
    "require-content-md5": "remove it",
    "restore-if-db-not-exists": "run restore -if-db-not-exists before replicate",
    "root-cas": _OTHER_STORE,
    "sas-token": _OTHER_STORE,
    "seed": _OTHER_STORE,
    "shutdown-sync-interval": "remove it",
    "shutdown-sync-timeout": "remove it",
    "sign-accept-encoding": "remove it",
    "sign-payload": "remove it",
    "snapshot": _EACH_REPLICA,
    "snapshots": _EACH_REPLICA,
    "socket": "remove it",
    "source": "remove it",
    "sse-customer-algorithm": _NOT_KEPT_SO,
    "sse-customer-key": _NOT_KEPT_SO,
    "sse-customer-key-path": _NOT_KEPT_SO,
    "sse-kms-key-id": _NOT_KEPT_SO,
    "storage-class": _NOT_KEPT_SO,
    "timeout": _OTHER_STORE,
    "tls": _OTHER_STORE,
    "token": _OTHER_STORE,
    "truncate-page-n": "set max-checkpoint-page-count",
    "username": _OTHER_STORE,
    "validation": "set validation-interval of each replica",
    "verify-compaction": _NO_COMPACTION,
    "watch": "write one entry with path for each database",
    "webdav-password": _OTHER_STORE,
    "webdav-url": _OTHER_STORE,
    "webdav-username": _OTHER_STORE,
}
"""Keys that only Litestream 0.5 knows, each with what to do instead."""

SHOWN_CHARS_MAX = 60
"""A longer key or value is cut in a message."""


def unknown_key(level: Level, key: str) -> str:
    """What to say about a key that `level` does not have: the end of a sentence that begins with it."""
    if key in KEYS_OF_05:
        return f"is a key of Litestream 0.5, and this file is read as Litestream 0.3 does; {KEYS_OF_05[key]}"
    homes = [home for home, keys in KEYS.items() if key in keys]
    if homes:
        where = " and ".join("the top level" if home == "top" else home for home in homes)
        return f"does not belong here; it is a key of {where}"
    plain = key.lower().replace("_", "-")
    nearest = difflib.get_close_matches(plain, [*KEYS[level], *KEYS_OF_05], n=1)
    if nearest and nearest[0] in KEYS[level]:
        return f"is not a known key; did you mean {nearest[0]}?"
    if nearest:
        return f"is not a known key; {nearest[0]} is one of Litestream 0.5: {KEYS_OF_05[nearest[0]]}"
    return f"is not a known key; here may be {', '.join(KEYS[level])}"


def shown(text: str) -> str:
    """A key or value as a message shows it: cut, and with nothing in it that a terminal would obey."""
    cut = text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)

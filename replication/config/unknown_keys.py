"""The keys of litestream.yml: which there are at each level, and what to say about one that is not there.

Its promise: a key that is not in these tables is named in a refusal with the way to the right one, never
passed over: a setting that is silently ignored is a backup that is not what its owner believes. What changes
neither where data goes nor how it is kept may stand here, and is named too.
"""

import difflib
import re

from replication.config.schema import KIND_KEYS, ROWS, Level
from replication.scrub import SECRET_CHARS_MIN, quoted
from replication.storage.kinds import KINDS, MISSING
from replication.storage.url_parts import plain

FOREIGN_KEYS = {key: name for name, store in MISSING.items() for key in store.keys}
"""Keys of a replica that belong to a type which this program does not have."""

_REFUSED = {"dbs[].replicas[]": (*FOREIGN_KEYS, "age")}
"""Keys of Litestream 0.3.13 that are known to be refused."""

KEYS: dict[Level, tuple[str, ...]] = {
    level: tuple(sorted({key.name for key in rows} | set(_REFUSED.get(level, ())))) for level, rows in ROWS.items()
}
"""Every key of Litestream 0.3.13, at its level; heartbeats, socket and `dir` with its keys, of 0.5; and ours."""

ALSO: dict[Level, tuple[str, ...]] = {
    "top": ("snapshot",),
    "dbs[]": ("replica", "snapshot"),
    "snapshot": ("interval", "retention"),
}
"""Keys of Litestream 0.5 whose meaning is plain here as well."""

KEYS_FOR_ALL = tuple(key for keys in KIND_KEYS.values() for key in keys if key.is_for_all)
"""Keys of a replica that may stand at the top, for every one that has none of its own."""

SECRET_KEYS = frozenset(
    {"account-key", "age", "password"} | {key.name for rows in ROWS.values() for key in rows if key.is_secret}
)
"""Keys whose values never appear in a message. A replica URL may hold a password."""

HOLDER_PREFIX = "x-"
"""Keys at the top that begin so are not settings: they hold YAML anchors for others to refer to."""

_OTHER_STORE = "it belongs to a store that this program does not have"

IDLE_KEYS_OF_05 = {
    **{key: why for kind in KINDS.values() for key, why in kind.idle_keys.items()},
    "auto-recover": "a new generation begins by itself where the old one cannot go on",
    "busy-timeout": "locks of others are tried again for as long as it takes",
    "l0-retention": "segments are not compacted",
    "l0-retention-check-interval": "segments are not compacted",
    "levels": "segments are not compacted",
    "max-sync-ltx-files": "uploads are bounded by themselves",
    "max-sync-wal-bytes": "uploads are bounded by themselves",
    "mcp-addr": "there is no such server",
    "persist-wal": "the WAL is always kept",
    "shutdown-sync-interval": "the last sync is tried until its time is over",
    "shutdown-sync-timeout": "the last sync has a time of its own",
    "source": "the log names no lines of the program",
    "truncate-page-n": "checkpoints go by min-checkpoint-page-count and max-checkpoint-page-count",
    "validation": "set validation-interval of each replica to have it verified",
    "verify-compaction": "segments are not compacted",
}
"""Keys that only Litestream 0.5 knows and that change nothing of what is kept here, each with why."""

KEYS_OF_05 = {
    **{key: why for kind in KINDS.values() for key, why in kind.refused_keys.items()},
    "client-cert": _OTHER_STORE,
    "client-key": _OTHER_STORE,
    "concurrent-writes": _OTHER_STORE,
    "creds": _OTHER_STORE,
    "host-key": _OTHER_STORE,
    "jwt": _OTHER_STORE,
    "max-reconnects": _OTHER_STORE,
    "nkey": _OTHER_STORE,
    "reconnect-wait": _OTHER_STORE,
    "restore-if-db-not-exists": "run restore -if-db-not-exists before replicate",
    "root-cas": _OTHER_STORE,
    "sas-token": _OTHER_STORE,
    "seed": _OTHER_STORE,
    "snapshots": "set snapshot-interval and retention of each replica",
    "timeout": _OTHER_STORE,
    "tls": _OTHER_STORE,
    "token": _OTHER_STORE,
    "username": _OTHER_STORE,
    "webdav-password": _OTHER_STORE,
    "webdav-url": _OTHER_STORE,
    "webdav-username": _OTHER_STORE,
}
"""The others that only Litestream 0.5 knows, each with what to do instead."""

_OTHER_WORDS = ("databases", "database")
"""Keys that people write besides, which are no secrets."""
_WORDS = frozenset(
    word
    for name in (*(key for keys in KEYS.values() for key in keys), *KEYS_OF_05, *_OTHER_WORDS)
    for word in name.split("-")
)


def unknown_key(level: Level, key: str) -> str:
    """What to say about a key that `level` does not have: the end of a sentence that begins with it."""
    if key in KEYS_OF_05:
        return f"is a key of Litestream 0.5, and this file is read as Litestream 0.3 does; {KEYS_OF_05[key]}"
    homes = [home for home in KEYS if key in keys_of(home)]
    if homes:
        where = " and ".join("the top level" if home == "top" else home for home in homes)
        return f"does not belong here; it is a key of {where}"
    known = keys_of(level)
    nearest = difflib.get_close_matches(plain(key), [*known, *KEYS_OF_05], n=1)
    if nearest and nearest[0] in known:
        return f"is not a known key; did you mean {nearest[0]}?"
    if nearest:
        return f"is not a known key; {nearest[0]} is one of Litestream 0.5: {KEYS_OF_05[nearest[0]]}"
    return f"is not a known key; here may be {', '.join(KEYS.get(level, known))}"


def keys_of(level: Level) -> tuple[str, ...]:
    """All keys that are understood at a level."""
    return KEYS.get(level, ()) + ALSO.get(level, ())


def shown_key(key: str) -> str:
    """A key as a message shows it: one that is nothing like a known key may be a secret that slipped there."""
    words = re.split(r"[- ]+", plain(key))
    if len(key) < SECRET_CHARS_MIN or key.startswith(HOLDER_PREFIX) or all(word in _WORDS for word in words):
        return quoted(key)
    everything = [name for table in (KEYS, ALSO) for names in table.values() for name in names]
    everything += [*KEYS_OF_05, *IDLE_KEYS_OF_05]
    return quoted(key) if difflib.get_close_matches(plain(key), everything, n=1) else "(a key that is not shown)"

"""What litestream.yml may hold, a row for each key, as the frozen values that it is read into; defaults of 0.3.13.

A field with a row is read by its row. Keys that say where a replica is have rows too: those of every replica here,
those of a kind of store in its folder (storage/kinds.py). What callers need is in replication.config.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from replication.config.pattern import is_kept_beside, matches
from replication.config.program import Defaults
from replication.config.program import HostConfig as HostConfig
from replication.config.program import LoggingConfig as LoggingConfig
from replication.config.program import SocketConfig as SocketConfig
from replication.key_rows import Key, row
from replication.storage.kinds import DEFAULT_KIND, KINDS, TYPES
from replication.storage.location import Location

Level = Literal["top", "logging", "socket", "hosts[]", "dbs[]", "dbs[].replicas[]", "snapshot"]
"""A section of the file: the path of its keys in the document."""

RETENTION_CHECKED_WITHOUT_PAUSE = "retention would be checked without pause"


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """One destination of one database. Times are seconds; retention, snapshot and validation are off at 0.

    The retention check interval is at most the retention, unless that is off.
    """

    name: Annotated[
        str,
        Key(
            name="name",
            why="The name of the replica, for -replica and in the log. Default: its type. Unique within a database.",
            reader="text",
            otherwise="its type",
            example="s3",
        ),
    ]
    location: Location
    retention: float = row(
        "retention",
        "How far back a restore can go: older snapshots and their WAL are removed. 0 keeps everything.",
        "duration",
        24 * 3600.0,
    )
    retention_check_interval: float = row(
        "retention-check-interval",
        "How often to look for what is older. Never longer than retention.",
        "duration",
        3600.0,
    )
    sync_interval: float = row(
        "sync-interval",
        "The mean time between two uploads of a busy database. Quiet time is saved up: after it up to ten go at once.",
        "duration",
        1.0,
        never_zero="uploads would never pause",
    )
    snapshot_interval: float = row(
        "snapshot-interval",
        "A snapshot at least this often makes restores faster. 0: only at a new generation and for retention.",
        "duration",
        0.0,
    )
    validation_interval: float = row(
        "validation-interval",
        "Restore the replica and compare it with the database this often. 0: never.",
        "duration",
        0.0,
    )


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """One database. Times are seconds; a checkpoint interval or a maximum page count of 0 is off.

    `max_backlog_bytes` is how much WAL may wait for one replica: None is the default, 0 no limit but the disk's.
    """

    path: Annotated[
        Path,
        Key(
            name="path",
            why="The database file, absolute or from the folder where the program starts; ~ is your home. "
            "It may not exist yet.",
            reader="path",
            example="./fruits.db",
            is_set=True,
        ),
    ]
    meta_path: Annotated[
        Path,
        Key(
            name="meta-path",
            why="The local folder for the shadow WAL. Default: .NAME-litestream beside the database. "
            "Never shared by two.",
            reader="path",
            otherwise=".NAME-litestream beside the database",
            example="./.fruits.db-litestream",
        ),
    ]
    replicas: Annotated[
        tuple[ReplicaConfig, ...],
        Key(
            name="replicas",
            why="Each replica is one full copy. Two may never have the same place.",
            reader="list",
            is_set=True,
        ),
    ]
    monitor_interval: float = row(
        "monitor-interval",
        "How often to look for changes that no notification announced. More than 0.",
        "duration",
        1.0,
        never_zero="with 0 nothing would be replicated",
    )
    checkpoint_interval: float = row(
        "checkpoint-interval",
        "The longest time without a checkpoint while there is something to copy back. 0 switches it off.",
        "duration",
        60.0,
    )
    min_checkpoint_page_count: int = row(
        "min-checkpoint-page-count",
        "Pages in the WAL after which a checkpoint is tried (1000 pages of 4 KiB are about 4 MB). At least 1.",
        "count",
        1_000,
        unit="pages",
        least=1,
    )
    max_checkpoint_page_count: int = row(
        "max-checkpoint-page-count",
        "Pages in the WAL after which a checkpoint is tried harder. 0 switches it off.",
        "count",
        10_000,
        unit="pages",
    )
    max_backlog_bytes: int | None = row(
        "max-backlog-size",
        "How much WAL may wait in the local folder for one replica that does not answer: 512MB, 2GiB. Beyond it that "
        "replica begins anew with a snapshot, and has no restore points between the two; the others notice nothing. "
        "Default: the larger of 256MiB and four times the database. Nothing that waits takes the last tenth of the "
        "disk; 0: only that.",
        "size",
        None,
        otherwise="the larger of 256MiB and four times the database",
        example="256MiB",
    )


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """A folder whose databases are replicated alike, each to a place of its own below that of `each`."""

    path: Annotated[
        Path,
        Key(
            name="dir",
            why="In place of path: a folder. Each database in it is replicated as this entry says, to the replica's "
            "path with the database's own path in the folder behind it. The folder may not exist yet. Links and names "
            "that begin with a dot are left alone.",
            reader="path",
            example="./tenants",
        ),
    ]
    each: DatabaseConfig
    """What each has. Its path is the folder, and the places of its replicas are those that all lie below."""
    pattern: str = row(
        "pattern",
        "With dir: which files, by their names: *, ?, [a-z], [^a-z]. What is no SQLite database is left alone.",
        "text",
        "",
        example='"*.db"',
    )
    recursive: bool = row("recursive", "With dir: whether folders in it are looked through as well.", "flag", False)
    watch: bool = row(
        "watch",
        "With dir: whether databases that appear later are replicated, and those that go are ended. With false the "
        "folder is looked at once.",
        "flag",
        False,
    )
    meta_path: Annotated[
        Path | None,
        Key(
            name="meta-dir",
            why="With dir: where the local folders lie. Default: each beside its database.",
            reader="path",
            otherwise="each beside its database",
            example="./tenants-litestream",
        ),
    ] = None

    def database(self, name: str) -> DatabaseConfig:
        """The configuration of the database at `name`, a path below the folder."""
        path = self.path / name
        meta = default_meta_path(path if self.meta_path is None else self.meta_path / name)
        replicas = tuple(replace(item, location=item.location.below(name)) for item in self.each.replicas)
        return replace(self.each, path=path, meta_path=meta, replicas=replicas)

    def takes(self, name: str) -> bool:
        """True if the pattern takes a path from the folder. Whether a database lies there is another question."""
        *folders, last = name.split("/")
        hidden = last.startswith(".") and not self.pattern.startswith(".")
        if hidden or (folders and not self.recursive) or any(part.startswith(".") for part in folders):
            return False
        return not is_kept_beside(last) and matches(self.pattern, last)

    def name_of(self, path: Path) -> str | None:
        """The path from the folder of one that is looked for; None for any other."""
        name = path.relative_to(self.path).as_posix() if self.path in path.parents else ""
        return name if name and self.takes(name) else None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. `path` is None when it came from the command line.

    `warnings` are sentences for the log: what is allowed, but most likely not meant. `information` is what was
    understood although it is spelled in another way.
    """

    path: Path | None
    databases: Annotated[tuple[DatabaseConfig, ...], Key(name="dbs", why="The databases.", reader="list", is_set=True)]
    addr: str | None = row(
        "addr",
        "Where /metrics, /healthz and /readyz are served, HOST:PORT. Without a host it is every interface: whoever "
        "reaches the port can read the paths of the databases.",
        "text",
        None,
        example="127.0.0.1:9090",
    )
    exec_command: str | None = row(
        "exec",
        "A command to run beside replication. It gets SIGINT and SIGTERM; when it ends, replication ends too.",
        "text",
        None,
        example="/usr/local/bin/app -port 8080",
    )
    logging: LoggingConfig = field(
        default=LoggingConfig(), metadata={"key": Key(name="logging", why="How to log.", reader="map")}
    )
    warnings: tuple[str, ...] = ()
    exec_inherits_keys: bool = row(
        "exec-inherit-keys",
        "Whether that command inherits the store's keys from the environment. With false it gets neither the variables "
        "that are named above, nor any other that holds one of the keys used here.",
        "flag",
        True,
    )
    information: tuple[str, ...] = ()
    heartbeat_url: str | None = row(
        "heartbeat-url",
        "Asked for every heartbeat-interval while every database is restorable to what was committed, so that whoever "
        "watches it is alarmed when no request comes: http:// or https://.",
        "text",
        None,
        example="https://heartbeat.example.com/KEY",
        # Most of them hold a key.
        is_secret=True,
    )
    heartbeat_interval: float = row("heartbeat-interval", "How often. At least 1m.", "duration", 300.0)
    socket: SocketConfig = field(
        default=SocketConfig(), metadata={"key": Key(name="socket", why="The control socket.", reader="map")}
    )
    directories: tuple[DirectoryConfig, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    hosts: Annotated[
        tuple[HostConfig, ...],
        Key(
            name="hosts",
            why="Hosts that litestream-tui without a verb shows on one screen, each by ssh; what runs here is shown by "
            "attach.",
            reader="list",
        ),
    ] = ()

    def named(self, path: Path) -> DatabaseConfig | None:
        """The database at that path, also a removed one in one of the folders, or None if it is not configured."""
        found = [database for database in self.databases if database.path == path]
        found += [directory.database(name) for directory in self.directories if (name := directory.name_of(path))]
        return found[0] if found else None


PLACE_KEYS = (
    Key(name="type", why=f"The kind of store: {TYPES}.", default=DEFAULT_KIND, example="s3", is_set=True),
    Key(
        name="url",
        why="Either of them as a URL, in place of type, bucket and path.",
        example="s3://another-bucket.example.com:9000/fruits.db",
        # The text may hold a password.
        is_secret=True,
    ),
    Key(
        name="path",
        why="The folder in the bucket; a slash in front means nothing.",
        example="fruits.db",
        is_set=True,
    ),
)
"""Keys that say where any replica is."""

KIND_KEYS: Mapping[str, tuple[Key, ...]] = {name: kind.keys for name, kind in KINDS.items()}
"""By kind of store, the keys that only it reads."""


@cache
def rows_of(config: type) -> Mapping[str, Key]:
    """The rows of one of the classes above, by the names of the fields that they are read into."""
    hints = get_type_hints(config, include_extras=True)
    rows: dict[str, Key] = {}
    for item in fields(config):
        for found in (item.metadata.get("key"), *getattr(hints[item.name], "__metadata__", ())):
            if isinstance(found, Key):
                rows[item.name] = found
    return rows


_FOR_ALL = tuple(key for keys in KIND_KEYS.values() for key in keys if key.is_for_all)

ROWS: Mapping[Level, tuple[Key, ...]] = {
    "top": (*_FOR_ALL, *rows_of(Config).values()),
    "logging": tuple(rows_of(LoggingConfig).values()),
    "socket": tuple(rows_of(SocketConfig).values()),
    "hosts[]": tuple(rows_of(HostConfig).values()),
    "dbs[]": (*rows_of(DatabaseConfig).values(), *rows_of(DirectoryConfig).values()),
    "dbs[].replicas[]": (
        *PLACE_KEYS,
        *(key for keys in KIND_KEYS.values() for key in keys),
        *rows_of(ReplicaConfig).values(),
    ),
}
"""Every key that is read, by its level: for the tables of keys, the example and the reference (reference.py)."""


def default_meta_path(database_path: Path) -> Path:
    """The local folder of a database: `.NAME-litestream` beside it."""
    return database_path.parent / f".{database_path.name}-litestream"

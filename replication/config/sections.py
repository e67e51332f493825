"""Sections of a configuration, read into its values: defaults, bounds, and what must not be there twice.

Its promise: no two databases share a local folder or a place in a store, and no setting stops replication
in silence. It leaves to the caller where the sections come from.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from replication.config.conflicts import Taken, refuse_among_local_files, take
from replication.config.document import Findings, RefusedError, Section, Value
from replication.config.durations import format_duration
from replication.config.hosts_section import read_hosts
from replication.config.location import check_type, database_path, plain_path, read_location
from replication.config.pattern import matches
from replication.config.program import Defaults
from replication.config.schema import (
    RETENTION_CHECKED_WITHOUT_PAUSE,
    Config,
    DatabaseConfig,
    DirectoryConfig,
    LoggingConfig,
    ReplicaConfig,
    default_meta_path,
    rows_of,
)
from replication.config.socket_section import read_socket
from replication.config.unknown_keys import KEYS_FOR_ALL
from replication.errors import ConfigError
from replication.key_rows import PLAIN_READERS
from replication.scrub import quoted, register_secret
from replication.storage.location import Location

_LOG_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "warning": "warn", "error": "error"}
_LOG_TYPES = ("text", "json")
_ADDR = re.compile(r"(?:[^\s:\[\]/@]*|\[[0-9a-fA-F:.%]+\]):([0-9]{1,5})")

_PATTERN = 'write pattern: and which files, such as "*.db"'

_ForAll = Mapping[str, str | None]
"""Keys of replicas that the top of the file has, for all that have none of their own."""

HEARTBEAT_SECONDS_MIN = 60.0
"""More frequent requests may be taken for an attack."""


@dataclass(frozen=True, slots=True)
class _Default:
    """A setting for every replica below, and where it stands."""

    seconds: float
    where: str
    line: int


_Defaults = dict[str, _Default]
"""Settings for every replica below, by the key of a replica that says the same."""

_OF_SNAPSHOT = {"interval": "snapshot-interval", "retention": "retention"}


def read_config(document: Value, path: Path, findings: Findings) -> Config:
    """The configuration in `document`. Raises ConfigError, with all that is wrong, if it cannot be used."""
    try:
        top = Section(document, "", "top", findings)
    except RefusedError as error:
        raise ConfigError(str(error)) from None
    top.check_keys()
    for_all = {key.name: top.text(key.name) for key in KEYS_FOR_ALL}
    for key in KEYS_FOR_ALL:
        if key.is_secret:
            register_secret(for_all[key.name])
    taken: Taken = {}
    defaults = _snapshot(top, {})
    entries = [_entry(section, for_all, taken, defaults) for section in top.sections("dbs", "dbs[]")]
    refuse_among_local_files([item for item in entries if isinstance(item, DatabaseConfig)], taken, findings)
    config = Config(
        path=path,
        databases=tuple(entry for entry in entries if isinstance(entry, DatabaseConfig)),
        directories=tuple(entry for entry in entries if isinstance(entry, DirectoryConfig)),
        **_values(
            top,
            Config,
            addr=_addr(top),
            heartbeat_url=_heartbeat_url(top),
            heartbeat_interval=_heartbeat_interval(top),
        ),
        logging=_logging(top.section("logging", "logging")),
        socket=read_socket(top.section("socket", "socket")),
        hosts=read_hosts(top),
        warnings=tuple(findings.lines),
        information=tuple(findings.information),
        defaults=Defaults(for_all, {key: default.seconds for key, default in defaults.items()}),
    )
    findings.check()
    return config


def _snapshot(section: Section, above: _Defaults) -> _Defaults:
    """What `snapshot` says for the replicas below, as Litestream 0.5 has it; one above must not say otherwise."""
    found = dict(above)
    snapshot = section.section("snapshot", "snapshot")
    if snapshot is None:
        return found
    snapshot.check_keys()
    for key, meant in _OF_SNAPSHOT.items():
        if not snapshot.has(key):
            continue
        seconds = snapshot.duration(key, 0.0, None)
        line = snapshot.line_of(key)
        before = found.setdefault(meant, _Default(seconds, snapshot.path(key), line))
        if before.seconds != seconds:
            snapshot.refuse(snapshot.refusal(key, _otherwise(seconds, before)))
        section.findings.inform(line, f"{snapshot.path(key)} is read as {meant} of each replica")
    return found


def _otherwise(seconds: float, default: _Default) -> str:
    return (
        f"is {format_duration(seconds)}, and {default.where} on line {default.line} is "
        f"{format_duration(default.seconds)}; remove one of them"
    )


def _entry(
    section: Section, for_all: _ForAll, taken: Taken, defaults: _Defaults
) -> DatabaseConfig | DirectoryConfig | None:
    """A database, or a folder of databases."""
    section.check_keys()
    replicas = _replicas(section, for_all, taken, _snapshot(section, defaults))
    if section.has("dir"):
        return _directory(section, replicas)
    for key in rows_of(DirectoryConfig).values():
        if section.has(key.name):
            section.refuse(section.refusal(key.name, "goes with dir, and there is none; remove it"))
    return _database(section, replicas, taken)


def _directory(section: Section, replicas: tuple[ReplicaConfig, ...]) -> DirectoryConfig | None:
    for key, instead in (("path", "keep one of them"), ("meta-path", "write meta-dir, for the folders of all of them")):
        if section.has(key):
            section.refuse(section.refusal(key, f"stands beside dir; {instead}"))
    pattern = section.text("pattern") or ""
    try:
        if not pattern:
            raise section.refusal("pattern" if section.has("pattern") else None, "has no pattern; " + _PATTERN)
        if "/" in pattern:
            raise section.refusal("pattern", f"holds a /, and is for the name of the file alone; {_PATTERN}")
        try:
            matches(pattern, "")
        except ValueError as error:
            raise section.refusal("pattern", f"is no pattern: {error}; {_PATTERN}") from None
        path = plain_path(section, "dir", section.text("dir") or "", "the folder of the databases")
        meta = section.text("meta-dir")
        meta_path = plain_path(section, "meta-dir", meta, "a folder of this machine") if meta is not None else None
    except RefusedError as error:
        section.refuse(error)
        return None
    each = DatabaseConfig(path=path, meta_path=path, **_values(section, DatabaseConfig), replicas=replicas)
    if not replicas:
        section.note("dir", "has no replicas, so nothing of it is replicated")
    return DirectoryConfig(path=path, each=each, meta_path=meta_path, **_values(section, DirectoryConfig))


def _database(section: Section, replicas: tuple[ReplicaConfig, ...], taken: Taken) -> DatabaseConfig | None:
    text = section.text("path")
    if text is None:
        if not section.failed:
            section.refuse(section.refusal(None, "has no path; add path: and the database file, or dir: and a folder"))
        return None
    try:
        path = database_path(section, text)
        real = os.path.realpath(path)
        take(section, "path", ("database", real), taken, "is the same database as {}; remove one of them")
        meta = section.text("meta-path")
        meta_path = default_meta_path(path)
        if meta is not None:
            meta_path = plain_path(section, "meta-path", meta, "the folder itself")
        take(
            section,
            "meta-path" if meta is not None else "path",
            ("meta", os.path.realpath(meta_path)),
            taken,
            "keeps its local files where {} does; give each database a meta-path of its own",
        )
    except RefusedError as error:
        section.refuse(error)
        path = meta_path = Path()
    config = DatabaseConfig(
        path=path,
        meta_path=meta_path,
        **_values(section, DatabaseConfig),
        replicas=replicas,
    )
    if not config.replicas:
        section.note("path", "has no replicas, so nothing of it is replicated")
    return config


def _replicas(database: Section, for_all: _ForAll, taken: Taken, defaults: _Defaults) -> tuple[ReplicaConfig, ...]:
    replicas: list[ReplicaConfig] = []
    for section in _replica_sections(database):
        replica = _replica(section, for_all, defaults)
        if replica is None:
            continue
        try:
            take(
                section,
                None,
                replica.location.identity,
                taken,
                "is the same place as {}; two histories in one place destroy each other: give each its own path",
            )
            if any(replica.name == other.name for other in replicas):
                # Without a name the replica is called by its type.
                raise section.refusal(
                    "name" if section.has("name") else None,
                    f"has a duplicate replica name: {quoted(replica.name)!r}; give each its own name",
                )
        except RefusedError as error:
            section.refuse(error)
        replicas.append(replica)
    return tuple(replicas)


def _replica_sections(database: Section) -> list[Section]:
    """The entries of `replicas`, or the one map that Litestream 0.5 has as `replica`."""
    listed = database.sections("replicas", "dbs[].replicas[]")
    if not database.has("replica"):
        return listed
    if database.has("replicas"):
        where = f"stands beside replicas on line {database.line_of('replicas')}; put it there as an entry of the list"
        database.refuse(database.refusal("replica", where))
        return listed
    single = database.section("replica", "dbs[].replicas[]")
    if single is None:
        return listed
    database.findings.inform(
        database.line_of("replica"), f"{database.path('replica')} is read as the only one of replicas"
    )
    return [single]


def _replica(section: Section, for_all: _ForAll, defaults: _Defaults) -> ReplicaConfig | None:
    """One replica, or None if it was refused."""
    try:
        check_type(section)
    except RefusedError as error:
        # What else it has is of that type.
        section.refuse(error)
        return None
    section.check_keys()
    location: Location | None = None
    was_whole = not section.failed
    try:
        location = read_location(section, for_all)
    except RefusedError as error:
        if was_whole or error.line != section.line:
            section.refuse(error)
    retention = _setting(section, "retention", defaults)
    check = section.duration(
        "retention-check-interval",
        rows_of(ReplicaConfig)["retention_check_interval"].default,
        RETENTION_CHECKED_WITHOUT_PAUSE if retention else None,
    )
    values = _values(
        section,
        ReplicaConfig,
        name=section.text("name"),
        retention=retention,
        retention_check_interval=min(check, retention) if retention else check,
        snapshot_interval=_setting(section, "snapshot-interval", defaults),
    )
    if location is None:
        return None
    return ReplicaConfig(**{**values, "name": values["name"] or location.kind}, location=location)


def _values(section: Section, config: type, **known: Any) -> dict[str, Any]:
    """The fields of `config` whose rows have plain values, each read by its row but for those that are `known`."""
    rows = {name: row for name, row in rows_of(config).items() if name not in known}
    return known | {name: section.read(row) for name, row in rows.items() if row.reader in PLAIN_READERS}


def _setting(section: Section, key: str, defaults: _Defaults) -> float:
    """The seconds of `key`, which one for all replicas may say as well, but not otherwise."""
    common = defaults.get(key)
    default = next(row.default for row in rows_of(ReplicaConfig).values() if row.name == key)
    if common is None or not section.has(key):
        return section.duration(key, common.seconds if common is not None else default, None)
    seconds = section.duration(key, common.seconds, None)
    if seconds != common.seconds:
        section.refuse(section.refusal(key, _otherwise(seconds, common)))
    return seconds


def _logging(section: Section | None) -> LoggingConfig:
    if section is None:
        return LoggingConfig()
    section.check_keys()
    level = section.text("level") or "info"
    if level.lower() not in _LOG_LEVELS:
        section.refuse(section.refusal("level", f"is {quoted(level)!r}; write debug, info, warn or error"))
    kind = section.text("type") or "text"
    if kind not in _LOG_TYPES:
        section.refuse(section.refusal("type", f"is {quoted(kind)!r}; write text or json"))
    return LoggingConfig(_LOG_LEVELS.get(level.lower(), "info"), kind, section.flag("stderr") or False)


def _addr(top: Section) -> str | None:
    addr = top.text("addr")
    if addr is None:
        return None
    match = _ADDR.fullmatch(addr)
    if match is None or int(match[1]) > 65535:
        problem = f"must be HOST:PORT or :PORT, such as 127.0.0.1:9090, not {quoted(addr)!r}"
        top.refuse(top.refusal("addr", problem))
    return addr


def _heartbeat_url(top: Section) -> str | None:
    url = top.text("heartbeat-url")
    if url is None:
        return None
    register_secret(url)
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or any(char.isspace() for char in url):
        top.refuse(top.refusal("heartbeat-url", "must be a URL such as https://heartbeat.example.com/KEY"))
        return None
    for secret in (parts.path.strip("/"), parts.query, parts.password):
        register_secret(secret)
    return url


def _heartbeat_interval(top: Section) -> float:
    key = "heartbeat-interval"
    seconds = top.duration(key, rows_of(Config)["heartbeat_interval"].default, None)
    if seconds < HEARTBEAT_SECONDS_MIN:
        top.refuse(top.refusal(key, "must be at least 1m, or whoever gets the requests may take them for an attack"))
    return seconds

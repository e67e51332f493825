"""Sections of a configuration, read into its values: defaults, bounds, and what must not be there twice.

Its promise: no two databases share a local folder or a place in a store, and no setting stops replication
in silence. It leaves to the caller where the sections come from.
"""

import os
import re
from pathlib import Path

from replication.config.document import Notes, Section, Value
from replication.config.keys import shown
from replication.config.location import local_path, location_identity, location_type, read_location
from replication.config.values import (
    CHECKPOINT_SECONDS,
    MAX_CHECKPOINT_PAGE_COUNT,
    MIN_CHECKPOINT_PAGE_COUNT,
    MONITOR_SECONDS,
    RETENTION_CHECK_SECONDS,
    RETENTION_SECONDS,
    SYNC_SECONDS,
    Config,
    DatabaseConfig,
    LoggingConfig,
    ReplicaConfig,
    default_meta_path,
)
from replication.scrub import register_secret

_LOG_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "warning": "warn", "error": "error"}
_LOG_TYPES = ("text", "json")
_ADDR = re.compile(r"(?:[^\s:\[\]/@]*|\[[0-9a-fA-F:.%]+\]):([0-9]{1,5})")

_Taken = dict[tuple[str, ...], tuple[str, int]]
"""What is in use already: the path in the document and the line that took it."""


def read_config(document: Value, path: Path, notes: Notes) -> Config:
    """The configuration in `document`; ConfigError if it cannot be used."""
    top = Section(document, "", "top", notes)
    keys = (top.text("access-key-id"), top.text("secret-access-key"))
    for secret in keys:
        register_secret(secret)
    taken: _Taken = {}
    return Config(
        path=path,
        databases=tuple(_database(section, keys, taken) for section in top.sections("dbs", "dbs[]")),
        addr=_addr(top),
        exec_command=top.text("exec"),
        logging=_logging(top.section("logging", "logging")),
        notes=tuple(notes.lines),
    )


def _database(section: Section, keys: tuple[str | None, str | None], taken: _Taken) -> DatabaseConfig:
    text = section.text("path")
    if text is None:
        raise section.refusal(None, "has no path; add path: and the database file")
    path = local_path(text)
    real = os.path.realpath(path)
    _take(section, "path", ("database", real), taken, "is the same database as {}; remove one of them")
    meta = section.text("meta-path")
    meta_path = local_path(meta) if meta is not None else default_meta_path(path)
    _take(
        section,
        "meta-path" if meta is not None else "path",
        ("meta", os.path.realpath(meta_path)),
        taken,
        "keeps its local files where {} does; give each database a meta-path of its own",
    )
    config = DatabaseConfig(
        path=path,
        meta_path=meta_path,
        monitor_interval=section.duration("monitor-interval", MONITOR_SECONDS, "with 0 nothing would be replicated"),
        checkpoint_interval=section.duration("checkpoint-interval", CHECKPOINT_SECONDS, None),
        min_checkpoint_page_count=section.count("min-checkpoint-page-count", MIN_CHECKPOINT_PAGE_COUNT, least=1),
        max_checkpoint_page_count=section.count("max-checkpoint-page-count", MAX_CHECKPOINT_PAGE_COUNT, least=0),
        max_backlog_bytes=section.size("max-backlog-size"),
        replicas=_replicas(section, keys, taken),
    )
    if not config.replicas:
        section.note("path", "has no replicas, so nothing of it is replicated")
    return config


def _replicas(database: Section, keys: tuple[str | None, str | None], taken: _Taken) -> tuple[ReplicaConfig, ...]:
    replicas: list[ReplicaConfig] = []
    for section in database.sections("replicas", "dbs[].replicas[]"):
        replica = _replica(section, keys)
        _take(
            section,
            None,
            location_identity(replica.location),
            taken,
            "is the same place as {}; two histories in one place destroy each other: give each its own path",
        )
        if any(replica.name == other.name for other in replicas):
            # A name that nobody wrote is the type.
            raise section.refusal(
                "name" if section.has("name") else None,
                f"has a duplicate replica name: {shown(replica.name)!r}; give each its own name",
            )
        replicas.append(replica)
    return tuple(replicas)


def _replica(section: Section, keys: tuple[str | None, str | None]) -> ReplicaConfig:
    location = read_location(section, *keys)
    retention = section.duration("retention", RETENTION_SECONDS, None)
    check = section.duration(
        "retention-check-interval",
        RETENTION_CHECK_SECONDS,
        "retention would be checked without pause" if retention else None,
    )
    return ReplicaConfig(
        name=section.text("name") or location_type(location),
        location=location,
        retention=retention,
        retention_check_interval=min(check, retention) if retention else check,
        sync_interval=section.duration("sync-interval", SYNC_SECONDS, "uploads would never pause"),
        snapshot_interval=section.duration("snapshot-interval", 0.0, None),
        validation_interval=section.duration("validation-interval", 0.0, None),
    )


def _logging(section: Section | None) -> LoggingConfig:
    if section is None:
        return LoggingConfig()
    level = section.text("level") or "info"
    if level.lower() not in _LOG_LEVELS:
        raise section.refusal("level", f"is {shown(level)!r}; write debug, info, warn or error")
    kind = section.text("type") or "text"
    if kind not in _LOG_TYPES:
        raise section.refusal("type", f"is {shown(kind)!r}; write text or json")
    return LoggingConfig(_LOG_LEVELS[level.lower()], kind, section.flag("stderr") or False)


def _addr(top: Section) -> str | None:
    addr = top.text("addr")
    if addr is None:
        return None
    match = _ADDR.fullmatch(addr)
    if match is None or int(match[1]) > 65535:
        raise top.refusal("addr", f"must be HOST:PORT or :PORT, such as 127.0.0.1:9090, not {shown(addr)!r}")
    return addr


def _take(section: Section, key: str | None, what: tuple[str, ...], taken: _Taken, problem: str) -> None:
    """Claim `what` for this section, or refuse it with who has it."""
    if what in taken:
        where, line = taken[what]
        raise section.refusal(key, problem.format(f"{where} on line {line}"))
    taken[what] = (section.where, section.line)

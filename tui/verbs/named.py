"""What a command line names: a configuration, a database in it, or the URL of a replica."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replication.config import Config, DatabaseConfig, load_config
from replication.config.location import local_path
from replication.errors import UsageError
from replication.position import is_generation
from replication.scrub import quoted
from replication.storage.url import is_replica_url, parse_replica_url
from tui.verbs.console import warn

if TYPE_CHECKING:
    from replication.restore.open_replica import OpenReplica


@dataclass(frozen=True, slots=True)
class Named:
    """The positional argument resolved: its replicas, and the database if one was named by path."""

    database: DatabaseConfig | None
    replicas: list[OpenReplica]
    config: Config | None = None
    """The configuration that the database is in."""


def config_of(args: Namespace) -> Config:
    """The configuration that the flags name. Its warnings are printed. Raises ConfigError."""
    if args.config == "":
        raise UsageError("-config needs a path; leave the flag out for $LITESTREAM_CONFIG or /etc/litestream.yml")
    config = load_config(args.config, expand_env=not args.no_expand_env)
    for note in config.warnings:
        warn(note)
    return config


def resolve(args: Namespace, verb: str) -> Named:
    """The replicas of `args.source`, a database path or a replica URL. `verb` is for errors.

    Raises ConfigError, UsageError.
    """
    # Imported here, as in `named`, so that reading a configuration does not load what restores.
    from replication.restore.open_replicas import configured, open_replica

    source = args.source
    if not source:
        raise UsageError(f"database path or replica URL required, such as: litestream-tui {verb} /srv/app.db")
    replica_name = getattr(args, "replica", None)
    if is_replica_url(source):
        if args.config is not None:
            raise UsageError("cannot specify a replica URL and the -config flag; leave one of them out")
        if replica_name is not None:
            raise UsageError("-replica goes with a database path; a replica URL names its replica itself")
        location = parse_replica_url(source, lambda words: warn(f"the replica URL {words}"))
        return Named(None, [open_replica(location, warn)])
    config = config_of(args)
    return named(configured(config, local_path(source)), config, replica_name)


def named(database: DatabaseConfig, config: Config, replica_name: str | None = None) -> Named:
    """The replicas of a database, or the one of that name. Raises UsageError if there is none."""
    from replication.restore.open_replicas import open_replicas

    sources = open_replicas(database, warn, replica_name)
    if not sources:
        raise UsageError(f"{database.path} has no replica in the configuration; add one under its replicas:")
    return Named(database, sources, config)


def generation_of(args: Namespace) -> str | None:
    """The generation that -generation names, or None. Raises UsageError for what cannot be one."""
    name: str | None = args.generation
    if name is not None and not is_generation(name):
        raise UsageError(f"{quoted(name)!r} is not a generation: it has 16 hex digits, as `generations` lists them")
    return name

"""What a command line names: a configuration, a database in it, or the URL of a replica."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from replication.config import Config, DatabaseConfig, load_config
from replication.config.location import local_path
from replication.errors import UsageError
from replication.position import is_generation
from replication.scrub import quoted
from replication.storage.location import Location
from replication.storage.open import open_storage
from replication.storage.replica_client import ReplicaClient
from replication.storage.url import is_replica_url, parse_replica_url
from tui.console import warn


@dataclass(frozen=True, slots=True)
class NamedReplica:
    """A replica with its name in the configuration, or its type if it was named by URL."""

    name: str
    client: ReplicaClient


@dataclass(frozen=True, slots=True)
class Named:
    """The positional argument resolved: its replicas, and the database if one was named by path."""

    database: DatabaseConfig | None
    replicas: list[NamedReplica]


def config_of(args: Namespace) -> Config:
    """The configuration that the flags name; its notes are told. Raises ConfigError."""
    if args.config == "":
        raise UsageError("-config needs a path; leave the flag out for $LITESTREAM_CONFIG or /etc/litestream.yml")
    config = load_config(args.config, expand_env=not args.no_expand_env)
    for note in config.notes:
        warn(note)
    return config


def resolve(args: Namespace, what: str) -> Named:
    """The replicas of `args.source`, a database path or a replica URL. Raises ConfigError, UsageError."""
    source = args.source
    if not source:
        raise UsageError(f"database path or replica URL required, such as: litestream-tui {what} /srv/app.db")
    replica_name = getattr(args, "replica", None)
    if is_replica_url(source):
        if args.config is not None:
            raise UsageError("cannot specify a replica URL and the -config flag; leave one of them out")
        if replica_name is not None:
            raise UsageError("-replica goes with a database path; a replica URL names its replica itself")
        location = parse_replica_url(source, lambda words: warn(f"the replica URL {words}"))
        return Named(None, [_open("", location)])
    config = config_of(args)
    return of_database(config, source, replica_name)


def of_database(config: Config, source: str, replica_name: str | None = None) -> Named:
    """The replicas of a configured database, or the one of that name. Raises UsageError."""
    path = local_path(source)
    database = config.named(path)
    if database is None:
        raise not_in(config, path)
    chosen = [item for item in database.replicas if replica_name in (None, item.name)]
    if not chosen:
        names = ", ".join(item.name for item in database.replicas) or "none"
        raise UsageError(f"{path} has no replica called {quoted(replica_name or '')!r}; it has: {names}")
    return Named(database, [_open(item.name, item.location) for item in chosen])


def not_in(config: Config, path: Path) -> UsageError:
    """What to say of a path that a configuration does not have."""
    known = [str(item.path) for item in config.databases]
    known += [f"those in {item.path} that are called {item.pattern}" for item in config.directories]
    return UsageError(f"database not found in config: {path}; it has: {', '.join(known) or 'none'}")


def _open(name: str, location: Location) -> NamedReplica:
    storage = open_storage(location)
    return NamedReplica(name or storage.type, ReplicaClient(storage, warn))


def generation_of(args: Namespace) -> str | None:
    """The generation that -generation names, or None; raises UsageError for what cannot be one."""
    name: str | None = args.generation
    if name is not None and not is_generation(name):
        raise UsageError(f"{quoted(name)!r} is not a generation: it has 16 hex digits, as `generations` lists them")
    return name

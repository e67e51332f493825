"""Databases that were registered and unregistered while the engine runs, beside those of its configuration. Pure.

Its promise: what a configuration has always wins when it is read anew; and no two databases ever have one place.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from replication.config import Config, DatabaseConfig
from replication.config.conflicts import lies_in
from replication.database.together import exclusive_to
from replication.errors import UsageError


@dataclass(frozen=True, slots=True)
class ByHand:
    """`added` are registered and not in the configuration, `taken` are in it and not replicated."""

    added: tuple[DatabaseConfig, ...] = ()
    taken: frozenset[Path] = frozenset()

    def over(self, config: Config) -> Config:
        """The configuration with these."""
        kept = tuple(database for database in config.databases if database.path not in self.taken)
        return replace(config, databases=(*kept, *self.added))

    def register(self, database: DatabaseConfig, config: Config) -> "ByHand":
        """With this one. One that was taken away comes back as the configuration has it, if that names the place."""
        own = config.named(database.path)
        if database.path in self.taken and own is not None:
            identities = {replica.location.identity for replica in own.replicas}
            if all(replica.location.identity in identities for replica in database.replicas):
                return replace(self, taken=self.taken - {database.path})
        return replace(self, added=(*self.added, database))

    def unregister(self, path: Path, config: Config) -> "ByHand":
        """These changes, without the database at `path`."""
        added = tuple(database for database in self.added if database.path != path)
        taken = self.taken | {path} if config.named(path) is not None else self.taken
        return ByHand(added, taken)

    def after(self, config: Config) -> "ByHand":
        """What stays of these changes once `config` is read: it replicates all that it names."""
        taken = {item for database in config.databases for item in exclusive_to(database)}
        return ByHand(
            tuple(one for one in self.added if config.named(one.path) is None and not exclusive_to(one) & taken),
            frozenset(),
        )


def _is_one(path: Path, other: Path) -> bool:
    """True for two names of one file, each of which would have a WAL of its own."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def refuse_clash(database: DatabaseConfig, others: Iterable[DatabaseConfig]) -> None:
    """Raise UsageError if it cannot be replicated beside these: no history has the place of another, and no replica
    lies in a local folder, where what has the names of an old generation is removed.
    """
    mine, real = exclusive_to(database), os.path.realpath(database.path)
    both = list(others)
    for other in both:
        if mine & exclusive_to(other) or os.path.realpath(other.path) == real or _is_one(database.path, other.path):
            raise UsageError(
                f"{database.path} cannot be registered: {other.path} is the same file, or has the same local folder or "
                "place of a replica, and two histories in one place destroy each other"
            )
    both.append(database)
    folders = {os.path.realpath(one.meta_path): one.meta_path for one in both}
    for replica in (replica for one in both for replica in one.replicas):
        if (found := lies_in(replica.location, folders)) is not None:
            raise UsageError(
                f"{database.path} cannot be registered: {replica.location.address} would lie in the local folder "
                f"{found}, where old generations are removed; give the replica a folder of its own"
            )

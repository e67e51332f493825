"""All databases of a configuration: those that are named by path, and those that its folders have.

Its promise: no two of them share anything that only one may have (`Exclusive`). Where two name the same, the one that
comes first is replicated, and the other is reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from replication.config import Config, DatabaseConfig
from replication.database.directory import Look

Exclusive = tuple[str, ...]
"""What only one database may have at a time: a file, a local folder, the location of a replica."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A database that is not replicated as one of the entries says."""

    database: DatabaseConfig
    other: str
    """The path of the database that has what both name."""

    @property
    def is_harmless(self) -> bool:
        """Whether it is replicated all the same, as another entry says."""
        return str(self.database.path) == self.other

    @property
    def words(self) -> str:
        """What to say of it."""
        if self.is_harmless:
            return "it is found by two entries with dir, and replicated as the first of them says"
        return (
            "it is not replicated: its replica, or its local folder, would have the same place as that of "
            f"{self.other}, and two histories in one place destroy each other. Give one of the two another path"
        )


def exclusive_to(database: DatabaseConfig) -> frozenset[Exclusive]:
    """Everything that no other database may have while this one is replicated."""
    own = {("database", str(database.path)), ("meta", str(database.meta_path))}
    return frozenset(own | {replica.location.identity for replica in database.replicas})


def together(
    named: Iterable[DatabaseConfig], found: Iterable[DatabaseConfig]
) -> tuple[list[DatabaseConfig], list[Clash]]:
    """The databases that are replicated, and those that clash. One that is named by path takes precedence."""
    kept, clashes = list(named), list[Clash]()
    paths = {database.path for database in kept}
    taken = {item: str(database.path) for database in kept for item in exclusive_to(database)}
    for database in found:
        if database.path in paths:
            continue
        mine = exclusive_to(database)
        # Sorted, so that a clash names the file rather than its local folder or replica.
        other = next((taken[item] for item in sorted(mine) if item in taken), None)
        if other is None:
            kept.append(database)
            taken.update(dict.fromkeys(mine, str(database.path)))
        else:
            clashes.append(Clash(database, other))
    return kept, clashes


def all_databases(config: Config) -> list[DatabaseConfig]:
    """The databases of a configuration, with those that are in its folders now. For a process without an engine."""
    found = [directory.database(name) for directory in config.directories for name in Look(directory).again().names]
    return together(config.databases, found)[0]

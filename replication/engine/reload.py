"""What changes from one configuration to another: a pure comparison, and the words for it. No secret is in them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from replication.config import DatabaseConfig, ReplicaConfig
from replication.config.schema import rows_of
from replication.database.together import Exclusive


@dataclass(frozen=True, slots=True)
class Change:
    """A database that is in both, and not the same."""

    before: DatabaseConfig
    after: DatabaseConfig

    @property
    def is_anew(self) -> bool:
        """True if the database has to end and begin anew, because its local folder is another one."""
        return self.before.meta_path != self.after.meta_path

    @property
    def words(self) -> str:
        """The keys of the configuration that change, in words."""
        found = _keys(self.before, self.after)
        old = {replica.name: replica for replica in self.before.replicas}
        new = {replica.name: replica for replica in self.after.replicas}
        found += [f"replica {name} removed" for name in old if name not in new]
        for name, replica in new.items():
            if name not in old:
                found.append(f"replica {name} added")
            elif replica != old[name]:
                keys = _keys(old[name], replica)
                keys += ["its place"] if replica.location != old[name].location else []
                found.append(f"replica {name}: {', '.join(keys)}")
        return ", ".join(found) or "the order of its replicas"

    @property
    def freed(self) -> frozenset[Exclusive]:
        """The places of replicas that the database has no longer."""
        kept = {replica.location.identity for replica in self.after.replicas}
        return frozenset(place for replica in self.before.replicas if (place := replica.location.identity) not in kept)


@dataclass(frozen=True, slots=True)
class Changes:
    """The databases that come, go or change, each in the order of its configuration."""

    added: tuple[DatabaseConfig, ...] = ()
    removed: tuple[DatabaseConfig, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def words(self) -> str:
        """How many of each: "2 added, 1 removed"."""
        counts = {"added": len(self.added), "removed": len(self.removed), "changed": len(self.changed)}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing changed"


def compare(before: Sequence[DatabaseConfig], after: Sequence[DatabaseConfig]) -> Changes:
    """The changes that make one configuration the other. Paths identify databases; each path occurs once."""
    old = {database.path: database for database in before}
    new = {database.path: database for database in after}
    return Changes(
        added=tuple(database for path, database in new.items() if path not in old),
        removed=tuple(database for path, database in old.items() if path not in new),
        changed=tuple(
            Change(old[path], database) for path, database in new.items() if path in old and database != old[path]
        ),
    )


def _keys(before: DatabaseConfig | ReplicaConfig, after: DatabaseConfig | ReplicaConfig) -> list[str]:
    kind: type = type(before)
    rows = rows_of(kind)
    return [
        rows[item.name].name
        for item in fields(before)
        if item.name in rows and item.name != "replicas" and getattr(before, item.name) != getattr(after, item.name)
    ]

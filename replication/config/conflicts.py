"""What no two entries of a configuration may share: databases, local folders and places of replicas.

Its promise: two histories never have one place, and no replica lies in a local folder, where what has the names of an
old generation is removed.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from replication.config.document import Findings, Section, refusal
from replication.config.schema import DatabaseConfig
from replication.storage.location import Location

Taken = dict[tuple[str, ...], tuple[str, int]]
"""What is taken already, with the entry that has it: its path in the document and its line."""

T = TypeVar("T")


def take(section: Section, key: str | None, what: tuple[str, ...], taken: Taken, problem: str) -> None:
    """Claim `what` for this section. Raises RefusedError, naming the entry that has it already."""
    if what in taken:
        where, line = taken[what]
        raise section.refusal(key, problem.format(f"{where} on line {line}"))
    taken[what] = (section.where, section.line)


def refuse_among_local_files(databases: Sequence[DatabaseConfig], taken: Taken, findings: Findings) -> None:
    """Refuse replicas in a local folder: they have the names of the shadow WAL, and would go with an old generation."""
    local = {os.path.realpath(what[1]): place for what, place in taken.items() if what[0] == "meta"}
    for location in (replica.location for database in databases for replica in database.replicas):
        if (found := lies_in(location, local)) is not None:
            owner, line = found
            where, here = taken[location.identity]
            problem = (
                f"lies in the local folder of {owner} on line {line}, where old generations are removed: give it a "
                "folder of its own"
            )
            findings.refusals.append(refusal(findings.file, here, where, problem))


def lies_in(location: Location, folders: Mapping[str, T]) -> T | None:
    """The value of the folder, among these without links, that the location is in, or None if it is in none of them."""
    if location.folder is None:
        return None
    real = Path(os.path.realpath(location.folder))
    return next((folders[str(above)] for above in (real, *real.parents) if str(above) in folders), None)

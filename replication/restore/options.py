"""What to restore and how carefully, as values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.position import Position
from replication.restore.retry import Backoff
from replication.restore.target import Latest, Target
from replication.restore.verdict import Check

PARALLELISM_DEFAULT = 8


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What to restore and how carefully; `generation` None means that it is chosen.

    `thorough` reads the WAL up to the target even where a snapshot holds that very commit, as for any later one.
    `private` gives the file to its owner alone, whatever the replica notes of the database's permissions.
    The disk must have room for the file, `size` bytes at least, and for what `beside` says of a file of some size,
    and keep the reserve of the application; `elsewhere` says where there may be room, after "free some space".
    `known` is asked where SQLite's check fails: given the restored file and what SQLite says, it says in words why the
    source is known to be so, or nothing. `keep_failed` keeps a file that fails it beside the output, if that is not
    known.
    `newest` is asked for the last commit known here, of a database that is replicated here, if a replica is silent:
    others that have it are enough then. `waiting` is called with words about the replica that is waited for.
    """

    target: Target = Latest()  # noqa: RUF009 (frozen)
    generation: str | None = None
    parallelism: int = PARALLELISM_DEFAULT
    integrity_check: Check = "quick"
    backoff: Backoff = Backoff()  # noqa: RUF009 (frozen)
    thorough: bool = False
    private: bool = False
    size: int = 0
    beside: Callable[[int], int] = lambda size: 0
    elsewhere: str = ", or restore to another disk (-o)."
    known: Callable[[Path, Sequence[str]], str] = lambda path, problems: ""
    keep_failed: bool = False
    newest: Callable[[], Position | None] = lambda: None
    waiting: Callable[[str], None] = lambda words: None

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

    - `thorough` reads the WAL up to the target, too, where a snapshot holds that very commit.
    - `private` gives the file to its owner alone, whatever the replica notes of the database's permissions.
    - Room on the disk is needed for the file, which has `size` bytes at least, for what is written beside a file of
      that size (`beside`), and for the reserve of the application. `elsewhere` ends the sentence "free some space".
    - Where SQLite's check fails, `known` is given the restored file and the words of SQLite. It answers in words why
      the source is known to fail it too, or "". Then the file counts; else it is removed, or kept with `keep_failed`.
    - Where a replica is silent, `newest` gives the last commit of the database that is known on this host, or None: if
      other replicas have that commit they are enough. `waiting` is called with words about whom is waited for.
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

"""The application of one history: writers, readers, checkpoints, and writers that are killed.

Every method is one step, and does nothing where it makes no sense just then. It keeps the oracle of all commits,
and the causes that a new generation may have. What the engine does is known to it by two properties alone.
"""

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

from tests.torture.crew import Crew
from tests.torture.mortal import NEVER, TORN, Ending, Mortal
from tests.torture.oracle import Oracle

ROWS_MAX = 40
"""Rows that the table may have before most of them are deleted, so that a database stays small."""


class Application(ABC):
    """Two processes with a writer and a reader each. `settings` are page size, auto_vacuum and autocheckpoint."""

    def __init__(
        self,
        folder: Path,
        crews: dict[str, Crew],
        mortal: Mortal,
        counts: Counter[str],
        settings: tuple[int, str, int],
    ) -> None:
        self.mortal = mortal
        self.folder, self.path, self.wal = folder, folder / "app.db", folder / "app.db-wal"
        self.crews, self.counts, self.settings = crews, counts, settings
        self.oracle = Oracle()
        self.causes = {"start"}
        self.unseen = False
        """A commit came since the engine last looked."""
        self.left_wal = False
        """The database was replaced, and the WAL of the file before lies beside it."""
        self.writing: str | None = None
        """Who has a transaction open, with frames in the WAL."""
        self.loose = self.torn = False
        """A writer died, and left frames that do not count; or an index that says nothing, so that they will."""
        self.stale = False
        """The WAL holds frames of a file that was there before; nothing but its index says that they do not count."""
        self.reading: set[str] = set()
        self.is_open = False

    @property
    @abstractmethod
    def holding(self) -> bool:
        """The engine's pin is there, and was before this step began."""

    @property
    @abstractmethod
    def shares_its_index(self) -> bool:
        """The engine holds nothing, or the -shm that is beside the database."""

    @property
    @abstractmethod
    def followed(self) -> bytes | None:
        """The header of the WAL of which the engine copied something last."""

    def open_application(self) -> None:
        if not self.is_open and not self.left_wal:
            for side in ("left", "right"):
                for name in (side, f"{side} reader"):
                    sha = self.crews[side].open(name, self.path, *self.settings)
            self.is_open = True
            if self.oracle.states:
                self.tell(sha)
                assert self.oracle.states[-1] == sha, "the application finds another database than it left"
            self._committed(self.crews["left"].commit("left", "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b)"))

    def close_application(self) -> None:
        if self.is_open:
            self.mend_index()
            self.end("ROLLBACK")
            for crew in self.crews.values():
                crew.close_all()
            self.reading.clear()
            self.is_open = False
            if not self.holding:
                self.causes.add("last close while down")

    def commit(self, writer: str, kind: str) -> None:
        if not self.is_open or self.writing == writer:
            return
        self.mend_index()
        done = self.crews[writer].commit(writer, *_statements(kind))
        self._committed(done)
        if kind == "vacuum" and done:
            self._committed(self.crews[writer].commit(writer, "VACUUM"))
            self.causes.add("vacuum")
        rows = self.crews[writer].run(writer, "SELECT count(*) FROM t") if done else None
        if rows and rows[0][0] > ROWS_MAX:
            self.commit(writer, "shrink")

    def die(self, kind: str, moment: int) -> None:
        """A writer in a process of its own is killed at that moment of its commit, or lives if it has less to do."""
        if self.writing is None and not self.left_wal and self.oracle.states:
            # What the one before left may count by now, if meanwhile nobody was there who knew that it does not.
            self.recount()
            ending = self._mortal(moment, *_statements(kind))
            self.counts[f"writers that {'died' if ending.killed else 'were busy' if ending.busy else 'lived'}"] += 1
            if ending.killed:
                self.loose, self.torn = True, moment == TORN
                self.causes |= {"frames without a commit", "torn"} if self.torn else {"frames without a commit"}
            elif ending.sha256 is not None:
                self.tell(ending.sha256)
            if not self.torn:
                self.recount()

    def mend_index(self) -> None:
        """Whoever begins now mends an index that is torn; what then counts is told before anything follows it."""
        if self.torn:
            self.recount()

    def recount(self) -> None:
        """After a death, SQLite says what counts: what did before, unless nobody was left who knew."""
        if self.loose and not self.left_wal:
            sha = self._mortal(NEVER, "SELECT 1").sha256
            if sha is not None:
                self.torn = False
                self.tell(sha)

    def _mortal(self, moment: int, *statements: str) -> Ending:
        pragmas = (
            "PRAGMA busy_timeout = 0",
            "PRAGMA cache_size = 5",
            f"PRAGMA wal_autocheckpoint = {self.settings[2]}",
        )
        return self.mortal.write(self.path, [*statements], moment, pragmas)

    def _committed(self, sha: str | None) -> None:
        if sha is None:
            self.counts["busy"] += 1
        else:
            self.tell(sha)

    def tell(self, sha: str, by_another_name: bool = False) -> None:
        """A commit may have been made."""
        if self.oracle.states[-1:] != [sha]:
            self.oracle.add(sha, by_another_name)
            self.counts["commits"] += 1
            self.unseen = True
            self.loose = self.stale = False
            if not self.holding:
                self.causes.add("commit unseen")

    def spill(self, writer: str) -> None:
        """Begin a transaction larger than the cache, or go on with it: frames without a commit."""
        if self.is_open and self.writing in (None, writer):
            self.mend_index()
            begin = ["BEGIN IMMEDIATE"] if self.writing is None else []
            done = self.crews[writer].run(writer, *begin, *["INSERT INTO t(b) VALUES(randomblob(900))"] * 15)
            self.writing = writer if done is not None else self.writing
            self.causes.add("frames without a commit")

    def end(self, how: str) -> None:
        """COMMIT or ROLLBACK of what was begun."""
        if self.writing is not None:
            writer, self.writing = self.writing, None
            if how == "COMMIT":
                self._committed(self.crews[writer].commit(writer, "COMMIT"))
            else:
                self.crews[writer].run(writer, "ROLLBACK")

    def read(self, side: str) -> None:
        """A reader begins, and stays; or ends."""
        if self.is_open and side not in self.reading:
            self.mend_index()
            if self.crews[side].run(f"{side} reader", "BEGIN", "SELECT count(*) FROM t") is not None:
                self.reading.add(side)
        elif side in self.reading:
            self.reading.remove(side)
            self.crews[side].run(f"{side} reader", "COMMIT")

    def checkpoint_of_others(self, side: str, mode: str) -> None:
        if self.is_open and self.writing != side:
            self.mend_index()
            rows = self.crews[side].run(side, f"PRAGMA wal_checkpoint({mode})")
            self.counts[f"checkpoints of others, {'busy' if rows is None or rows[0][0] else 'done'}"] += 1
            if mode == "TRUNCATE":
                self.causes.add("truncate")

    def act(self, names: str) -> None:
        """Something that others do between two steps of ours, or several things, one after the other."""
        for name in names.split(", "):
            verb, _, rest = name.partition(" ")
            if verb == "commit":
                self.commit("right", rest)
            elif verb == "checkpoint":
                self.checkpoint_of_others("left", rest)
            elif verb == "read":
                self.read("right")
            elif verb == "spill":
                self.spill("left")
            elif verb == "end":
                self.end(rest)
            elif verb == "die":
                self.die("large", int(rest))


def _statements(kind: str) -> list[str]:
    size = {"small": 8, "medium": 700, "large": 9000}.get(kind, 8)
    statements = ["BEGIN IMMEDIATE", f"INSERT INTO t(b) VALUES(randomblob({max(size, 16)}))"]
    if kind == "update":
        statements.append("UPDATE t SET b=randomblob(300) WHERE a % 5 = 1")
    elif kind == "shrink":
        statements.append("DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 3")
    return [*statements, "COMMIT"]

"""The application of one history, and what becomes of its database: writers, readers, checkpoints, files that go.

Every method is one step, and does nothing where it makes no sense just then. It keeps the oracle of all commits,
and the causes that a new generation may have. What the engine does is known to it by two properties alone.
"""

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

from replication.sqlite.checksum import WAL_HEADER_SIZE
from tests.torture.crew import Crew
from tests.torture.mirror import Oracle

ROWS_MAX = 40
"""Rows that the table may have before most of them are deleted, so that a database stays small."""


class Application(ABC):
    """Two processes with a writer and a reader each. `settings` are page size, auto_vacuum and autocheckpoint."""

    def __init__(
        self, folder: Path, crews: dict[str, Crew], counts: Counter[str], settings: tuple[int, str, int]
    ) -> None:
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
        self.reading: set[str] = set()
        self.is_open = False

    @property
    @abstractmethod
    def holding(self) -> bool:
        """The engine's pin is there, and was before this step began."""

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
        size = {"small": 8, "medium": 700, "large": 9000}.get(kind, 8)
        statements = ["BEGIN IMMEDIATE", f"INSERT INTO t(b) VALUES(randomblob({max(size, 16)}))"]
        if kind == "update":
            statements.append("UPDATE t SET b=randomblob(300) WHERE a % 5 = 1")
        elif kind == "shrink":
            statements.append("DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 3")
        done = self.crews[writer].commit(writer, *statements, "COMMIT")
        self._committed(done)
        if kind == "vacuum" and done:
            self._committed(self.crews[writer].commit(writer, "VACUUM"))
        rows = self.crews[writer].run(writer, "SELECT count(*) FROM t") if done else None
        if rows and rows[0][0] > ROWS_MAX:
            self.commit(writer, "shrink")

    def _committed(self, sha: str | None) -> None:
        if sha is None:
            self.counts["busy"] += 1
        else:
            self.tell(sha)

    def tell(self, sha: str) -> None:
        """A commit may have been made."""
        if self.oracle.states[-1:] != [sha]:
            self.oracle.add(sha)
            self.counts["commits"] += 1
            self.unseen = True
            if not self.holding:
                self.causes.add("commit unseen")

    def spill(self, writer: str) -> None:
        """Begin a transaction larger than the cache, or go on with it: frames without a commit."""
        if self.is_open and self.writing in (None, writer):
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
            if self.crews[side].run(f"{side} reader", "BEGIN", "SELECT count(*) FROM t") is not None:
                self.reading.add(side)
        elif side in self.reading:
            self.reading.remove(side)
            self.crews[side].run(f"{side} reader", "COMMIT")

    def checkpoint_of_others(self, side: str, mode: str) -> None:
        if self.is_open and self.writing != side:
            rows = self.crews[side].run(side, f"PRAGMA wal_checkpoint({mode})")
            self.counts[f"checkpoints of others, {'busy' if rows is None or rows[0][0] else 'done'}"] += 1
            if mode == "TRUNCATE":
                self.causes.add("truncate")

    def replace(self, leave_wal: bool) -> None:
        """Another database is put in place by a rename, as a restored backup is."""
        self.close_application()
        if self.left_wal:
            return
        other = self.folder / "other.db"
        crew = self.crews["left"]
        crew.open("other", other, *self.settings)
        crew.run("other", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        sha = crew.commit("other", "INSERT INTO t(b) VALUES(randomblob(2000))")
        assert sha is not None
        crew.close("other")
        # Of a WAL that was restarted since the engine looked, nobody could tell to which file it belongs.
        self.left_wal = leave_wal and self.wal.exists() and self.wal.read_bytes()[:WAL_HEADER_SIZE] == self.followed
        if not self.left_wal:
            self._remove_wal()
        other.rename(self.path)
        self.causes.add("replaced")
        self.tell(sha)
        if not self.left_wal:
            self.open_application()

    def mend(self) -> None:
        """The operator does what the error says."""
        if self.left_wal:
            self._remove_wal()
            self.left_wal = False

    def remove_wal(self) -> None:
        """All is in the database file and the application is closed: somebody tidies up what lies beside it."""
        if self.is_open:
            self.end("ROLLBACK")
            for side in sorted(self.reading):
                self.read(side)
            rows = self.crews["left"].run("left", "PRAGMA wal_checkpoint(FULL)")
            if rows is not None and rows[0][0] == 0 and rows[0][1] == rows[0][2]:
                self.close_application()
                self._remove_wal()
                self.causes.add("wal removed")
                self.open_application()

    def _remove_wal(self) -> None:
        self.wal.unlink(missing_ok=True)
        self.wal.with_name("app.db-shm").unlink(missing_ok=True)

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

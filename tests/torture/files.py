"""What others do to the files of a database, where SQLite has no say: they replace, rewrite, remove and link them.

Every method is one step. Each leaves files of which SQLite can say what the database is, for of others nothing can be
asked of a replica; and what it is then, the oracle is told.
"""

import os
import subprocess

from replication.sqlite.checksum import WAL_HEADER_SIZE
from tests.torture.application import Application

TICK_SECONDS_MAX = 2
"""The coarsest times that a file system has."""
CHANGE_IN_PLACE = "UPDATE t SET b=randomblob(length(b))"
"""A commit after which the database has as many pages as before."""


class Files(Application):
    """The application, and whoever else has the files in his hands."""

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

    def remove_shm(self, again: bool) -> None:
        """The shared memory goes under a live application, which opens the database again, or does not."""
        if self.stale:
            # Whoever made the index anew would lay the file that was before over the one that is.
            self.commit("left", "small")
        if self.is_open and not self.stale:
            self.mend_index()
            self._rest()
            self.wal.with_name("app.db-shm").unlink(missing_ok=True)
            self.causes.add("shm removed")
            self.close_application()
            if again:
                # Who makes it anew takes all for committed that is whole in the WAL.
                self.open_application()

    def rewrite(self, how: str) -> None:
        """Another copy is written over the file, which stays the same: cp, dd, rsync --inplace.

        All is in the file, and the WAL is begun anew by whoever writes next, so that the copy alone is the database. It
        has as many pages, for as long as an index is there SQLite takes that number from it; "tidy" removes that.
        "closed" is all that a careful operator does: had nobody replicated, the application would have removed its WAL.
        """
        if not self._is_all_in_the_file():
            return
        other = self.folder / "other.db"
        subprocess.run(["cp", self.path, other], check=True)
        crew = self.crews["left"]
        crew.open("other", other, *self.settings)
        if "smaller" in how:
            crew.run("other", "DELETE FROM t", "VACUUM")
            crew.run("other", "INSERT INTO t(b) VALUES(randomblob(500))")
        # No state is ever the same as another.
        sha = crew.commit("other", CHANGE_IN_PLACE)
        assert sha is not None
        crew.close("other")
        if "tidy" in how or other.stat().st_size == self.path.stat().st_size:
            if "tidy" in how or "closed" in how:
                self.close_application()
            self._write_over(other)
            self.causes.add("rewritten")
            self.counts["databases rewritten in place"] += 1
            if "tidy" in how:
                self._remove_wal()
            elif self.is_open:
                self._reopen()
            else:
                # Only the engine is left to know that the frames of its WAL do not count any more.
                self.while_closed()
            self.tell(sha)
            self.stale = "tidy" not in how
            if "tidy" in how:
                self.open_application()
            if "commit" in how:
                self.commit("left", "small")
        other.unlink()

    def use_other_name(self) -> None:
        """The application opens the database by a second name, whose WAL is another, and takes that name away again."""
        if not self._is_all_in_the_file():
            return
        self.close_application()
        before = self.path.stat().st_mtime_ns
        other = self.folder / "linked.db"
        os.link(self.path, other)
        crew = self.crews["left"]
        crew.open("other", other, *self.settings[:2], 0)
        sha = crew.commit("other", CHANGE_IN_PLACE)
        assert sha is not None
        self.while_linked()
        rows = crew.run("other", "PRAGMA wal_checkpoint(TRUNCATE)")
        assert rows == [[0, 0, 0]]
        self.causes.add("rewritten")
        crew.close("other")
        for name in ("", "-wal", "-shm"):
            other.with_name(f"linked.db{name}").unlink(missing_ok=True)
        # The one before may lie ahead, by the last time that a step like this one made it newer.
        self._make_it_newer(max(before, self.path.stat().st_mtime_ns))
        self.counts["databases used by another name"] += 1
        self.tell(sha, by_another_name=True)
        self.stale = True
        self.open_application()

    def while_closed(self) -> None:
        """The engine looks, before it may die too."""

    def while_linked(self) -> None:
        """The engine may look while there are two names."""

    def _rest(self) -> None:
        """Nobody is in a transaction."""
        self.end("ROLLBACK")
        for side in sorted(self.reading):
            self.read(side)

    def _is_all_in_the_file(self) -> bool:
        """True if the file alone is the database, whatever the WAL holds; nobody needs any frame of that."""
        # Whoever lets go of an index that was removed makes another one, by which all counts again.
        if not self.is_open or self.left_wal or not self.shares_its_index:
            return False
        self.mend_index()
        self._rest()
        rows = self.crews["left"].run("left", "PRAGMA wal_checkpoint(RESTART)")
        return rows is not None and rows[0][0] == 0

    def _write_over(self, other: os.PathLike[str]) -> None:
        before = self.path.stat().st_mtime_ns
        # By another process: closing it here would drop the engine's locks.
        subprocess.run(["cp", other, self.path], check=True)
        self._make_it_newer(before)

    def _make_it_newer(self, before: int) -> None:
        """Writing twice within one tick of the clock leaves one time; nobody can see that, and nobody is asked to."""
        os.utime(self.path, ns=(before, before + TICK_SECONDS_MAX * 10**9))

    def _reopen(self) -> None:
        """Every connection is opened anew, since its cache is of the file before; one is open all along."""
        for side in ("left", "right"):
            for name in (side, f"{side} reader"):
                self.crews[side].close(name)
                self.crews[side].open(name, self.path, *self.settings)

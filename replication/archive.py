"""The restore points of one configured database: its replicas, opened to be listed and read for a picker.

Its promise: the replicas are opened when they are first asked, and `close` lets go of them. Every method may wait for
the store, so it is called from a thread, one call at a time.
"""

from contextlib import ExitStack
from pathlib import Path

from replication.config import Config
from replication.offline import look
from replication.position import Position
from replication.restore.layouts import layout_of
from replication.restore.open_replicas import replicas_of
from replication.restore.points import Fetch, Learned, Listed, PointReader, Stop


class Reader:
    """As PointReader, for all replicas of a database."""

    def __init__(self, config: Config, database: str) -> None:
        self._config = config
        self._path = Path(database)
        self._stack = ExitStack()
        self._opened: PointReader | None = None
        self.waiting = ""
        """Which replica is waited for, in words; set by the thread that waits."""

    def close(self) -> None:
        """Let go of the replicas."""
        self._stack.close()

    def list(self, name: str | None = None) -> Listed:
        """List one replica, or that which answers best: the one that restoring the latest state would take.

        Raises StorageError if it, or none of them, answers, and NoBackupError if there is nothing to restore.
        """
        if self._opened is None:
            replicas = self._stack.enter_context(replicas_of(self._config, self._path))
            self._opened = layout_of(replicas).point_reader(replicas, self._newest, self._tell)
        return self._opened.list(name)

    def read(self, stop: Stop) -> Learned:
        """Read what is at one stop of the list; what cannot be read is said in the result, and not raised."""
        return self._reader.read(stop)

    def plan(self, position: Position) -> Fetch:
        """What restoring a point would fetch, by the list as it was.

        Raises RestoreError, and KeyError for a generation that is not in the list.
        """
        return self._reader.plan(position)

    def is_by_itself(self, position: Position) -> bool:
        """True if restoring a point would take a snapshot of which nothing tells which commit it holds."""
        return self._reader.is_by_itself(position)

    @property
    def _reader(self) -> PointReader:
        assert self._opened is not None, "a list comes first"
        return self._opened

    def _newest(self) -> Position | None:
        """The last commit that was copied here."""
        found = self._config.named(self._path)
        return look(found).position if found is not None else None

    def _tell(self, words: str) -> None:
        self.waiting = words

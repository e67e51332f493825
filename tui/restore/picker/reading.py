"""What a picker reads of a replica, asked of the engine: the list as a job that it keeps, and segments one by one.

Its promise: what was learned stays known in bounded memory, and a list that the engine let go of is made again. Every
method but `is_by_itself` and `close` may wait for the store, so it is called from a thread, one call at a time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replication.control import JobControl
from replication.control.requests import Commits, Entries, History, PlanPoint, Points, Query, Request
from replication.control.values import JobStatus
from replication.errors import NoJobError, ReplicationError
from replication.position import Position
from tui.session.jobs import LeftError, followed

if TYPE_CHECKING:
    from replication.history.log import Entry
    from replication.history.past import Answer
    from replication.restore.points import Commits as StopCommits
    from replication.restore.points import Fetch, Learned, Listed, Stop

SEGMENTS_KEPT_MAX = 200
COMMITS_KEPT_MAX = 2_000_000


class ReplicaReader:
    """The restore points of one database, as the engine lists them; `close` lets the engine forget the list."""

    def __init__(self, control: JobControl, database: str, leaving: threading.Event) -> None:
        self.waiting = ""
        """Which replica is waited for, in words."""
        self._control = control
        self._database = database
        self._leaving = leaving
        self._id = ""
        """The job that keeps the list."""
        self._replica = ""
        self._commits: OrderedDict[str, StopCommits] = OrderedDict()
        self._by_itself: dict[Position, bool] = {}

    def list(self, name: str | None = None) -> Listed:
        """List a replica, or the one that answers best."""
        before = self._id
        request = Points(database=self._database, replica=name or "")
        job = followed(self._control, request, self._leaving, told=self._told)
        listed: Listed = job.result
        self.waiting = ""
        self._id = job.id
        if listed.replica != self._replica:
            # Another replica cuts its segments elsewhere, under the same names.
            self._commits.clear()
        self._replica = listed.replica
        self._by_itself.clear()
        self._forget(before)
        return listed

    def read(self, stop: Stop) -> Learned:
        """Read the commits at one stop."""
        learned: Learned = self._of_the_list(lambda: Commits(points=self._id, object=stop.object))
        for name, commits in learned.commits.items():
            self._commits[name] = commits
            self._commits.move_to_end(name)
        total = sum(len(item.ends) for item in self._commits.values())
        while len(self._commits) > 1 and (len(self._commits) > SEGMENTS_KEPT_MAX or total > COMMITS_KEPT_MAX):
            total -= len(self._commits.popitem(last=False)[1].ends)
        return replace(learned, commits=dict(self._commits))

    def plan(self, position: Position) -> Fetch:
        """What restoring a point would fetch."""
        planned = self._of_the_list(lambda: PlanPoint(points=self._id, position=str(position)))
        self._by_itself[position] = planned.by_itself
        fetch: Fetch = planned.fetch
        return fetch

    def is_by_itself(self, position: Position) -> bool:
        """True if restoring a point would take a snapshot of Litestream as it is, or if that is not known yet.

        Then no other replica stands in for this one.
        """
        return self._by_itself.get(position, True)

    def close(self) -> None:
        """Let the engine forget the list; waits for nothing."""
        id, self._id = self._id, ""
        if id:
            threading.Thread(target=self._forget, args=(id,), name="forget-list", daemon=True).start()

    def _of_the_list(self, request: Callable[[], Request]) -> Any:
        """The result of a question about the list, which is made again if the engine has let go of it."""
        try:
            return followed(self._control, request(), self._leaving).result
        except NoJobError:
            self.list(self._replica or None)
            return followed(self._control, request(), self._leaving).result

    def _forget(self, id: str) -> None:
        if id:
            # The engine may have forgotten the list already, or be gone.
            with suppress(ReplicationError):
                self._control.forget(id)

    def _told(self, job: JobStatus) -> None:
        self.waiting = job.words


class HistoryReader:
    """What commits of a replica did, as the engine tells it from a history that it keeps open; `close` lets it go.

    Every method but `close` may wait for the store, so it is called from a thread.
    """

    def __init__(self, control: JobControl, database: str, leaving: threading.Event) -> None:
        self._control = control
        self._database = database
        self._leaving = leaving
        self._cancel = threading.Event()
        self._open: dict[str, str] = {}
        """The jobs that keep replicas open, by replica."""

    def entries(self, replica: str, position: Position, limit: int) -> tuple[Entry, ...]:
        """What so many commits did, from that one back."""
        found: tuple[Entry, ...] = self._of_history(
            replica, lambda id: Entries(history=id, position=str(position), limit=limit), self._cancel
        )
        return found

    def answer(self, replica: str, position: Position, sql: str, cancel: threading.Event) -> Answer:
        """The answer to SQL of the database at a commit."""
        found: Answer = self._of_history(replica, lambda id: Query(history=id, position=str(position), sql=sql), cancel)
        return found

    def close(self) -> None:
        """Cancel what is asked and let the engine forget the rest; waits for nothing."""
        self._cancel.set()
        ids = list(self._open.values())
        self._open.clear()
        for id in ids:
            threading.Thread(target=self._forget, args=(id,), name="forget-history", daemon=True).start()

    def _of_history(self, replica: str, request: Callable[[str], Request], cancel: threading.Event) -> Any:
        if replica in self._open:
            with suppress(NoJobError):
                return followed(self._control, request(self._open[replica]), self._leaving, cancel).result
        history = followed(self._control, History(database=self._database, replica=replica), self._leaving, cancel)
        if self._cancel.is_set():
            self._forget(history.id)
            raise LeftError("the screen was left")
        self._open[replica] = history.id
        return followed(self._control, request(history.id), self._leaving, cancel).result

    def _forget(self, id: str) -> None:
        with suppress(ReplicationError):
            self._control.forget(id)

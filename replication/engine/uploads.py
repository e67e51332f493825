"""The jobs of one replica in the pool that uploads: each in the lane of its class of work and its store.

They wake one another: the one that sends finds that a first snapshot has to come before, or that a duty has become due,
and a snapshot that is stored lets the segments go. It leaves to the engine when a database is let go of, and the pool.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from replication.errors import PausedError
from replication.pool import Job, Lane
from replication.replica.outage import Outages
from replication.replica.runner import ReplicaRunner
from replication.work import Work, lane

Wake = Callable[[Job, float], None]
"""Called to run a job at a time of time.monotonic. 0 is at once."""


class Uploads:
    """The jobs of one replica. Any thread may call `wake`; each job is run by one thread at a time."""

    def __init__(
        self,
        name: str,
        runner: ReplicaRunner,
        store: str,
        outages: "Outages[Uploads]",
        wake: Wake,
        working: Callable[[], AbstractContextManager[None]],
        done: Callable[[], None],
    ) -> None:
        """`name` is for people, and replicas of one `store` fail together. `working` opens a block of work, and raises
        PausedError if none may begin; `done` is called after each piece of it.
        """
        self.runner = runner
        self._store = store
        self._outages = outages
        self._wake = wake
        self.working = working
        self._done = done
        self.commits = Job(f"upload {name}", self._commits, self.lane(Work.COMMITS))
        self._first = Job(f"first snapshot {name}", self._begin, self.lane(Work.FIRST))
        self._duties = Job(f"duties {name}", self._run_duties, self.lane(Work.DUTIES))
        self._validation = Job(f"validate {name}", self._validate, self.lane(Work.DUTIES))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs of the replica."""
        return (self.commits, self._first, self._duties, self._validation)

    def lane(self, work: Work) -> Lane:
        """The lane of this kind of work for this replica's store."""
        return lane(work, self._store)

    def start(self) -> None:
        """Begin what runs at intervals of its own."""
        self._wake(self._validation, 0.0)

    def wake(self) -> None:
        """Wake the jobs: something was committed, or is to be tried now."""
        self._wake(self.commits, 0.0)

    def hurry(self) -> None:
        """Wake the jobs, which wait for no gap and no back-off."""
        self.commits.lane = self.lane(Work.COMMITS)
        self.runner.hurry()
        self.wake()

    # -- jobs -----------------------------------------------------------------------------------------------------

    def _commits(self) -> float | None:
        with suppress(PausedError), self.working():
            again = self.runner.run()
            if self.runner.replica.begins:
                self._wake(self._first, 0.0)
            self._after_a_try()
            return again
        # Whatever lets it go on wakes this job.
        return None

    def _begin(self) -> float | None:
        with suppress(PausedError), self.working():
            again = self.runner.begin()
            self._after_a_try()
            if again is None:
                self.wake()
            return again
        return None

    def _after_a_try(self) -> None:
        self._done()
        failing = self.runner.failure.count > 0
        self.commits.lane = self.lane(Work.RETRIES if failing else Work.COMMITS)
        if failing:
            self._outages.failed(self._store, self)
            return
        if (due := self.runner.duties.next_time()) is not None:
            self._wake(self._duties, due)
        for waiting in self._outages.reached(self._store, self):
            waiting.hurry()

    def _run_duties(self) -> float | None:
        with suppress(PausedError), self.working():
            again = self.runner.duties.run()
            self._done()
            # What is there may have turned out not to be what was believed: a new position is looked for.
            if not self.runner.caught_up():
                self.wake()
            return again
        return None

    def _validate(self) -> float | None:
        # A database that is let go of has no position: its validation waits for one.
        again = self.runner.duties.validate()
        self._done()
        return again

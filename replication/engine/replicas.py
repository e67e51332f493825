"""The replicas of one database of an engine: those that are at work, and how some are exchanged for others.

Its promise: one that is the same before and after is not touched. The lists are exchanged and never changed, so that
any thread may go through them.
"""

import threading
from collections.abc import Callable, Sequence

from replication.config import ReplicaConfig
from replication.engine.shared import Shared
from replication.engine.uploads import Uploads
from replication.pool import Job
from replication.replica.ordered import Order
from replication.replica.runner import ReplicaRunner
from replication.restore.meter import RestoreProgress
from replication.status import Progress, Verification, untold

MakeUploads = Callable[[ReplicaConfig, ReplicaRunner], Uploads]
MakeRunner = Callable[[ReplicaConfig], ReplicaRunner]


class Replicas:
    """The replicas of one database. `runners` and `uploads` are in the order of `settings`."""

    def __init__(self, settings: Sequence[ReplicaConfig], runners: list[ReplicaRunner], make: MakeUploads) -> None:
        self.settings = tuple(settings)
        self.runners = runners
        self.uploads = [make(*pair) for pair in zip(settings, runners, strict=True)]
        self._make = make

    @property
    def sync_interval(self) -> float:
        """The shortest sync-interval of the replicas, in seconds."""
        return min((replica.sync_interval for replica in self.settings), default=float("inf"))

    @property
    def jobs(self) -> list[Job]:
        """All jobs of the replicas."""
        return [job for uploads in self.uploads for job in uploads.jobs]

    def start(self) -> None:
        """Begin what runs at intervals of its own."""
        for uploads in self.uploads:
            uploads.start()

    def wake(self) -> None:
        """Wake the replicas: something was committed."""
        for uploads in self.uploads:
            uploads.wake()

    def hurry(self) -> None:
        """Try them all, waiting for no gap and no retry."""
        for uploads in self.uploads:
            uploads.hurry()

    def snapshot(self, replica: str | None, cancel: threading.Event, progress: Progress) -> list[str]:
        """Write a snapshot to each replica now. Return what became of each, in words.

        `progress` takes the bytes of the database for the replica that has its turn, and how many had theirs.
        """
        chosen = [runner.replica for runner in self.runners if replica in (None, runner.replica.name)]
        said: list[str] = []

        def told(done: int, total: int) -> None:
            progress(RestoreProgress("snapshot", done, total, len(said), len(chosen)))

        for one in chosen:
            said.append(f"{one.name}: {one.snapshot(Order(cancel, told))}")
        return said

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        """Restore the newest commit from each and compare."""
        return [runner.verify(cancel, progress) for runner in self.runners]

    def interrupt(self) -> None:
        """Break off what hangs at a store: there is no more time."""
        for runner in self.runners:
            runner.replica.interrupt()

    def close(self, shared: Shared) -> None:
        """Let go of the stores. Nothing of the replicas is under way any more."""
        for uploads in self.uploads:
            uploads.runner.replica.close()
            shared.outages.forget(uploads)

    def not_in(self, wanted: Sequence[ReplicaConfig]) -> list[Uploads]:
        """The replicas that are to end where these are wanted: those that are not among them, unchanged."""
        pairs = zip(self.settings, self.uploads, strict=True)
        return [uploads for settings, uploads in pairs if settings not in wanted]

    def exchange(self, wanted: Sequence[ReplicaConfig], make_runner: MakeRunner) -> list[tuple[Uploads, bool]]:
        """Replace the replicas by those that are wanted. Return the new ones, which the caller starts.

        With each comes True if one of its name and location was there before.
        """
        going = dict(zip(self.settings, self.uploads, strict=True))
        before = {(replica.name, replica.location) for replica in self.settings}
        uploads, new = [], []
        for settings in wanted:
            known = going.get(settings)
            if known is None:
                known = self._make(settings, make_runner(settings))
                new.append((known, (settings.name, settings.location) in before))
            uploads.append(known)
        self.settings, self.uploads, self.runners = tuple(wanted), uploads, [item.runner for item in uploads]
        return new

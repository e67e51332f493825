"""Databases of one disk share threads: a disk that hangs holds up its own databases and no others."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from replication.mounts import mount_of
from replication.pool import Job, Lane

THREADS_MAX = 2
"""Jobs of one disk at once: with more they only wait for one another, in Python and on the disk."""


def lane_of(*devices: int) -> Lane:
    """The lane of jobs that need these devices, each as `st_dev` has it."""
    return Lane("disk " + " and ".join(map(str, sorted(set(devices)))), THREADS_MAX)


class Disks:
    """What a database lies on, and its jobs: they share threads with those of the same disks."""

    def __init__(self, database: Path, local_folder: Path) -> None:
        self._path = local_folder
        self._database = mount_of(database).device
        self._local_folder = mount_of(local_folder).device
        self._known = 0
        """The device on which the database was found last."""
        self._jobs: list[Job] = []

    @property
    def lane(self) -> Lane:
        """The lane of all databases on these disks."""
        return lane_of(self._database, self._local_folder)

    def job(self, name: str, run: Callable[[], float | None]) -> Job:
        """A job that needs the disks."""
        self._jobs.append(Job(name, run, self.lane))
        return self._jobs[-1]

    def found(self, device: int) -> None:
        """The database is open on this device, 0 if it is not: a link or a later mount may have led elsewhere.

        To be called after something was written to the local folder, which then does not hang.
        """
        if device in (0, self._known):
            return
        self._known = self._database = device
        with suppress(OSError):
            self._local_folder = self._path.stat().st_dev
        for job in self._jobs:
            job.lane = self.lane

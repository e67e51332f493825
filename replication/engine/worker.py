"""One database of an engine: its jobs, what may be asked of it, and how it stands.

Whether a job may do its work the lifecycle says, and nothing else does. Every change of it that lets work go on is
followed by a wake of all that had to stand still, so that no database is left unreplicated.
"""

import threading
import time
from contextlib import suppress
from functools import partial

from replication.config import DatabaseConfig, ReplicaConfig
from replication.database.database import Database
from replication.database.status_file import SAVE_SECONDS_MIN
from replication.database.wal_stat import WALStat
from replication.engine.disks import Disks
from replication.engine.failures import Failures
from replication.engine.lifecycle import Lifecycle, Phase, State, Transition
from replication.engine.replicas import MakeRunner, Replicas
from replication.engine.report import Report
from replication.engine.shared import Shared
from replication.engine.uploads import Uploads
from replication.errors import DatabaseLockedError, LocalFileError, PausedError, words_of
from replication.pool import Job
from replication.position import Position
from replication.replica.runner import ReplicaRunner
from replication.replica.waiting import clean
from replication.status import DatabaseStatus, Progress, Verification, untold

SYNC_GAP_SECONDS_MIN = 0.005
SYNC_GAP_SECONDS_MAX = 0.05
SYNC_SHARE_MAX = 0.02
"""Share of one CPU that syncing a database may use: a sync that takes longer is followed by a longer gap, within these
bounds, and no longer than its shortest sync-interval."""
LET_GO_RETRY_SECONDS = 1.0


class Worker:
    """Replicates one database: syncs it, wakes its replicas, and lets go of it for a pause or at the end."""

    def __init__(
        self,
        config: DatabaseConfig,
        database: Database,
        runners: list[ReplicaRunner],
        lifecycle: Lifecycle,
        shared: Shared,
    ) -> None:
        self.config = config
        self.database = database
        self.lifecycle = lifecycle
        self.failures = Failures()
        self.wal_stat = WALStat(database)
        self.round_key: tuple[float, int] | None = None
        """The round of the monitor that checks it: its interval and its file system."""
        self.wanted = config
        """The configuration that the database is to have; `config` is the one that it has."""
        self._shared = shared
        self.replicas = Replicas(config.replicas, runners, self._make_uploads)
        self.begun = False
        """False while other databases have to end before this one may begin."""
        self._end_lock = threading.Lock()
        self._emit = partial(shared.events.emit, database=str(database.path))
        self._watched = False
        """Whether the kernel tells of its changes."""
        self._began = self._gap = 0.0
        """When the last sync began, of time.monotonic, and the seconds from then until the next may begin."""
        self._last_woken: Position | None = None
        """The position for which the replicas were last woken."""
        self._report = Report(config, database, runners, lifecycle)
        self.disks, name = Disks(database.path, database.meta_path), str(database.path)
        self._sync_job = self.disks.job(f"sync {name}", self._sync)
        self._let_go_job = self.disks.job(f"let go of {name}", self._let_go)
        self._save_job = self.disks.job(f"note {name}", self._save)
        self._lapse_job = Job(f"leases of {name}", self._lapse)

    # -- what is asked of it ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Sync for the first time, and validate from time to time."""
        self.begun = True
        self._shared.wake_sync(self._sync_job)
        if self.lifecycle.phase is Phase.PAUSING:
            # A pause was asked for before there were threads.
            self.idle()
            self._watch_lease(self.lifecycle.state.leases.first_end)
        self.replicas.start()

    def wake(self) -> None:
        """Sync the database as soon as its gap is over."""
        if self.begun:
            self._shared.wake_sync(self._sync_job, self._began + self._gap)

    def hurry(self) -> None:
        """Sync, and try all replicas, waiting for no retry."""
        self.wake()
        if self.begun:
            self.replicas.hurry()

    def saw_nothing(self, when: float) -> None:
        """Remember that a check found nothing new at `when`, in seconds since the epoch."""
        self._report.last_idle_check = when

    def idle(self) -> None:
        """Called when the last work under way has ended, and a pause waits for that."""
        self._shared.wake_sync(self._let_go_job)

    def hold(self, holder: str, lease_seconds: float | None) -> None:
        """Let go of the database for `holder` as soon as nothing is under way."""
        until = self.lifecycle.hold(holder, lease_seconds)
        self._shared.wake_sync(self._let_go_job)
        self._watch_lease(until)

    def renew(self, holder: str, lease_seconds: float) -> None:
        """Keep it paused. Raises PausedError if `holder` no longer holds it."""
        self._watch_lease(self.lifecycle.renew(holder, lease_seconds))

    def resume(self, holder: str) -> tuple[str, ...]:
        """End the pause of `holder`. Return the holders that still need one."""
        before, after = self.lifecycle.release(holder)
        self._after_holds(before, after, holder)
        return after.leases.holders

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        """Restore the newest commit from each replica and compare."""
        try:
            return self.replicas.verify(cancel, progress)
        finally:
            self._wake_save()

    def status(self, now: float) -> DatabaseStatus:
        """The status at `now`, in seconds since the epoch. Neither disk nor store is asked."""
        return self._report.status(now)

    def stand_by(self, holder: DatabaseLockedError) -> None:
        """Wait for the end of another engine, which has it: `take_over` is asked for again and again."""
        self.database.stand_by(holder)
        words = "replicated by another litestream-tui, which is waited for; this one takes over at its end"
        self._emit("warning", words, pid=holder.holder)

    def take_over(self) -> bool:
        """True once the other engine has ended and this one goes on, or has it no more."""
        # While it is paused it is not ours to take.
        with suppress(PausedError), self.lifecycle.working():
            if self.database.take_over():
                self._emit("info", "the other litestream-tui has ended, taking over")
                self.wake()
                return True
        return False

    # -- another configuration --------------------------------------------------------------------------------------

    @property
    def unwanted(self) -> list[Uploads]:
        """The replicas that are to end: they are not in the wanted configuration, or are others there."""
        return self.replicas.not_in(self.wanted.replicas)

    def change(self, make_runner: MakeRunner) -> None:
        """Go on with the wanted configuration; what is the same in it is not touched, and is copied all the while."""
        self.config = self.wanted
        new = self.replicas.exchange(self.config.replicas, make_runner)
        self._report.runners = self.replicas.runners
        for uploads, was_there_before in new:
            if was_there_before:
                self._report.recall(uploads.runner)
            uploads.start()
            uploads.hurry()
        # At rest it is looked at in the interval that it had.
        self._shared.disturb(self)
        self.wake()
        self._wake_save()

    # -- the end ----------------------------------------------------------------------------------------------------

    def last_sync(self) -> None:
        """Sync once more, if it may. An error is reported, and nothing is raised."""
        with suppress(PausedError), self.lifecycle.working():
            try:
                self.database.sync()
            except Exception as error:  # whatever it is: raised from a job it would be tried and reported a second time
                self._failed(error)

    def end(self) -> None:
        """Let go of the database for good, once. Nothing is under way any more."""
        with self._end_lock:
            if self.lifecycle.phase is not Phase.CLOSED:
                self._end()

    @property
    def jobs(self) -> list[Job]:
        """All jobs of the database and its replicas."""
        return [self._sync_job, self._let_go_job, self._lapse_job, self._save_job, *self.replicas.jobs]

    def forget(self) -> None:
        """Take the worker out of everything that databases share."""
        self._shared.unwatch(self.wake)
        self._shared.disturb(self)
        self._shared.forget(self.jobs, 0.0)

    def _end(self) -> None:
        try:
            self._report.save(ending=True)
            self.database.close()
            self.replicas.close(self._shared)
        except Exception as error:  # the others are to be let go of as well
            self._emit("error", "closing failed: the next start checks the copy", error=words_of(error))
        self.lifecycle.ended()

    # -- jobs -------------------------------------------------------------------------------------------------------

    def _sync(self) -> float | None:
        now = time.monotonic()
        if now < self._began + self._gap:
            return self._began + self._gap
        with suppress(PausedError), self.lifecycle.working():
            return self._sync_at_work(now)
        # Whatever lets it go on wakes this job.
        return None

    def _sync_at_work(self, now: float) -> float | None:
        self._began, used = now, time.thread_time()
        if not self._watched and self.lifecycle.phase is not Phase.CLOSING:
            self._watched = self._shared.watch(self.database.path, self.wake)
        generation = self.database.generation_info.generation
        try:
            look_again = self.database.sync()
        except Exception as error:  # whatever it is: it shows, and the next try comes
            return now + self._failed(error)
        finally:
            # A file that is not there is not synced.
            if self.database.position is not None:
                self.database.counts.done("sync", time.monotonic() - now)
            gap = min((time.thread_time() - used) / SYNC_SHARE_MAX, SYNC_GAP_SECONDS_MAX, self.replicas.sync_interval)
            soon = self.database.look_again_seconds
            # A commit that is about to count is waited for at short intervals, and for as long as nothing else is.
            self._gap = max(gap, SYNC_GAP_SECONDS_MIN) if soon is None else min(soon, SYNC_GAP_SECONDS_MAX)
            # What was copied before something failed is on its way all the same.
            if self.database.position != self._last_woken:
                # Since the last sync an image may have copied commits too, for one replica.
                self._last_woken = self.database.position
                self.replicas.wake()
                self._wake_save()
        if self.failures.count:
            self._emit("info", "sync recovered")
            self._wake_save()
        self.failures = Failures()
        self.lifecycle.synced(found=self.database.health.state != "waiting")
        self.disks.found(self.database.device)
        if self.database.to_be_cleaned:
            # Cleaning is done after an upload as well, but all stores may be away.
            self._clean()
        if self.database.health.state != "ok" or self.database.generation_info.generation != generation:
            # The folder may be another one, and the events still those of the old one.
            self._watched = False
        return self._next_look(look_again, now)

    def _next_look(self, look_again: float | None, now: float) -> float | None:
        """When the next sync comes, in the time of time.monotonic, if no event and no check asks for one before."""
        rests = self._shared.rest(self)
        wait = float("inf") if rests else self.config.monitor_interval
        if look_again is not None:
            left = look_again - time.time()
            # A checkpoint that was due and not done waits for the end of an image, which takes its time.
            wait = min(wait, left) if rests or left > 0 else wait
        return now + max(wait, self._gap) if wait < float("inf") else None

    def _failed(self, error: Exception) -> float:
        self._shared.disturb(self)
        self.database.errors.add(type(error).__name__)
        # Whoever waits for the end of the start looks at the failures next.
        wait = self.failures.add(error, self.config.monitor_interval)
        self.lifecycle.synced(found=True)
        self._wake_save()
        if message := self.failures.to_be_told(error):
            self._emit("error", "sync failed", error=message, next_try_in=f"{wait:.1f}s")
        return wait

    def _uploaded(self) -> None:
        """Save and clean after something was done for a replica, or was tried."""
        self._wake_save()
        self._clean()

    def _clean(self) -> None:
        # A folder that cannot be written shows at the next sync, and nothing is lost by files that stay.
        with suppress(LocalFileError):
            clean(self.database, [runner.replica for runner in self.replicas.runners])

    def _let_go(self) -> float | None:
        """Let others have it, if that is wanted and nothing is under way."""
        if not self.begun or not self.lifecycle.leave():
            return None
        try:
            self._shared.disturb(self)
            self._report.leaving()
            # The program that has it meanwhile writes to its replicas, too.
            for runner in self.replicas.runners:
                runner.replica.let_go()
            self.database.let_go()
            self._last_woken, self._watched, self._gap = None, False, 0.0
        except Exception as error:  # whatever it is: nobody may believe that it was let go of
            phase = self.lifecycle.left(Transition.STAYED)
            self._emit("error", "pausing failed: the database is not released", error=words_of(error))
        else:
            phase = self.lifecycle.left(Transition.LEFT)
            if phase is Phase.PAUSED:
                self._emit("info", "paused", by=", ".join(self.lifecycle.state.leases))
        if phase is Phase.STARTING:
            self.hurry()
        return time.monotonic() + LET_GO_RETRY_SECONDS if phase is Phase.PAUSING else None

    def _lapse(self) -> float | None:
        """End the pauses that were not renewed in time."""
        before, after = self.lifecycle.lapse()
        for holder in before.leases:
            if holder not in after.leases:
                self._emit("warning", "a pause was not renewed in time and has ended", by=holder)
                self._after_holds(before, after, holder)
        until = after.leases.first_end
        return until if until < float("inf") else None

    def _after_holds(self, before: State, after: State, holder: str) -> None:
        """Go on, if nobody wants the pause any more."""
        if before.leases and not after.leases:
            self._emit("info", "resumed", by=holder)
            if after.phase is Phase.STARTING:
                self.hurry()

    def _watch_lease(self, until: float) -> None:
        if until < float("inf"):
            self._shared.wake_sync(self._lapse_job, until)

    def _make_uploads(self, settings: ReplicaConfig, runner: ReplicaRunner) -> Uploads:
        return Uploads(
            f"{self.database.path} {settings.name}",
            runner,
            settings.location.store,
            self._shared.outages,
            self._shared.wake_upload,
            self.lifecycle.working,
            self._uploaded,
        )

    def _wake_save(self) -> None:
        self._shared.wake_sync(self._save_job, self._report.last_saved + SAVE_SECONDS_MIN)

    def _save(self) -> float | None:
        # Once it is let go of, `_let_go` has written the last notes.
        with suppress(PausedError), self.lifecycle.working():
            return time.monotonic() + SAVE_SECONDS_MIN if self._report.save() else None
        return None

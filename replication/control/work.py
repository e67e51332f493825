"""What each job does, in the engine's process: the one place that knows how a request is carried out.

Nothing is done for a database that is not in the configuration, and nothing is written but to the path that the request
names, or to a temporary file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from replication.config import Config
from replication.control import requests as ask
from replication.control.changing import Changing
from replication.control.contract import Control
from replication.control.jobs import Jobs, Run
from replication.control.lister import Lister
from replication.control.looking_back import LookingBack, position_of, wanted_of
from replication.control.pause_lease import PauseLease
from replication.control.recalling import Previewed, bring_back, preview_back, write_rows
from replication.control.results import PointPlan
from replication.control.syncing import sync
from replication.control.values import Synced
from replication.errors import NotAllowedError, PausedError, RestoreCancelledError, UsageError
from replication.offline import look
from replication.recall.recall import Brought
from replication.reserved import refuse_output
from replication.restore.histories import HeldGeneration
from replication.restore.kept import kept_path
from replication.restore.layouts import layout_of
from replication.restore.open_replica import OpenReplica
from replication.restore.open_replicas import configured, replicas_of
from replication.restore.picked import restore_picked
from replication.restore.points import Fetch, Learned, Listed
from replication.restore.preview import open_preview
from replication.restore.replace import Replaced, restore_over
from replication.restore.restore import RestoreOptions, RestoreResult, prepare
from replication.restore.retry import CANCELLED
from replication.scrub import quoted
from replication.sqlite.diff import Differences, TableCount
from replication.status import Verification

PARALLELISM_MAX = 64


class Work:
    """Carries out requests with the engine of this process. `of` gives the function that a job runs for a request."""

    def __init__(
        self,
        engine: Control,
        config: Callable[[], Config],
        jobs: Jobs,
        changing: Changing,
        opens_live: bool = True,
    ) -> None:
        """`opens_live` is False where the live databases must not be opened, not even to compare a look with them."""
        self._engine = engine
        self._config = config
        self._jobs = jobs
        self._opens_live = opens_live
        looking = LookingBack(config, jobs)
        self._todo: dict[type, Callable[[Any, Run], Any]] = {
            ask.Sync: self._sync,
            ask.WriteSnapshot: self._snapshot,
            ask.Verify: self._verify,
            ask.Pause: self._pause,
            ask.Restore: self._restore,
            ask.RestoreOver: self._restore_over,
            ask.Plan: self._plan,
            ask.Look: self._look,
            ask.Rows: self._rows,
            ask.Points: self._points,
            ask.Generations: self._generations,
            ask.Commits: self._commits,
            ask.PlanPoint: self._plan_point,
            ask.History: looking.history,
            ask.Entries: looking.entries,
            ask.Query: looking.query,
            ask.Find: looking.find,
            ask.PreviewBack: self._preview_back,
            ask.BringBack: self._bring_back,
            ask.WriteRows: self._write_rows,
            ask.Reload: changing.reload,
            ask.Register: changing.register,
            ask.Unregister: changing.unregister,
        }

    def of(self, request: ask.Request) -> Callable[[Run], Any]:
        """The function that carries out a request. Raises UsageError for what can be refused at once."""
        database = getattr(request, "database", "")
        if database and not isinstance(request, ask.Register | ask.Unregister):
            configured(self._config(), Path(database))
        replica = getattr(request, "replica", "")
        if replica:
            names = [item.name for item in configured(self._config(), Path(database)).replicas]
            if replica not in names:
                known = ", ".join(names) or "none"
                raise UsageError(f"{database} has no replica called {quoted(replica)!r}; it has: {known}")
        if isinstance(request, ask.Moment):
            # Reading it raises UsageError if it cannot be understood.
            _ = request.target
        if isinstance(request, ask.Find):
            wanted_of(request)
        if isinstance(request, ask.Entries | ask.Query | ask.Find) and request.position:
            position_of(request.position)
        if isinstance(request, ask.PreviewBack):
            _ = request.wanted, request.end
            if not self._opens_live:
                raise NotAllowedError("rows are brought back by an engine, and none runs: start one, or use bring-back")
        if isinstance(request, ask.Restore | ask.WriteRows) and not request.output:
            raise UsageError("output must be an absolute path, and is empty")
        for name in ("output", "kept"):
            path = getattr(request, name, "")
            if path and (not path.startswith("/") or "\0" in path):
                raise UsageError(
                    f"{name} must be an absolute path, for the engine is in another folder: {quoted(path)!r}"
                )
            if path:
                refuse_output(Path(path))
        if not 1 <= getattr(request, "parallelism", 1) <= PARALLELISM_MAX:
            raise UsageError(f"parallelism must be from 1 to {PARALLELISM_MAX}")
        for name in ("timeout", "lease_seconds"):
            if not 0 <= getattr(request, name, 0.0) <= ask.SECONDS_MAX:
                raise UsageError(f"{name} must be seconds from 0 to {ask.SECONDS_MAX:.0f}")
        todo = self._todo[type(request)]
        return lambda run: todo(request, run)

    # -- what the engine does ---------------------------------------------------------------------------------------

    def _sync(self, request: ask.Sync, run: Run) -> Synced:
        return sync(self._engine, request, run)

    def _snapshot(self, request: ask.WriteSnapshot, run: Run) -> tuple[str, ...]:
        return tuple(self._engine.snapshot(request.database, request.replica or None, run.cancel, run.progress))

    def _verify(self, request: ask.Verify, run: Run) -> tuple[Verification, ...]:
        return tuple(self._engine.verify(request.database, run.cancel, run.progress))

    def _pause(self, request: ask.Pause, run: Run) -> None:
        run.when_cancelled(lambda: self._engine.resume(request.database, request.holder))
        self._engine.pause(request.database, request.holder, request.lease_seconds or None)

    # -- restoring --------------------------------------------------------------------------------------------------

    def _restore(self, request: ask.Restore, run: Run) -> RestoreResult:
        with self._sources(request, run) as sources:
            options = self._options(request, run)
            return restore_picked(sources, request.replica, Path(request.output), options, run.progress, run.cancel)

    def _restore_over(self, request: ask.RestoreOver, run: Run) -> Replaced:
        live = Path(request.database)
        lease = PauseLease(self._engine, request.database, "a restore", run.cancel)
        run.when_cancelled(lease.give_up)
        kept = Path(request.kept) if request.kept else kept_path(live, datetime.now(UTC))
        with self._sources(request, run) as sources:
            options = self._options(request, run)
            try:
                return restore_over(
                    sources,
                    live,
                    options,
                    kept,
                    lease.begin,
                    lease.end,
                    run.progress,
                    run.cancel,
                    request.since,
                    request.replica,
                )
            except RestoreCancelledError:
                if lease.lost:
                    raise PausedError(lease.lost) from None
                raise

    def _plan(self, request: ask.Plan, run: Run) -> Fetch:
        with self._sources(request, run) as sources:
            chosen = [item for item in sources if request.replica in ("", item.name)]
            prepared = prepare(chosen, self._options(request, run), run.cancel)
            plan = {"replica": prepared.source.name, **prepared.plan.values()}
            return replace(prepared.plan.fetch(), plan=plan, warnings=tuple(prepared.warnings))

    # -- looking ----------------------------------------------------------------------------------------------------

    def _look(self, request: ask.Look, run: Run) -> tuple[TableCount, ...]:
        with self._sources(request, run) as sources:
            preview = open_preview(
                sources,
                request.replica,
                Path(request.database) if self._opens_live else None,
                replace(self._options(request, run), integrity_check="none"),
                run.progress,
                run.cancel,
            )
        try:
            tables = preview.tables(run.cancel)
            if run.cancel.is_set():
                raise RestoreCancelledError(CANCELLED)
        except BaseException:
            preview.close()
            raise
        run.keep(preview)
        return tuple(tables)

    def _rows(self, request: ask.Rows, run: Run) -> Differences:
        with self._jobs.using(request.look, "look") as preview:
            found: Differences = preview.differences(request.table, run.cancel)
            return found

    def _points(self, request: ask.Points, run: Run) -> Listed:
        reader = Lister(self._config(), request.database, run.say)
        try:
            listed = reader.list(request.replica or None)
            if run.cancel.is_set():
                raise RestoreCancelledError(CANCELLED)
        except BaseException:
            reader.close()
            raise
        run.keep(reader)
        return listed

    def _generations(self, request: ask.Generations, run: Run) -> tuple[HeldGeneration, ...]:
        with replicas_of(self._config(), Path(request.database), request.replica) as sources:
            for source in sources:
                run.when_cancelled(source.storage.interrupt)
            return layout_of(sources).held(sources[0])

    def _commits(self, request: ask.Commits, run: Run) -> Learned:
        with self._jobs.using(request.points, "points") as reader:
            learned: Learned = reader.learn(request.object)
            return learned

    def _plan_point(self, request: ask.PlanPoint, run: Run) -> PointPlan:
        position = position_of(request.position)
        with self._jobs.using(request.points, "points") as reader:
            planned: PointPlan = reader.planned(position)
            return planned

    # -- bringing back ----------------------------------------------------------------------------------------------

    def _preview_back(self, request: ask.PreviewBack, run: Run) -> Previewed:
        database = configured(self._config(), Path(request.database))
        with self._sources(request, run) as sources:
            return preview_back(request, database, sources, self._options(request, run), run)

    def _bring_back(self, request: ask.BringBack, run: Run) -> Brought:
        with self._jobs.using(request.preview, "preview-back") as recall:
            return bring_back(recall, run)

    def _write_rows(self, request: ask.WriteRows, run: Run) -> str:
        with self._jobs.using(request.preview, "preview-back") as recall:
            return write_rows(recall, Path(request.output), run)

    # -- inside -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _sources(self, request: ask.Moment, run: Run) -> Iterator[list[OpenReplica]]:
        """The replicas that may give what is asked for. Cancelling the job breaks off waits for a silent one."""
        with replicas_of(self._config(), Path(request.database)) as sources:
            for source in sources:
                run.when_cancelled(source.storage.interrupt)
            yield [item for item in sources if item.name == request.replica] if request.only else sources

    def _options(self, request: ask.Moment, run: Run) -> RestoreOptions:
        database = configured(self._config(), Path(request.database))
        options = RestoreOptions(
            target=request.target,
            generation=request.generation or None,
            newest=lambda: look(database).position,
            waiting=run.say,
        )
        if isinstance(request, ask.Restore | ask.RestoreOver):
            options = replace(options, parallelism=request.parallelism, integrity_check=request.integrity_check)
        if isinstance(request, ask.Restore):
            options = replace(options, keep_failed=request.keep_failed)
        return options

"""The folders of a configuration whose databases are replicated: looked at when the kernel tells of something new.

Each has a job in a lane of its own, so that a file system that hangs holds up nobody else. Two databases that map to
one place are reported, and the one that comes first has it.
"""

import threading
import time
from collections.abc import Callable, Sequence

from replication.config import DatabaseConfig, DirectoryConfig
from replication.database.directory import Found, Look
from replication.database.together import together
from replication.engine.shared import Shared
from replication.pool import Job, Lane

LOOK_SECONDS = 0.5
"""Between two looks at a folder that the kernel does not watch, or that is not there yet."""
LOOK_SECONDS_WATCHED = 15.0
"""The same for a folder that the kernel watches, in case an event was lost."""
SETTLE_SECONDS = 0.05
"""So long after the first event comes the look: files that appear together are found at once."""
LOOK_SHARE_MAX = 0.02
"""Share of one CPU that looks at a folder may use: the longer a look takes, the later comes the next."""


class Directories:
    """Safe from any thread. `changed` is called, in the thread of a pool, when what is found is no longer the same."""

    def __init__(self, shared: Shared, changed: Callable[[], None]) -> None:
        self._shared = shared
        self._changed = changed
        self._lock = threading.Lock()
        self._at: list[_Directory] = []
        self._told: set[str] = set()
        """Databases of which a clash was reported."""

    def use(self, configs: Sequence[DirectoryConfig]) -> None:
        """Look at these folders, at new ones at once, and at no others."""
        with self._lock:
            before = list(self._at)
            self._at = []
            for config in configs:
                known = next((one for one in before if one.config == config), None)
                if known is None:
                    known = _Directory(config, self._shared, self._changed)
                    known.look()
                else:
                    before.remove(known)
                self._at.append(known)
            for gone in before:
                gone.end()

    def start(self) -> None:
        """Begin to look: the threads run now."""
        for one in self._at:
            one.start()

    def with_found(self, named: Sequence[DatabaseConfig]) -> list[DatabaseConfig]:
        """The databases that are named by path, followed by those in all folders."""
        if not self._at:
            return list(named)
        kept, clashes = together(named, (database for one in self._at for database in one.databases()))
        for clash in clashes:
            if str(clash.database.path) not in self._told:
                level = "warning" if clash.is_harmless else "error"
                self._shared.events.emit(level, clash.words, database=str(clash.database.path))
        self._told = {str(clash.database.path) for clash in clashes}
        return kept


class _Directory:
    def __init__(self, config: DirectoryConfig, shared: Shared, changed: Callable[[], None]) -> None:
        self.config = config
        self._shared = shared
        self._changed = changed
        self._look = Look(config, self._watch if config.watch else None)
        self._known: dict[str, DatabaseConfig] = {}
        self._not_before = 0.0
        self._told: dict[str, str] = {}
        self._job = Job(f"look at {config.path}", self._run, Lane(f"directory {config.path}", 1))

    def databases(self) -> list[DatabaseConfig]:
        """The databases that the last look has found."""
        known, self._known = self._known, {}
        for name in self._look.found.names:
            self._known[name] = known.get(name) or self.config.database(name)
        return list(self._known.values())

    def start(self) -> None:
        self._shared.wake_sync(self._job)

    def end(self) -> None:
        self._shared.unwatch(self._woken)
        self._shared.forget([self._job], 0.0)

    def look(self) -> Found:
        """Look, and report what stands in the way."""
        was_there = self._look.found.is_there
        found = self._look.again()
        problems = dict(found.problems)
        if not found.is_there and not problems:
            problems[""] = "it does not exist; once it does, its databases are replicated"
        for inside, words in problems.items():
            if self._told.get(inside) != words:
                path = self.config.path / inside
                self._shared.events.emit("warning", f"the folder {path} cannot be looked at: {words}")
        if found.is_there and not was_there and self._told:
            self._shared.events.emit("info", f"the folder {self.config.path} is there now")
        self._told = problems
        return found

    def _watch(self, folder: int) -> bool:
        return self._shared.watch_folder(folder, self.config.path, self._woken)

    def _woken(self) -> None:
        self._shared.wake_sync(self._job, max(self._not_before, time.monotonic() + SETTLE_SECONDS))

    def _run(self) -> float | None:
        before, used = self._look.found, time.thread_time()
        found = self.look()
        now = time.monotonic()
        gap = (time.thread_time() - used) / LOOK_SHARE_MAX
        self._not_before = now + min(gap, LOOK_SECONDS)
        if found.names != before.names:
            self._changed()
        if not self.config.watch and found.is_there:
            return None
        return now + max(LOOK_SECONDS_WATCHED if found.is_watched else LOOK_SECONDS, gap)

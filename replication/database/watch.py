"""Noticing changes: the kernel tells which WAL was written (inotify), one descriptor for all databases.

It promises nothing: an event may be lost, and on systems without inotify none ever comes. So each database is synced
at its monitor interval as well. Folders are watched, not files, since a WAL may come and go.
"""

import errno
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.events import EventLog
from replication.nofollow import without_links
from replication.reserved import BESIDE

SETTLE_SECONDS = 0.001
"""A commit is several writes. So long after the first of them the last one has been made, as a rule."""
NAP_SECONDS_MIN = 0.004
NAP_SECONDS_MAX = 0.032
"""The longest pause between two reads: meanwhile the kernel joins the events of a file. Pauses grow in a busy time."""

_SUFFIX = "-wal"


class Watcher:
    """One thread that calls back when the WAL of a watched database was written."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._names: dict[int, dict[str, Callable[[], None]]] = {}
        self._folders: dict[int, dict[Callable[[], None], None]] = {}
        """What to call when there may be a new file in a folder."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._reported: set[tuple[int, Path | None]] = set()
        """The errors that were reported: their number, and the database, None for all."""
        self._inotify, self._wake = self._open()
        self._thread: threading.Thread | None = None
        if self._inotify is not None:
            self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
            self._thread.start()

    @property
    def works(self) -> bool:
        """False where changes are only seen at the monitor interval."""
        return self._inotify is not None

    def add(self, database: Path, changed: Callable[[], None]) -> bool:
        """Call `changed` whenever the WAL of `database` is written, or one of its files appears or goes.

        False if that cannot be. What was added is added once more without harm, as after the folder was replaced.
        """
        if self._inotify is None:
            return False
        try:
            real = without_links(database)
            self._add(real.parent, (real.name, real.name + _SUFFIX), changed)
            if database != real:
                # The path may be a link, which may be made to lead elsewhere.
                self._add(database.parent, (database.name,), changed)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._tell(
                    error,
                    "no inotify watch is left to this user (fs.inotify.max_user_watches): databases that came "
                    "too late are looked at once in their monitor-interval",
                )
            elif error.errno != errno.ENOENT:
                self._tell(error, "changes are only seen at the monitor interval", database)
            return False
        return True

    def add_folder(self, folder: int, path: Path, changed: Callable[[], None]) -> bool:
        """Call `changed` whenever a file of an open folder appears, goes, or is written, but for those added above.

        What SQLite keeps beside its databases counts for nothing. False if that cannot be.
        """
        if self._inotify is None:
            return False
        try:
            with self._lock:
                if not self._inotify.closed:
                    watch = self._inotify.add_watch(f"/proc/self/fd/{folder}", _mask())
                    self._folders.setdefault(watch, {})[changed] = None
        except OSError as error:
            self._tell(error, "databases that appear in a folder are found by looking once a second", path)
            return False
        return True

    def remove(self, changed: Callable[[], None]) -> None:
        """Call `changed` no more."""
        if self._inotify is None:
            return
        with self._lock:
            for watch in [*self._names, *self._folders]:
                names, folders = self._names.get(watch, {}), self._folders.get(watch, {})
                for name in [name for name, call in names.items() if call == changed]:
                    del names[name]
                folders.pop(changed, None)
                if names or folders:
                    continue
                self._names.pop(watch, None)
                self._folders.pop(watch, None)
                # The folder may be gone, and its watch with it.
                with suppress(OSError, ValueError):
                    self._inotify.rm_watch(watch)

    def _open(self) -> tuple[Any, int]:
        """An inotify instance, and what wakes the thread that reads it; None and -1 where there is none to be had."""
        inotify = None
        try:
            inotify = _open_inotify()
            return inotify, os.eventfd(0) if inotify is not None else -1
        except OSError as error:
            if inotify is not None:
                inotify.close()
            # EMFILE is said of both limits.
            self._tell(
                error,
                "the kernel has no inotify instance left for this user (fs.inotify.max_user_instances), or no "
                "descriptor for this process (ulimit -n): every database is looked at once in its monitor-interval",
            )
            return None, -1

    def _tell(self, error: OSError, words: str, database: Path | None = None) -> None:
        """Report an error once."""
        if (error.errno or 0, database) not in self._reported:
            self._reported.add((error.errno or 0, database))
            self._events.emit("warning", words, database=str(database or ""), error=f"inotify: {error.strerror}")

    def close(self, timeout_seconds: float) -> bool:
        """Stop. Return False if the thread did not end in time."""
        self._stop.set()
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join(timeout_seconds)
            if self._thread.is_alive():
                return False
        if self._inotify is not None:
            with self._lock:
                self._inotify.close()
            os.close(self._wake)
        return True

    def _add(self, folder: Path, names: tuple[str, ...], changed: Callable[[], None]) -> None:
        assert self._inotify is not None
        with self._lock:
            if self._inotify.closed:
                # A last sync of an engine that is ending: nobody waits for events.
                return
            watch = self._inotify.add_watch(str(folder), _mask())
            self._names.setdefault(watch, {}).update(dict.fromkeys(names, changed))

    def _watch(self) -> None:
        assert self._inotify is not None
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        gone = _mask_gone()
        nap = 0.0
        while True:
            waiting = not poll.poll(0) and bool(poll.poll())
            # Events that are there without waiting come all the time.
            nap = NAP_SECONDS_MIN if waiting else min(2 * nap, NAP_SECONDS_MAX)
            if self._stop.wait(SETTLE_SECONDS):
                return
            events = self._inotify.read(timeout=0)
            with self._lock:
                called = {self._names.get(event.wd, {}).get(event.name) for event in events}
                if self._folders:
                    called.update(self._told_of_folders(events))
                for event in events:
                    if event.mask & gone:  # the folder is no longer there, or no longer the one that was
                        called.update(self._names.pop(event.wd, {}).values())
                        called.update(self._folders.pop(event.wd, {}))
                if any(event.wd == -1 for event in events):  # the kernel's queue ran over: look everywhere
                    called = {changed for names in self._names.values() for changed in names.values()}
                    called.update(changed for folder in self._folders.values() for changed in folder)
            for changed in called:
                if changed is not None:
                    changed()
            if self._stop.wait(nap):
                return

    def _told_of_folders(self, events: Iterable[Any]) -> Iterator[Callable[[], None]]:
        """What to call for new files in a folder. That a known file was written does not concern it."""
        written = _mask_written()
        for event in events:
            folder = self._folders.get(event.wd)
            if folder is None or event.name.endswith(BESIDE):
                continue
            if not event.mask & written or event.name not in self._names.get(event.wd, {}):
                yield from folder


def _mask() -> int:
    from inotify_simple import flags

    return int(flags.MODIFY | flags.CREATE | flags.DELETE | flags.MOVED_TO | flags.MOVED_FROM)


def _mask_written() -> int:
    from inotify_simple import flags

    return int(flags.MODIFY)


def _mask_gone() -> int:
    from inotify_simple import flags

    return int(flags.IGNORED)


def _open_inotify() -> Any:
    """An inotify instance, or None where the system has no such thing. Raises OSError."""
    if sys.platform != "linux":
        return None
    from inotify_simple import INotify

    return INotify()

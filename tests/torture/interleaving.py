"""Others between two of our own steps: places inside the engine's work where the test lets somebody else act.

A lock or a copy of ours is one step; what SQLite allows others to do between two of them, they may do there. Waits for
locks are cut short, since nobody else moves while we wait.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from replication.database import image as image_module
from replication.database import opening as opening_module
from replication.database import wal_copier as copier_module
from replication.database import wal_scanner
from replication.database.source_files import SourceFiles
from replication.database.wal_copier import WALCopier
from replication.replica.wal03 import upload
from replication.sqlite import barrier
from replication.sqlite import connection as connection_module
from replication.sqlite import pin as pin_module
from replication.sqlite.pin import Pin
from replication.sqlite.wal_index import WALIndex

IMAGE_CHUNK_BYTES = 4096
SEGMENT_BYTES = 16 << 10
READ_CHUNK_BYTES = 8 << 10


class Between:
    """Called between two steps of ours; it takes the next of the actions that were planned."""

    def __init__(self) -> None:
        self.planned: list[str] = []
        self.act: Callable[[str], None] = lambda name: None
        self.acting = False
        self.acted = 0
        self.recovered_unseen = False
        """SQLite may have recovered twice, which looks like a foreign write."""
        self.forgotten = False
        """SQLite has recovered, so that nothing but the pages in the file tells how far a checkpoint of others came."""
        self.coarse = Coarse()

    def __call__(self) -> None:
        if self.planned and not self.acting:
            name = self.planned.pop(0)
            if name:
                self.acting = True
                self.acted += 1
                try:
                    self.act(name)
                finally:
                    self.acting = False


def telling(between: Between, function: Callable[..., bool]) -> Callable[..., bool]:
    """SourceFiles._recovered_since, telling when nobody can know: of two recoveries without a commit between."""

    def called(files: Any, known: Any, index: Any) -> bool:
        found = function(files, known, index)
        between.recovered_unseen = not found and not known.changes
        return found

    return called


def telling_what_is_forgotten(between: Between, function: Callable[..., None]) -> Callable[..., None]:
    """SourceFiles._look_while_unsettled, telling when SQLite's recovery has forgotten how far a checkpoint came."""

    def called(files: Any, index: Any, written: Any) -> None:
        known = files._settled
        if known is not None:
            between.forgotten = not index.backfilled and index.changes < known.changes
        function(files, index, written)

    return called


class Coarse:
    """What a file system says of times: whole `seconds`, as some do, or all that it knows for 0."""

    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self, function: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def called(*arguments: Any, **named: Any) -> os.stat_result:
            found = function(*arguments, **named)
            if not self.seconds:
                return found
            values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
            for name in ("st_mtime", "st_ctime"):
                values[name] = values[name] // self.seconds * self.seconds
                values[f"{name}_ns"] = int(values[name]) * 10**9
            return os.stat_result(tuple(found), values)

        return called


def around(between: Between, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with room for others before and after it."""

    def called(*arguments: Any, **named: Any) -> Any:
        between()
        result = function(*arguments, **named)
        between()
        return result

    return called


@contextlib.contextmanager
def interleaved() -> Iterator[Between]:
    """The engine's steps with room between them, small pieces, and short waits."""
    between = Between()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stat", "fstat"):
            patch.setattr(os, name, between.coarse(getattr(os, name)))
        for module, name in (
            (pin_module, "begin_reading"),
            (pin_module, "_passive"),
            (opening_module, "decide"),
            (copier_module, "copy_frames"),
        ):
            patch.setattr(module, name, around(between, getattr(module, name)))
        for kind, name in ((WALCopier, "copy"), (Pin, "read"), (Pin, "page_count"), (WALIndex, "read")):
            patch.setattr(kind, name, around(between, getattr(kind, name)))
        patch.setattr(SourceFiles, "_recovered_since", telling(between, SourceFiles._recovered_since))
        unsettled = telling_what_is_forgotten(between, SourceFiles._look_while_unsettled)
        patch.setattr(SourceFiles, "_look_while_unsettled", unsettled)
        patch.setattr(image_module, "CHUNK_BYTES", IMAGE_CHUNK_BYTES)
        patch.setattr(upload, "SEGMENT_BYTES_MAX", SEGMENT_BYTES)
        patch.setattr(wal_scanner, "READ_CHUNK_BYTES", READ_CHUNK_BYTES)
        patch.setattr(connection_module, "BUSY_TIMEOUT_MS", 2)
        patch.setattr(barrier, "BARRIER_WAIT_SECONDS_MAX", 0.002)
        patch.setattr(pin_module, "BARRIER_HELD_SECONDS_MAX", 0.002)
        yield between

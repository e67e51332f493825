"""What the demo does, step by step, and what it says about it: measured numbers, and comparisons that can fail.

It is given an empty folder and a place for the replica, and leaves it to the caller to remove them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replication.engine import CLOSE_SECONDS_MAX, Engine
from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreResult, restore
from replication.restore.target import AtPosition, Latest, Target
from replication.sqlite.connection import sqlite_version
from replication.storage.location import Location
from replication.storage.open import open_storage
from tui.demo.application import Application, Content
from tui.demo.replication import CHECKPOINT_PAGES, SYNC_SECONDS, config_of, settled
from tui.text.format import counted, size

COMMITS = 300
COMMIT_SECONDS = 2.0
"""For how long the application goes on committing."""
HURRIED_CLOSE_SECONDS_MAX = 1.0
"""How long the engine may take to end when the demo is interrupted: nothing of it is kept."""
DATABASE_NAME = "fruits.db"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """One commit: its position, and what the application saw in its database right after it."""

    position: Position
    content: Content


def play(folder: Path, location: Location, say: Say) -> list[Moment]:
    """Replicate, stop and restore. Return the two moments that were restored, the earlier one first.

    Raises ReplicationError, and so when a restored file differs from its source in any page.
    """
    database = folder / DATABASE_NAME
    with Application(database) as application:
        say(f"1. Another process (pid {application.pid}) made {database}")
        say(f"   It writes with SQLite {application.sqlite_version()}; this program reads with {sqlite_version()}.")
        moments = _replicate(application, database, location, say)
        say("5. Replication has stopped. Two restores, from the replica alone")
        same = [
            _restore(application, folder / "latest.db", Latest(), location, moments[1], say),
            _restore(application, folder / "before.db", AtPosition(moments[0].position), location, moments[0], say),
        ]
    if not all(same):
        raise ReplicationError("A restored database differs from its source: this is a defect. Keep it with -dir PATH.")
    difference = f"{moments[0].content.rows} fruits in before.db, {moments[1].content.rows} in latest.db"
    say(f"   What differs between the two: {difference}.")
    return moments


def _replicate(application: Application, database: Path, location: Location, say: Say) -> list[Moment]:
    engine = Engine(config_of(database, location))
    engine.start()
    try:
        engine.check()
        begun = settled(engine)
        status = engine.status().databases[0]
        say(f"2. Replication has begun, to {status.replicas[0].address}")
        say(f"   Generation {begun.position.generation} begins. Why: {status.generation_reason}.")
        say(f"   Its snapshot and the WAL so far: {counted(begun.objects, 'object')}, {size(begun.stored_bytes)}.")

        committed = application.commit(COMMITS, COMMIT_SECONDS)
        say(f"3. The process has committed {COMMITS} times in {COMMIT_SECONDS:.1f} s, a fruit each")
        filled = settled(engine)
        say(f"   Everything was uploaded {_milliseconds(filled.uploaded - committed)} after the last commit")
        say(f"   (sync-interval, {SYNC_SECONDS:.0f} s here, is the least time between two uploads).")
        stored = size(filled.stored_bytes - begun.stored_bytes)
        say(f"   Objects written: {filled.objects - begun.objects}, {stored}. Position: {filled.position}")
        restarts = filled.position.index - begun.position.index
        say(f"   WAL restarts by SQLite: {restarts} (a checkpoint is due every {CHECKPOINT_PAGES} pages).")
        before = Moment(filled.position, application.content())

        # The mistake comes when the last upload is long enough ago for the next to go at once.
        time.sleep(max(0.0, filled.uploaded + SYNC_SECONDS - time.time()))
        committed = application.delete_all()
        say("4. A mistake: DELETE FROM fruits, a single commit")
        emptied = settled(engine)
        say(
            f"   Uploaded {_milliseconds(emptied.uploaded - committed)} after that commit. Position: {emptied.position}"
        )
        after = Moment(emptied.position, application.content())
    except BaseException:
        engine.close(HURRIED_CLOSE_SECONDS_MAX)
        raise
    left = engine.close(CLOSE_SECONDS_MAX)
    if left:
        raise ReplicationError(f"The engine did not end in time: {', '.join(left)}.")
    return [before, after]


def _restore(
    application: Application, output: Path, target: Target, location: Location, moment: Moment, say: Say
) -> bool:
    """Restore one moment and compare it with what the application saw then. Return True if all is equal."""
    storage = open_storage(location)
    try:
        options = RestoreOptions(target, integrity_check="full")
        result = restore([OpenReplica("demo", storage)], output, options)
    finally:
        storage.close()
    content = application.content_of(output)
    same = result.position == moment.position and content == moment.content and result.check == "ok"
    for line in _report(target, result, moment, content, same):
        say(f"   {line}")
    return same


def _report(target: Target, result: RestoreResult, moment: Moment, content: Content, same: bool) -> list[str]:
    verdict = "equal, page for page" if same else f"DIFFERENT (expected {moment.position}, {moment.content})"
    return [
        f"{result.output.name}: {target}",
        f"  {counted(result.segments + 1, 'object')}, {content.pages} pages, {content.rows} fruits, "
        f"full check {result.check}, {_milliseconds(result.seconds)}",
        f"  compared with the database at that commit: {verdict} (SHA-256 {content.sha256[:16]}…)",
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"

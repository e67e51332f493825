"""The pages of a plan, fetched, proven and written to a file that is becoming the database.

Its promise: what it wrote is the database right after one commit, which is the one asked for, or it raises. It leaves
to the caller: the file, whether it may stay, and another plan where this one fails.
"""

import threading
from contextlib import closing

from replication.errors import CorruptObjectError, ReplicaGapError
from replication.position import Position
from replication.restore.ahead import ahead
from replication.restore.apply import DatabaseFile
from replication.restore.meter import RestoreMeter
from replication.restore.options import RestoreOptions
from replication.restore.output import Output
from replication.restore.plan_contract import PageFile, Written
from replication.restore.wal03.doubts import Doubts
from replication.restore.wal03.fetch import Fetcher
from replication.restore.wal03.gaps import last_point_words
from replication.restore.wal03.plan import Plan
from replication.restore.wal03.replay import Replay, TakeIndexed
from replication.restore.wal03.snapshot_proof import prove_snapshot
from replication.steps import reached
from replication.storage.wal03.replica_client import ReplicaClient

SNAPSHOT_PIECES_AHEAD = 8
"""Pieces of a snapshot, of at most 1 MiB each, that are decompressed while others are written."""


def write_pages(
    plan: Plan,
    client: ReplicaClient,
    output: Output,
    file: DatabaseFile,
    options: RestoreOptions,
    meter: RestoreMeter,
    stop: threading.Event,
    need: Position | None,
    doubts: Doubts,
) -> Written:
    """Follow a plan. Raises ReplicaGapError if it ends before `need`, MayBeOlderError where a doubt remains."""
    fetcher = Fetcher(client, output.folder, stop, options.parallelism, meter.count, options.backoff)
    note = plan.snapshot.note
    meter.begin("snapshot", 0)
    with closing(ahead(fetcher.snapshot(plan.snapshot), SNAPSHOT_PIECES_AHEAD)) as pieces:
        noted = (note.pages, note.page_size) if note is not None else None
        file.write_snapshot(plan.snapshot.info.name, meter.pieces(pieces), noted)
    reached("output: snapshot written")
    written = replay_wal(plan, fetcher, file, meter, need, doubts)
    reached("output: written")
    return written


def replay_wal(
    plan: Plan,
    fetcher: Fetcher,
    file: PageFile,
    meter: RestoreMeter,
    need: Position | None,
    doubts: Doubts,
    indexed: TakeIndexed | None = None,
) -> Written:
    """Follow a plan from where `file` has its snapshot, with all proofs. Raises as `write_pages`.

    With `indexed` only the index is read of segments that bring one.
    """
    note = plan.snapshot.note
    replay = Replay(plan, file, lambda index: doubts.at_start(index, file), indexed)
    try:
        prove_snapshot(plan, file, fetcher)
        meter.begin("wal", 1 + len(plan.proof_segments))
        _replay(plan, fetcher, replay, meter, by_index=indexed is not None)
        replay.finish()
        _check_end(plan, fetcher, replay, need)
        doubts.at_end(file, replay.reached)
        return Written(
            position=replay.reached,
            base=plan.snapshot.info.name,
            changes=replay.segments,
            size=file.size,
            page_size=file.page_size,
            mode=note.mode if note is not None else None,
            problems=note.problems if note is not None else (),
            remarks=tuple(replay.remarks),
            is_unfinished=replay.unfinished,
        )
    finally:
        replay.close()


def _replay(plan: Plan, fetcher: Fetcher, replay: Replay, meter: RestoreMeter, by_index: bool) -> None:
    """Replay all segments. Where one is damaged, the error names the last point before it."""
    try:
        with closing(fetcher.segments(plan.segments, by_index)) as runs:
            for run in runs:
                replay.add(run)
                meter.objects_done(len(run.infos))
    except CorruptObjectError as error:
        if replay.settled == plan.start and plan.snapshot.note is None:
            # Only the segments tell which commit the snapshot holds.
            raise
        raise CorruptObjectError(error.name, error.why, last_point_words(replay.settled)) from None


def _check_end(plan: Plan, fetcher: Fetcher, replay: Replay, need: Position | None) -> None:
    """Raise ReplicaGapError if something is missing between what was used and what is known to be after it."""
    following = plan.following
    if following is not None:
        try:
            note = fetcher.segment_note(following.name) if following.offset == 0 else None
        except CorruptObjectError as error:
            note = None
            replay.remarks.append(f"{error}, so nothing says that the index before it is whole.")
        replay.check_following(note)
    if need is not None and replay.reached < need:
        raise ReplicaGapError(f"The WAL in the replica ends at {replay.reached}, before {need}.")

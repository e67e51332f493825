"""Does what comes next go on just where what was read ends? Every join of two objects is looked at here.

    |--segment--|--segment--|        an index      each begins where the one before it ends, with whole frames
                            |--segment--|          the next index begins where the note says that the last one ended, at
                                                   a commit, and its salts follow

A hole, an overlap or another place's WAL raises an error that names the object. Pure: it is told what was read.
"""

from collections.abc import Collection

from replication.errors import CorruptObjectError, ReplicaGapError
from replication.position import Position
from replication.restore.wal03.gaps import gap_words
from replication.restore.wal03.index_read import IndexRead
from replication.restore.wal03.plan import Plan
from replication.restore.wal03.segment_run import SegmentRun
from replication.restore.wal03.signs import check_mark
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, restarts_between
from replication.storage.wal03.notes import SegmentNote


def check_place(index: IndexRead, run: SegmentRun, reached: Position) -> None:
    """Raise unless segments of the index begin where it ends, and each holds whole frames. `reached` is its commit."""
    info = run.info
    if info.offset > index.end:
        raise ReplicaGapError(gap_words(Position(info.generation, index.number, index.end), reached))
    if info.offset < index.end:
        raise CorruptObjectError(
            info.name,
            f"the segment before it ends at {index.end}, past where this one starts; two programs may have "
            "written this replica",
        )
    for part, length in zip(run.infos, run.lengths, strict=True):
        header = 0 if part.offset else WAL_HEADER_SIZE
        if length < header or (length - header) % index.header.frame_size:
            raise CorruptObjectError(part.name, f"{length} bytes are not whole frames")


def check_sealed(plan: Plan, index: IndexRead, following: SegmentRun, reached: Position) -> None:
    """Raise unless an index ends at a commit, and where the note of the next index says."""
    generation, note = following.info.generation, following.note
    noted = note.previous if note is not None else None
    expected = noted.offset if noted and (noted.generation, noted.index) == (generation, index.number) else None
    if expected is not None and max(expected, WAL_HEADER_SIZE) < index.end:
        raise CorruptObjectError(
            following.info.name,
            f"its note says that the index before it ends at {noted}, not at {index.end}",
        )
    if expected == index.end:
        check_mark(following.info.name, note.frame if note else None, index.mark)
    short = expected is not None and expected > max(index.end, WAL_HEADER_SIZE)
    behind = (plan.start.index, plan.start.offset) > (index.number, index.end)
    if short or index.torn or behind:
        raise ReplicaGapError(gap_words(Position(generation, index.number, index.end), reached))


def check_salts(
    before: WALHeader, header: WALHeader, known: Collection[tuple[int, int]], run: SegmentRun
) -> tuple[str, ...]:
    """Raise unless the WAL comes after that of the index before: else it is of another place, or another database.

    Where a note says which index came before, the salts prove nothing more: an application may have emptied the WAL
    any number of times in between, with nothing in it. But the same salts must not come twice: `known` are those of all
    indexes before. Returns what a person should know.
    """
    info, note = run.info, run.note
    if note is not None and note.previous is not None and header.salt1 != before.salt1 and header.salts not in known:
        return ()
    restarts = restarts_between(before, header)
    # Salts by chance may be any, but not those of an index before: then it is the same WAL once more.
    unknown = not restarts and header.salts_by_chance and header.salts not in known
    if not restarts and not unknown:
        raise CorruptObjectError(info.name, "by its salts it does not follow the WAL of the index before it")
    if restarts == 1 or note is not None:
        return ()
    how = "emptied" if unknown else f"restarted {restarts} times"
    return (
        f"Between the indexes {info.index - 1:08x} and {info.index:08x} the WAL was {how}, "
        "and nothing says that no commit was lost there: Litestream wrote this. Check the data.",
    )


def check_following(plan: Plan, index: IndexRead | None, reached: Position, note: SegmentNote | None) -> None:
    """Raise ReplicaGapError unless the object after those used, which has this note, begins where they end."""
    following = plan.following
    read = Position(plan.generation, index.number, index.end) if index is not None else plan.start
    # A snapshot may hold more than what was read.
    end = max(plan.start, read)
    if following is None or following.position <= end:
        return
    if following.index == end.index:
        missing = end
    elif (following.index, following.offset) != (end.index + 1, 0):
        missing = Position(plan.generation, end.index + 1, 0)
    else:
        before = note.previous if note is not None else None
        expected = before.offset if before is not None and before.index == end.index else 0
        if expected <= max(end.offset, WAL_HEADER_SIZE):
            return
        missing = end
    raise ReplicaGapError(gap_words(missing, reached))

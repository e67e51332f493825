"""SQLite's half of the model: a writer, a reader and a checkpoint of others, as in wal.c, and who may die where. Pure.

A commit is one frame and goes in the steps that a process can die between: the WAL index says a new life, the file gets
its header, the file gets the frame, the index counts it. What the file holds beyond the count is loose: whole and valid
to whoever reads it, and no commit. The header of the index is there twice; who dies between the two leaves it to the
next to read the file instead, and then what was loose counts.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

NONE = -1
"""No transaction; other values of a mark are frames, 0 being the mark of who needs no frame of the WAL."""

BEGUN, HEADED, PUT = range(3)
"""How far the writer is: nothing written, the file has the header of a new life, or a frame that nobody counts yet."""


class Step:
    """Where we are. The numbers grow along the way; from IDLE on a generation is followed."""

    CLOSED, PINNED, GOING_ON, COPIED_ONE_LIFE, BEGINNING = range(5)
    IDLE, MOVING, MOVE_COPIED, MOVE_UNPINNED, MOVE_PINNED = range(10, 15)
    EXACT, EXACT_COPIED, EXACT_KEPT, EXACT_UNPINNED, EXACT_PINNED = range(15, 20)
    LARGE_PART, LARGE_PART_RUNS, BEFORE_BARRIER = range(20, 23)
    BARRIER, BARRIER_COPIED, BARRIER_UNPINNED, REST_RUNS, REST_DONE, BARRIER_PINNED = range(30, 36)
    IMAGE = 40


class Checkpoint(NamedTuple):
    """One under way, which has the checkpoint lock: it will have copied back `safe` frames."""

    ours: bool
    locks_writers: bool
    truncates: bool
    safe: int
    empties: bool = False
    """The index says a new life, and the file is next."""


class State(NamedTuple):
    """Everything. `frames` are counted in the life that the index is in, `backfilled` of them in the database file."""

    frames: int = 0
    backfilled: int = 0
    loose: int = 0
    """Whole frames in the file after those that were counted."""
    old: int = 0
    """Frames counted in the life that the file still holds, if the index says a new one already."""
    torn_index: bool = False
    """The two headers of the index differ."""
    pin: int = NONE
    helper: int = NONE
    barrier: int = NONE
    writer: int = NONE
    written: int = BEGUN
    reader: int = NONE
    checkpoint: Checkpoint | None = None
    step: int = Step.CLOSED
    followed: bool = False
    """The last life in the shadow WAL is the one that the file holds."""
    copied: int = 0
    """Frames of it that are there."""
    seen: int = NONE
    """In the middle of a copy: the count that was read; the frames were not."""
    stale: bool = False
    """Another life is in the file since."""
    gap: bool = False
    """Counted frames went that had not been copied."""
    older: bool = False
    """What the file holds was counted before the generation began, and none of it was copied."""
    image: int = NONE
    """Frames of the life in the file that an open image has from the shadow WAL."""
    image_older: bool = False
    """The image is of a life before that."""
    kept: int = 0
    """Frames of the life in the file whose pages were kept for the image, as they were."""
    torn: bool = False
    """The database file changed under an image."""

    @property
    def owed(self) -> bool:
        """The index began a new life, and not all of the one before was copied, which the file still holds."""
        return self.old > 0 and not self.older and self.old != (self.copied if self.followed else 0)

    @property
    def wrong(self) -> bool:
        if self.torn:
            return True
        never_counted = self.followed and self.copied > (self.old or self.frames)
        return self.step >= Step.IDLE and (self.gap or self.owed or never_counted or (self.older and self.followed))


# -- SQLite's rules ---------------------------------------------------------------------------------------------------


def mark(state: State) -> int:
    """The read mark of a transaction that begins now."""
    return 0 if state.backfilled == state.frames else state.frames


def marks(state: State) -> tuple[int, ...]:
    """The marks held now."""
    return (state.pin, state.helper, state.barrier, state.writer, state.reader)


def may_write(state: State) -> bool:
    """True if the write lock is free."""
    locked = state.checkpoint is not None and state.checkpoint.locks_writers
    return state.writer == NONE and state.barrier == NONE and not locked


def recovered(state: State) -> State:
    """The index is made anew from the file: whatever is whole there counts, and none of it as copied back."""
    counted = (state.old or state.frames) + state.loose
    return state._replace(frames=counted, backfilled=0, loose=0, old=0, torn_index=False)


def ready(state: State) -> State | None:
    """Whoever begins to read, write or checkpoint mends a torn index first; None if somebody is in the way."""
    if not state.torn_index:
        return state
    return recovered(state) if may_write(state) and state.checkpoint is None else None


def restarted(state: State) -> State:
    """The index says a new life of the WAL, with no frame in it; the file is as it was."""
    if not state.frames:
        return state
    under_way = state.checkpoint
    if under_way is not None:
        # It found nothing to copy back, or nobody could restart the WAL. It does not take the new life for the old.
        assert under_way.safe <= state.backfilled
        under_way = under_way._replace(safe=0)
    return state._replace(frames=0, backfilled=0, old=state.frames, checkpoint=under_way)


def begun_anew(state: State) -> State:
    """The file gets the header of a new life, or is emptied."""
    return state._replace(
        loose=0,
        old=0,
        followed=False,
        copied=0,
        older=False,
        stale=state.seen != NONE,
        gap=state.gap or state.owed,
        image_older=state.image_older or state.image != NONE,
        kept=0,
    )


def may_restart(state: State) -> bool:
    """True if the writer, who wrote nothing yet, begins the WAL anew: he found all backfilled, and nobody needs it."""
    return state.writer == 0 and state.backfilled > 0 and max(state.pin, state.helper, state.reader) <= 0


def write(state: State, frames_max: int) -> tuple[str, State] | None:
    """The next step of the writer."""
    if state.written == PUT:
        return "writer's frame counts", state._replace(frames=state.frames + 1, loose=0, writer=NONE, written=BEGUN)
    if state.written == BEGUN and may_restart(state):
        return "writer begins the index anew", restarted(state)
    if state.written == BEGUN and not state.frames:
        return "writer begins the file anew", begun_anew(state)._replace(written=HEADED)
    if state.frames < frames_max:
        return "writer puts a frame", state._replace(loose=1, written=PUT)
    return None


def commit(state: State) -> State:
    """All steps of the writer at once."""
    while state.writer != NONE:
        step = write(state, state.frames + 1)
        assert step is not None
        state = step[1]
    return state


def begin_checkpoint(state: State, ours: bool, full: bool, truncates: bool) -> State:
    """Take the checkpoint lock, which must be free, and see how much can be copied back."""
    safe = min([state.frames, *(held for held in marks(state) if held > 0)])
    if 0 in marks(state) or safe < state.backfilled:
        safe = state.backfilled
    locks = full and may_write(state)
    return state._replace(checkpoint=Checkpoint(ours, locks, truncates and locks, safe))


def copy_back(state: State) -> State:
    """A checkpoint writes into the database file."""
    found = state.checkpoint
    assert found is not None
    if found.safe > state.backfilled and state.image != NONE:
        # Frames from beyond the image are none of its commit's; of those that were kept it has the pages elsewhere.
        harmless = max(state.kept, NONE if state.image_older else state.image)
        return state._replace(torn=state.torn or found.safe > harmless)
    return state


def end_checkpoint(state: State) -> State:
    """What was to be copied back is; TRUNCATE begins the index anew if nobody needs the WAL, and empties it next."""
    found = state.checkpoint
    assert found is not None
    if found.empties:
        return begun_anew(state)._replace(checkpoint=None)
    state = copy_back(state)._replace(backfilled=max(found.safe, state.backfilled))
    if found.truncates and state.backfilled == state.frames and max(marks(state)) <= 0:
        return restarted(state)._replace(checkpoint=found._replace(safe=0, empties=True))
    return state._replace(checkpoint=None)


def writers(state: State, frames_max: int) -> Iterator[tuple[str, State]]:
    """What the writer may do next."""
    if state.writer == NONE:
        if may_write(state) and (whole := ready(state)) is not None:
            yield "writer begins", whole._replace(writer=mark(whole))
        return
    dead: dict[str, Any] = {"writer": NONE, "written": BEGUN}
    if (step := write(state, frames_max)) is not None:
        yield step
        if step[1].frames != state.frames:
            yield "writer dies with the index torn", state._replace(**dead, torn_index=True)
    if state.written == PUT:
        yield "writer dies before his frame counts", state._replace(**dead)
    else:
        yield "writer rolls back, or dies", state._replace(**dead)
        if state.loose:
            yield "writer puts frames without a commit", state._replace(loose=0)


def others(state: State, frames_max: int) -> Iterator[tuple[str, State]]:
    """What the application may do next."""
    yield from writers(state, frames_max)
    whole = ready(state)
    if state.reader != NONE:
        yield "reader ends", state._replace(reader=NONE)
    elif whole is not None:
        yield "reader begins", whole._replace(reader=mark(whole))
    if state.checkpoint is not None:
        if not state.checkpoint.ours:
            after = end_checkpoint(state)
            yield "checkpoint goes on", after
            half = state if state.checkpoint.empties else copy_back(state)
            yield "checkpoint dies", half._replace(checkpoint=None)
            if after.checkpoint is not None:
                yield "checkpoint dies with the index torn", half._replace(checkpoint=None, torn_index=True)
    elif whole is not None:
        yield "PASSIVE begins", begin_checkpoint(whole, False, False, False)
        yield "RESTART begins", begin_checkpoint(whole, False, True, False)
        yield "TRUNCATE begins", begin_checkpoint(whole, False, True, True)
    if state.step == Step.CLOSED and max(state.writer, state.reader) == NONE and state.checkpoint is None:
        yield "all are killed, and one comes back", recovered(state)
        yield "the last one closes", begun_anew(restarted(recovered(state)))

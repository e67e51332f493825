"""A model of how SQLite's WAL is held, small enough that every order of steps can be tried. Pure.

SQLite's half follows wal.c: a writer, a reader and a checkpoint of others, each in the steps between which somebody
else can move. Our half has one step for each step in replication/sqlite/hold.py and replication/database/. Lives of the
WAL and crashes of ours are without number, frames in one life are bounded; so the states are finite, and `explore`
meets all of them. A state is wrong when a generation goes on although a frame was never copied, or when the database
file changes under an image of it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

NONE = -1
"""No transaction; other values of a mark are frames, 0 being the mark of who needs no frame of the WAL."""


class Step:
    """Where we are. The numbers grow along the way; from IDLE on a generation is followed."""

    CLOSED, PINNED, GOING_ON, COPIED_ONE_LIFE, BEGINNING = range(5)
    IDLE, MOVING, MOVE_COPIED, MOVE_UNPINNED, MOVE_PINNED = range(10, 15)
    LARGE_PART, LARGE_PART_RUNS, BEFORE_BARRIER = range(20, 23)
    BARRIER, BARRIER_COPIED, BARRIER_UNPINNED, REST_RUNS, REST_DONE, BARRIER_PINNED = range(30, 36)
    IMAGE = 40


class Variant:
    """The protocol, or one with a step left out, which the search must find to lose frames."""

    AS_BUILT = ""
    PIN_LET_GO_FIRST = "the pin is let go of with no second reader"
    MOVED_WITHOUT_COPY = "the pin moves without a copy"
    COPIED_AFTER_MOVE = "the copy comes after the new pin, not before"
    BARRIER_WITHOUT_COPY = "no copy behind the barrier"
    BARRIER_LET_GO_FIRST = "writers are let in before the new pin is there"
    NOT_LOOKED_AGAIN = "the first copy is not checked for a restart"
    NEVER_PINNED = "no reader at all"
    CHECKPOINT_UNDER_IMAGE = "a checkpoint of ours moves the pin under an image"
    BROKEN = (
        PIN_LET_GO_FIRST,
        MOVED_WITHOUT_COPY,
        COPIED_AFTER_MOVE,
        BARRIER_WITHOUT_COPY,
        BARRIER_LET_GO_FIRST,
        NOT_LOOKED_AGAIN,
        NEVER_PINNED,
        CHECKPOINT_UNDER_IMAGE,
    )


NO_HEAD: dict[str, Any] = {"head_seen": False, "head_stale": False, "head_had": False}
"""No copy is under way."""


class Checkpoint(NamedTuple):
    """One under way, which has the checkpoint lock: it will have copied back `safe` frames."""

    ours: bool
    locks_writers: bool
    truncates: bool
    safe: int


class State(NamedTuple):
    """Everything. `frames` are committed in this life, `backfilled` of them in the database file."""

    frames: int = 0
    backfilled: int = 0
    pin: int = NONE
    helper: int = NONE
    barrier: int = NONE
    writer: int = NONE
    reader: int = NONE
    checkpoint: Checkpoint | None = None
    step: int = Step.CLOSED
    followed: bool = False
    """The last life in the shadow WAL is the one the WAL is in."""
    copied: int = 0
    """Frames of it that are there."""
    head_seen: bool = False
    """In the middle of a copy: the header was read, the frames were not."""
    head_stale: bool = False
    """The WAL was restarted since."""
    head_had: bool = False
    """Some frame of the life of that header had been copied, so that it is missed when it is gone."""
    gap: bool = False
    """Committed frames went that had not been copied."""
    image: int = NONE
    """Frames of this life that an open image has from the shadow WAL."""
    image_older: bool = False
    """The image is of a life before this one."""
    torn: bool = False
    """The database file changed under an image."""

    @property
    def wrong(self) -> bool:
        return self.torn or (self.gap and self.step >= Step.IDLE)


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


def restarted(state: State) -> State:
    """A new life of the WAL, with no frame in it yet."""
    whole = state.frames == (state.copied if state.followed else 0)
    under_way = state.checkpoint
    if under_way is not None:
        # It found nothing to copy back, or nobody could restart the WAL. It does not take the new life for the old.
        assert under_way.safe <= state.backfilled
        under_way = under_way._replace(safe=0)
    return state._replace(
        frames=0,
        backfilled=0,
        checkpoint=under_way,
        followed=False,
        copied=0,
        head_stale=state.head_seen,
        gap=state.gap or not whole,
        image_older=state.image_older or state.image != NONE,
    )


def commit(state: State) -> State:
    """The writer appends a frame that commits, and ends. Whoever found all backfilled restarts the WAL if he can."""
    others = (state.pin, state.helper, state.reader)
    if state.writer == 0 and state.backfilled and max(others) <= 0:
        state = restarted(state)
    return state._replace(frames=state.frames + 1, writer=NONE)


def begin_checkpoint(state: State, ours: bool, full: bool, truncates: bool) -> State:
    """Take the checkpoint lock, which must be free, and see how much can be copied back."""
    safe = min([state.frames, *(held for held in marks(state) if held > 0)])
    if 0 in marks(state) or safe < state.backfilled:
        safe = state.backfilled
    locks = full and may_write(state)
    return state._replace(checkpoint=Checkpoint(ours, locks, truncates and locks, safe))


def end_checkpoint(state: State) -> State:
    """What was to be copied back is; TRUNCATE empties the WAL if nobody needs it."""
    found = state.checkpoint
    assert found is not None
    if found.safe > state.backfilled and state.image != NONE:
        # Frames from beyond the image are none of its commit's.
        state = state._replace(torn=state.torn or state.image_older or found.safe > state.image)
    state = state._replace(checkpoint=None, backfilled=max(found.safe, state.backfilled))
    if found.truncates and state.backfilled == state.frames and max(marks(state)) <= 0:
        state = restarted(state)
    return state


def others(state: State, frames_max: int) -> Iterator[tuple[str, State]]:
    """What the application may do next."""
    if state.writer == NONE and may_write(state):
        yield "writer begins", state._replace(writer=mark(state))
    if state.writer != NONE:
        after = commit(state)
        if after.frames <= frames_max:
            yield "writer commits", after
        yield "writer rolls back", state._replace(writer=NONE)
    if state.reader == NONE:
        yield "reader begins", state._replace(reader=mark(state))
    else:
        yield "reader ends", state._replace(reader=NONE)
    if state.checkpoint is None:
        yield "PASSIVE begins", begin_checkpoint(state, False, False, False)
        yield "RESTART begins", begin_checkpoint(state, False, True, False)
        yield "TRUNCATE begins", begin_checkpoint(state, False, True, True)
    elif not state.checkpoint.ours:
        yield "checkpoint ends", end_checkpoint(state)


# -- our steps --------------------------------------------------------------------------------------------------------


def copies(state: State, after: int) -> Iterator[tuple[str, State]]:
    """Follower.copy: first the header, then the frames; between the two the WAL may be restarted."""
    if not state.head_seen:
        if not state.followed and state.frames:
            state = state._replace(followed=True, copied=0)
        yield "we read the header", state._replace(head_seen=True, head_stale=False, head_had=state.copied > 0)
        return
    found = state._replace(step=after, **NO_HEAD)
    if not state.head_stale:
        yield "we copy", found._replace(copied=state.frames if state.followed else 0)
    elif state.head_had and state.frames:
        yield "we miss the last frame and copy the new life", found._replace(followed=True, copied=state.frames)
    else:
        yield "we find no frame of that header", found


def opens(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Database._open: Hold.take, decide, then Follower.copy_one_life or Database._begin."""
    step = state.step
    if step == Step.CLOSED:
        pin = NONE if variant == Variant.NEVER_PINNED else mark(state)
        yield "we pin (Hold.take)", state._replace(pin=pin, step=Step.PINNED)
    elif step == Step.PINNED:
        if state.followed:
            yield "we go on", state._replace(step=Step.GOING_ON)
        yield "we are to begin anew", state._replace(step=Step.BEGINNING)
    elif step == Step.GOING_ON:
        for label, after in copies(state, Step.COPIED_ONE_LIFE):
            # It may not enter another life: _may_restart is off.
            refused = (after.followed and not state.followed) and variant != Variant.NOT_LOOKED_AGAIN
            yield label, state._replace(step=Step.BEGINNING, **NO_HEAD) if refused else after
    elif step == Step.COPIED_ONE_LIFE:
        same = state.followed or variant == Variant.NOT_LOOKED_AGAIN
        yield "we look again", state._replace(step=Step.IDLE if same else Step.BEGINNING)
    elif step == Step.BEGINNING:
        fresh: dict[str, Any] = {"followed": state.frames > 0, "copied": state.frames, "gap": False, "step": Step.IDLE}
        yield "we begin a generation", state._replace(**fresh)


def moves(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold._move_pin: a second reader, a copy, the new pin, and the second reader ends."""
    step = state.step
    pinned = NONE if variant == Variant.NEVER_PINNED else mark(state)
    if step == Step.MOVING:
        if variant in (Variant.MOVED_WITHOUT_COPY, Variant.COPIED_AFTER_MOVE):
            yield "we do not copy", state._replace(step=Step.MOVE_COPIED)
        else:
            yield from copies(state, Step.MOVE_COPIED)
            if not state.head_seen:
                yield "our copy fails", state._replace(step=Step.IDLE, helper=NONE)
    elif step == Step.MOVE_COPIED:
        yield "we let go of the pin", state._replace(step=Step.MOVE_UNPINNED, pin=NONE)
    elif step == Step.MOVE_UNPINNED:
        yield "we pin anew", state._replace(step=Step.MOVE_PINNED, pin=pinned)
    elif step == Step.MOVE_PINNED:
        yield "our second reader ends", state._replace(step=Step.LARGE_PART, helper=NONE)


def large_part(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold.checkpoint with writers free, up to BEGIN IMMEDIATE."""
    step = state.step
    if step == Step.LARGE_PART and variant == Variant.COPIED_AFTER_MOVE:
        yield from copies(state, Step.BEFORE_BARRIER)
    elif step == Step.LARGE_PART:
        if state.checkpoint is None:
            yield "we checkpoint", begin_checkpoint(state, True, False, False)._replace(step=Step.LARGE_PART_RUNS)
        else:
            yield "our checkpoint is busy", state._replace(step=Step.BEFORE_BARRIER)
    elif step == Step.LARGE_PART_RUNS:
        yield "our checkpoint ends", end_checkpoint(state)._replace(step=Step.BEFORE_BARRIER)
    elif step == Step.BEFORE_BARRIER:
        yield "we give up the barrier", state._replace(step=Step.IDLE)
        if may_write(state):
            yield "our barrier", state._replace(step=Step.BARRIER, barrier=mark(state))


def behind_the_barrier(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold.checkpoint from BEGIN IMMEDIATE to ROLLBACK."""
    step = state.step
    pinned = NONE if variant == Variant.NEVER_PINNED else mark(state)
    if step == Step.BARRIER:
        if variant == Variant.BARRIER_WITHOUT_COPY:
            yield "we do not copy", state._replace(step=Step.BARRIER_COPIED)
        else:
            yield from copies(state, Step.BARRIER_COPIED)
            if not state.head_seen:
                yield "our copy fails", state._replace(step=Step.IDLE, barrier=NONE)
    elif step == Step.BARRIER_COPIED:
        yield "we let go of the pin", state._replace(step=Step.BARRIER_UNPINNED, pin=NONE)
    elif step == Step.BARRIER_UNPINNED:
        if state.checkpoint is None:
            yield "we checkpoint the rest", begin_checkpoint(state, True, False, False)._replace(step=Step.REST_RUNS)
        else:
            yield "our checkpoint is busy", state._replace(step=Step.REST_DONE)
    elif step == Step.REST_RUNS:
        yield "our checkpoint ends", end_checkpoint(state)._replace(step=Step.REST_DONE)
    elif step == Step.REST_DONE:
        if variant == Variant.BARRIER_LET_GO_FIRST and state.barrier != NONE:
            yield "we let writers in", state._replace(barrier=NONE)
        else:
            yield "we pin anew", state._replace(step=Step.BARRIER_PINNED, pin=pinned)
    elif step == Step.BARRIER_PINNED:
        after = Step.IDLE if state.image == NONE else Step.IMAGE
        yield "we let writers in", state._replace(step=after, barrier=NONE)


def idle(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Between two calls of Database: a sync, a checkpoint, or an image may come."""
    yield from copies(state, state.step)
    if state.head_seen:
        return
    if state.step == Step.IDLE or variant == Variant.CHECKPOINT_UNDER_IMAGE:
        second = NONE if variant in (Variant.PIN_LET_GO_FIRST, Variant.NEVER_PINNED) else mark(state)
        yield "our second reader begins", state._replace(step=Step.MOVING, helper=second)
    if state.step == Step.IDLE:
        copied = state.copied if state.followed else 0
        if copied == state.frames:
            yield "we open an image", state._replace(step=Step.IMAGE, image=copied)
    else:
        yield "we close the image", state._replace(step=Step.IDLE, image=NONE, image_older=False)


def crashed(state: State) -> State:
    """Our process ends: its locks go, the shadow WAL stays."""
    checkpoint = None if state.checkpoint is not None and state.checkpoint.ours else state.checkpoint
    return State(
        frames=state.frames,
        backfilled=state.backfilled,
        writer=state.writer,
        reader=state.reader,
        # The file of a life is made with its first frame.
        followed=state.followed and state.copied > 0,
        copied=state.copied,
        gap=state.gap,
        checkpoint=checkpoint,
    )


def ours(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """What we may do next."""
    if state.step < Step.IDLE:
        yield from opens(state, variant)
    elif state.step in (Step.IDLE, Step.IMAGE):
        yield from idle(state, variant)
    elif state.step < Step.LARGE_PART:
        yield from moves(state, variant)
    elif state.step < Step.BARRIER:
        yield from large_part(state, variant)
    else:
        yield from behind_the_barrier(state, variant)
    if state.step != Step.CLOSED:
        yield "we crash", crashed(state)


# -- all orders -------------------------------------------------------------------------------------------------------


def explore(frames_max: int, variant: str = Variant.AS_BUILT) -> tuple[int, list[str]]:
    """Every state that can be reached, nearest first: their number, and the steps to the first wrong one, if any."""
    start = State()
    came: dict[State, tuple[State, str] | None] = {start: None}
    layer = [start]
    while layer:
        following: list[State] = []
        for state in layer:
            for source in (others(state, frames_max), ours(state, variant)):
                for label, after in source:
                    if after not in came:
                        came[after] = (state, label)
                        if after.wrong:
                            return len(came), _way(came, after)
                        following.append(after)
        layer = following
    return len(came), []


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way: list[str] = []
    while (before := came[state]) is not None:
        state, label = before
        way.append(label)
    return way[::-1]

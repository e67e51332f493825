"""A model of how SQLite's WAL is held, small enough that every order of steps can be tried. Pure.

SQLite's half is model_wal.py. Our half has one step for each step in replication/sqlite/pin.py and
replication/database/. Lives of the WAL, and deaths of ours and of others, are without number, frames in one life are
bounded; so the states are finite, and `explore` meets all of them. A state is wrong when a generation goes on although
a counted frame was never copied, when it holds one that was never counted, or when the database file changes under an
image of it.
"""

from collections.abc import Iterator
from typing import Any

from tests.torture.model_wal import (
    NONE,
    State,
    Step,
    begin_checkpoint,
    end_checkpoint,
    mark,
    may_write,
    others,
    ready,
)


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
    KEPT_WHILE_WRITERS_ARE_FREE = "the pin moves past what was kept under an image"
    KEPT_AFTER_MOVE = "pages are kept after the new pin, not before"
    NOT_KEPT_BEHIND_THE_BARRIER = "no page is kept behind the barrier"
    ALL_IN_THE_FILE = "whatever the file holds is copied"
    SUMS_NOT_COMPARED = "the checksum that was published is not compared"
    INDEX_NOT_LOOKED_AT = "at the start the index is not asked for its life"
    OLDER_LIFE_ENTERED = "a life from before the generation is copied into it"
    BROKEN = (
        PIN_LET_GO_FIRST,
        MOVED_WITHOUT_COPY,
        COPIED_AFTER_MOVE,
        BARRIER_WITHOUT_COPY,
        BARRIER_LET_GO_FIRST,
        NOT_LOOKED_AGAIN,
        NEVER_PINNED,
        CHECKPOINT_UNDER_IMAGE,
        KEPT_WHILE_WRITERS_ARE_FREE,
        KEPT_AFTER_MOVE,
        NOT_KEPT_BEHIND_THE_BARRIER,
        ALL_IN_THE_FILE,
        SUMS_NOT_COMPARED,
        INDEX_NOT_LOOKED_AT,
        OLDER_LIFE_ENTERED,
    )


UNDER_AN_IMAGE_AS_EVER = (Variant.CHECKPOINT_UNDER_IMAGE, Variant.KEPT_WHILE_WRITERS_ARE_FREE)
"""With these a checkpoint moves the pin under an image as it does without one."""
UNKEPT_BEHIND_THE_BARRIER = (Variant.CHECKPOINT_UNDER_IMAGE, Variant.NOT_KEPT_BEHIND_THE_BARRIER)

NO_COPY: dict[str, Any] = {"seen": NONE, "stale": False}
"""No copy is under way."""


# -- our steps --------------------------------------------------------------------------------------------------------


def copies(state: State, after: int, variant: str) -> Iterator[tuple[str, State]]:
    """WALCopier.copy: first the count, then so many frames; between the two the WAL may be restarted."""
    if state.seen == NONE:
        if variant == Variant.ALL_IN_THE_FILE:
            count = (state.old or state.frames) + state.loose
        else:
            count = 0 if state.torn_index else state.frames
        if count:
            yield "we read the count", state._replace(seen=count)
        else:
            yield "nothing counts", state._replace(step=after)
        return
    found = state._replace(step=after, seen=NONE, stale=False)
    if not state.stale:
        if state.older and variant != Variant.OLDER_LIFE_ENTERED:
            yield "we see that the index was set back", lost(state)
        else:
            yield "we copy", found._replace(followed=True, copied=max(state.seen, state.copied))
        return
    yield "we find other frames, and look again", state._replace(seen=NONE, stale=False)
    yield "we find other frames, and leave it", found
    in_file = min(state.seen, state.frames + state.loose)
    if variant == Variant.SUMS_NOT_COMPARED and in_file:
        yield "we copy what we find", found._replace(followed=True, copied=in_file)


def lost(state: State) -> State:
    """ContinuityLostError: all is let go of, and a generation is to begin."""
    return crashed(state)._replace(followed=False, copied=0, step=Step.CLOSED)


def opens(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Database._open: Pin.take, decide, then WALCopier.copy_one_life or Database._begin."""
    step = state.step
    if step == Step.CLOSED:
        if (whole := ready(state)) is not None:
            pin = NONE if variant == Variant.NEVER_PINNED else mark(whole)
            yield "we pin (Pin.take)", whole._replace(pin=pin, step=Step.PINNED)
    elif step == Step.PINNED:
        if state.followed:
            yield "we go on", state._replace(step=Step.GOING_ON)
        yield "we are to begin anew", state._replace(step=Step.BEGINNING)
    elif step == Step.GOING_ON:
        for label, after in copies(state, Step.COPIED_ONE_LIFE, variant):
            # It may not enter another life: _may_restart is off.
            refused = (after.followed and not state.followed) and variant != Variant.NOT_LOOKED_AGAIN
            yield label, state._replace(step=Step.BEGINNING, **NO_COPY) if refused else after
    elif step == Step.COPIED_ONE_LIFE:
        # Where the index says a new life, all that the file holds of the old one must be here.
        index = not state.torn_index and (not state.old or state.copied == state.old + state.loose)
        same = state.followed and (index or variant == Variant.INDEX_NOT_LOOKED_AT)
        same = same or variant == Variant.NOT_LOOKED_AGAIN
        yield "we look again", state._replace(step=Step.IDLE if same else Step.BEGINNING)
    elif step == Step.BEGINNING and not state.torn_index:
        counted = state.frames + (state.loose if variant == Variant.ALL_IN_THE_FILE else 0)
        fresh: dict[str, Any] = {"followed": counted > 0, "copied": counted, "gap": False}
        yield "we begin a generation", state._replace(**fresh, older=state.old > 0, step=Step.IDLE)


def pins(state: State, step: int, variant: str) -> tuple[str, State]:
    """Take the pin anew; where that fails all is let go of (PinLostError)."""
    whole = ready(state)
    if whole is None:
        return "our pin is lost", crashed(state)
    return "we pin anew", whole._replace(step=step, pin=NONE if variant == Variant.NEVER_PINNED else mark(whole))


def must_keep(state: State) -> bool:
    """True if an image is open, and frames were copied whose pages were not kept for it."""
    return state.image != NONE and state.kept < (state.copied if state.followed else 0)


def kept(state: State) -> State:
    """Pages were kept of all that was copied."""
    return state._replace(kept=state.copied if state.followed else 0)


def keeps(state: State, after: int) -> Iterator[tuple[str, State]]:
    """Image.keep; where there is no room, the checkpoint is given up."""
    yield "we keep pages", kept(state)._replace(step=after)
    yield "we cannot keep pages", state._replace(step=Step.IMAGE, helper=NONE, barrier=NONE)


def exact_moves(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold._move_pin_exactly: the same under an image, with writers kept out, and pages kept before."""
    step = state.step
    late = variant == Variant.KEPT_AFTER_MOVE
    if step == Step.EXACT:
        yield from copies(state, Step.EXACT_COPIED, variant)
        if state.seen == NONE:
            yield "our copy fails", state._replace(step=Step.IMAGE, barrier=NONE)
    elif step == Step.EXACT_COPIED and not late:
        yield from keeps(state, Step.EXACT_KEPT)
    elif step in (Step.EXACT_COPIED, Step.EXACT_KEPT):
        yield "we let go of the pin", state._replace(step=Step.EXACT_UNPINNED, pin=NONE)
    elif step == Step.EXACT_UNPINNED:
        yield pins(state, Step.EXACT_PINNED, variant)
    elif late and must_keep(state):
        yield from keeps(state, Step.EXACT_PINNED)
    else:
        yield "we let writers in", state._replace(step=Step.LARGE_PART, barrier=NONE)


def moves(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Pin._move_pin: a second reader, a copy, the new pin, and the second reader ends."""
    step = state.step
    if step == Step.MOVING:
        if variant in (Variant.MOVED_WITHOUT_COPY, Variant.COPIED_AFTER_MOVE):
            yield "we do not copy", state._replace(step=Step.MOVE_COPIED)
        else:
            yield from copies(state, Step.MOVE_COPIED, variant)
            if state.seen == NONE:
                yield "our copy fails", state._replace(step=Step.IDLE, helper=NONE)
    elif step == Step.MOVE_COPIED:
        if variant == Variant.KEPT_WHILE_WRITERS_ARE_FREE and state.image != NONE:
            state = kept(state)
        yield "we let go of the pin", state._replace(step=Step.MOVE_UNPINNED, pin=NONE)
    elif step == Step.MOVE_UNPINNED:
        yield pins(state, Step.MOVE_PINNED, variant)
    elif step == Step.MOVE_PINNED:
        yield "our second reader ends", state._replace(step=Step.LARGE_PART, helper=NONE)


def large_part(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold.checkpoint with writers free, up to BEGIN IMMEDIATE."""
    step = state.step
    if step == Step.LARGE_PART and variant == Variant.COPIED_AFTER_MOVE:
        yield from copies(state, Step.BEFORE_BARRIER, variant)
    elif step == Step.LARGE_PART:
        if state.checkpoint is None and (whole := ready(state)) is not None:
            yield "we checkpoint", begin_checkpoint(whole, True, False, False)._replace(step=Step.LARGE_PART_RUNS)
        else:
            yield "our checkpoint is busy", state._replace(step=Step.BEFORE_BARRIER)
    elif step == Step.LARGE_PART_RUNS:
        yield "our checkpoint ends", end_checkpoint(state)._replace(step=Step.BEFORE_BARRIER)
    elif step == Step.BEFORE_BARRIER:
        yield "we give up the barrier", state._replace(step=between(state))
        if may_write(state) and (whole := ready(state)) is not None:
            yield "our barrier", whole._replace(step=Step.BARRIER, barrier=mark(whole))


def behind_the_barrier(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Hold.checkpoint from BEGIN IMMEDIATE to ROLLBACK."""
    step = state.step
    if step == Step.BARRIER:
        if variant == Variant.BARRIER_WITHOUT_COPY:
            yield "we do not copy", state._replace(step=Step.BARRIER_COPIED)
        else:
            yield from copies(state, Step.BARRIER_COPIED, variant)
            if state.seen == NONE:
                yield "our copy fails", state._replace(step=between(state), barrier=NONE)
    elif step == Step.BARRIER_COPIED and must_keep(state) and variant not in UNKEPT_BEHIND_THE_BARRIER:
        yield from keeps(state, Step.BARRIER_COPIED)
    elif step == Step.BARRIER_COPIED:
        yield "we let go of the pin", state._replace(step=Step.BARRIER_UNPINNED, pin=NONE)
    elif step == Step.BARRIER_UNPINNED:
        if state.checkpoint is None:
            assert not state.torn_index
            yield "we checkpoint the rest", begin_checkpoint(state, True, False, False)._replace(step=Step.REST_RUNS)
        else:
            yield "our checkpoint is busy", state._replace(step=Step.REST_DONE)
    elif step == Step.REST_RUNS:
        yield "our checkpoint ends", end_checkpoint(state)._replace(step=Step.REST_DONE)
    elif step == Step.REST_DONE:
        if variant == Variant.BARRIER_LET_GO_FIRST and state.barrier != NONE:
            yield "we let writers in", state._replace(barrier=NONE)
        else:
            yield pins(state, Step.BARRIER_PINNED, variant)
    elif step == Step.BARRIER_PINNED:
        yield "we let writers in", state._replace(step=between(state), barrier=NONE)


def between(state: State) -> int:
    """Where a checkpoint leads back to."""
    return Step.IDLE if state.image == NONE else Step.IMAGE


def idle(state: State, variant: str) -> Iterator[tuple[str, State]]:
    """Between two calls of Database: a sync, a checkpoint, or an image may come."""
    yield from copies(state, state.step, variant)
    if state.seen != NONE:
        return
    whole = ready(state)
    if whole is not None and state.step == Step.IMAGE and variant not in UNDER_AN_IMAGE_AS_EVER and may_write(state):
        yield "our barrier, to move the pin", whole._replace(step=Step.EXACT, barrier=mark(whole))
    if whole is not None and (state.step == Step.IDLE or variant in UNDER_AN_IMAGE_AS_EVER):
        second = NONE if variant in (Variant.PIN_LET_GO_FIRST, Variant.NEVER_PINNED) else mark(whole)
        yield "our second reader begins", whole._replace(step=Step.MOVING, helper=second)
    if state.step == Step.IDLE:
        copied = state.copied if state.followed else 0
        if copied == state.frames:
            yield "we open an image", state._replace(step=Step.IMAGE, image=copied)
    else:
        yield "we close the image", state._replace(step=Step.IDLE, image=NONE, image_older=False, kept=0)


def crashed(state: State) -> State:
    """Our process ends: its locks go, the shadow WAL stays."""
    checkpoint = None if state.checkpoint is not None and state.checkpoint.ours else state.checkpoint
    return State(
        frames=state.frames,
        backfilled=state.backfilled,
        loose=state.loose,
        old=state.old,
        torn_index=state.torn_index,
        writer=state.writer,
        written=state.written,
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
    elif state.step < Step.EXACT:
        yield from moves(state, variant)
    elif state.step < Step.LARGE_PART:
        yield from exact_moves(state, variant)
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

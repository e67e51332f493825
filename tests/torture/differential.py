"""What a restore may answer, by the reference: the newest commit at or before what was asked for, or a right refusal.

`newest` is the newest commit of which anything in the replicas that answer is evidence; `possible` is the newest that
their whole objects bring back. A restore that succeeds must give the newest, a refusal must not be of something that is
possible and certain. What is not certain, and so may be refused, is told apart and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from replication.position import Position
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from tests.restore.reference import Place, states
from tests.torture.replica_world import World, Written, contents, places, store_time


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, of which replicas."""

    target: Target
    generation: str | None
    replicas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the reference says: numbers of commits, -1 where there is none. `doubt` says why a refusal may be right."""

    newest: int
    possible: int
    doubt: str
    blind: bool = False
    """In a copy, with no note that orders them: times that look right by chance cannot be told from right ones."""


def requests(world: World, count: int) -> list[Request]:
    """By chance: some of each kind."""
    chance = world.chance
    known = sorted(world.numbers)
    times = sorted({item.time for store in world.stores.values() for item in store.ever.values()})
    made: list[Request] = []
    for _ in range(count):
        names = sorted(world.stores)
        if chance.random() < 0.3:
            names = [chance.choice(names)]
        chance.shuffle(names)
        generation = chance.choice(known)[0] if known and chance.random() < 0.2 else None
        kind = chance.choice(("latest", "latest", "time", "time", "index", "position", "position"))
        target: Target = Latest()
        if kind == "time" and times:
            moment = chance.choice(times) + chance.choice((0.0, 0.0, 0.5, -0.0005, 30.0))
            target = AtTime(store_time(moment))
        elif kind == "index" and known:
            generation, place = chance.choice(known)
            target = AtIndex(place[0] + chance.choice((0, 0, 0, 1)))
        elif kind == "position" and known:
            generation, (index, offset) = chance.choice(known)
            index, offset = chance.choice(((index, offset),) * 6 + ((index + 1, 0), (index, 0), (index, offset + 536)))
            target = AtPosition(Position(generation, index, offset))
        made.append(Request(target, generation, tuple(names)))
    return made


def judge(world: World, request: Request) -> Verdict:
    """What is right for a request."""
    newest = possible = indexes = -1
    any_torn = unclear = hole = unnoted = begun = False
    before: set[str] = set()
    seen: dict[str, list[int]] = {}
    """Of each generation: the newest commit there is evidence of, and the newest that is certain."""
    known: set[int] = set()
    reached: dict[str, dict[str, int]] = {}
    """Of each replica: how far its generations had come by then."""
    older: dict[str, set[str]] = {}
    """Of each generation: those that it notes as older."""
    for replica in [name for name in request.replicas if not world.stores[name].down]:
        store = world.stores[replica]
        held = store.held()
        for generation in sorted({item.generation for item in held.values()}):
            if request.generation not in (None, generation):
                continue
            mine = {name: item for name, item in store.ever.items() if item.generation == generation}
            here = {name: item for name, item in mine.items() if name in held}
            whole = {name: item for name, item in here.items() if name not in store.torn}
            known |= {item.place[0] for item in here.values()}
            indexes = max(known)
            any_torn |= len(whole) < len(mine)
            first = min((item.place for item in mine.values() if item.snapshot), default=(0, 0))
            kept = [item for item in here.values() if item.snapshot]
            begins = [item for item in kept if item.place[0] == 0 or (item.noted and item.place == first)]
            evident = _evident(mine, here, store.torn, request.target)
            # Where the snapshot that began it is gone, nothing tells when that was.
            unclear |= isinstance(request.target, AtTime) and not evident and not begins
            # Commits from before the first snapshot of a generation are in its WAL, too.
            numbers = [world.numbers.get((generation, place), -1) for place in evident]
            # It had begun by then, with a snapshot that is lost, and of what came after that nothing is whole.
            begun |= bool(evident) and max(numbers) < 0
            if evident:
                reached.setdefault(replica, {})[generation] = max(numbers)
                notes = [item.before for item in whole.values() if item.snapshot and item.noted]
                older.setdefault(generation, set()).update(*notes)
                before.update(*notes)
            hole |= isinstance(request.target, AtTime) and _hole(mine, here, request.target)
            newest = max([newest, *numbers])
            marks = seen.setdefault(generation, [-1, -1])
            marks[0] = max([marks[0], *numbers])
            allowed = _allowed(here, request.target)
            unnoted |= any(item.snapshot and not item.noted and item.place in allowed[2] for item in here.values())
            torn = any(item.place in allowed[0] and name in store.torn for name, item in here.items())
            for noted_only in (False, True):
                base = [item for item in whole.values() if item.noted or not item.snapshot or not noted_only]
                base = [item for item in base if item.snapshot or item.place in allowed[0]]
                if isinstance(request.target, AtTime):
                    # Whether one that was stored later holds a later commit is not known before the WAL is read.
                    last = max(allowed[0], default=(-1, 0))
                    base = [item for item in base if not _late(item, request.target) or item.place <= last]
                found = states(*contents(base), world.lengths(generation))
                numbers = [world.numbers[generation, place] for place in found if _may(place, allowed, request.target)]
                if not noted_only:
                    possible = max([possible, *numbers])
                elif not torn:
                    # What a torn object held nobody can tell.
                    marks[1] = max([marks[1], *numbers])
    heads = sum(mark[0] >= 0 for name, mark in seen.items() if name not in before)
    copied = any(world.stores[name].copied for name in request.replicas)
    blind = request.generation is None and heads > 1 and copied
    doubt = ""
    if any(evident == newest and sure < newest for evident, sure in seen.values()):
        doubt = "a snapshot without a note, or torn WAL that held nothing new"
    elif request.generation is None and heads > 1:
        doubt = "generations that nothing links"
    elif request.generation is None and _took_over_elsewhere(reached, older):
        doubt = "a host took over that had not come to all replicas, and in another one there is more of the one before"
    elif unnoted and len(request.replicas) > 1:
        doubt = "a snapshot without a note, which may hold more than another replica"
    elif hole:
        doubt = "lost WAL, and nothing tells when it came"
    elif unclear and request.generation is None:
        doubt = "a generation whose beginning nothing tells"
    elif begun and request.generation is None:
        doubt = "a generation that had begun, and whose first commits are lost"
    if isinstance(request.target, AtIndex) and indexes < request.target.index:
        return Verdict(-1, -1, "")
    if isinstance(request.target, AtPosition):
        at = (request.target.position.index, request.target.position.offset)
        exact = world.numbers.get((request.target.position.generation, at))
        if exact is None and at[1]:
            return Verdict(-1, -1, "")
        if not at[1] and any_torn:
            doubt = doubt or "the start of an index, and WAL before it that is torn or lost"
        if (at[1] and possible != exact) or not known & {at[0], at[0] - 1}:
            possible = -1
    if blind:
        doubt = doubt or "an order that nothing in a copy tells"
    return Verdict(newest, possible, doubt, blind)


def _took_over_elsewhere(reached: dict[str, dict[str, int]], older: dict[str, set[str]]) -> bool:
    """True if a generation is in one replica only by then, and in another an older one went on past what it saw.

    The one before may still go on: only the clocks of two stores would tell which was later.
    """
    for newer, before in older.items():
        there = [held for held in reached.values() if newer in held]
        elsewhere = [held for held in reached.values() if newer not in held]
        for name in before:
            seen = max((held.get(name, -1) for held in there), default=-1)
            if any(held.get(name, -1) > seen for held in elsewhere):
                return True
    return False


def _evident(mine: dict[str, Written], here: dict[str, Written], torn: set[str], target: Target) -> list[Place]:
    """The commits of which anything is evidence: what is there, and what is lost if something after it is there."""
    last = max((item.place for item in here.values()), default=(-1, -1))
    found: list[Place] = []
    held = [item for item in here.values() if not item.snapshot]
    late = min((item.place for item in held if isinstance(target, AtTime) and _late(item, target)), default=None)
    # What came after it, an end mark too, tells that an object that is lost had come by then; else nobody knows when.
    came = [item.place for item in held if late is None or item.place < late]
    for name, item in mine.items():
        if name not in here and item.place >= last:
            continue
        if isinstance(target, AtTime):
            if name not in here and (item.snapshot or item.place >= max(came, default=(-1, -1))):
                continue
            if name in here and _late(item, target):
                continue
            if not item.snapshot and late is not None and item.place >= late:
                continue
        # Of what a torn segment held no more is certain than that there was something.
        found += places(item)[: 1 if name in torn else None]
    if isinstance(target, AtIndex):
        found = [place for place in found if place[0] <= target.index]
    if isinstance(target, AtPosition):
        at = (target.position.index, target.position.offset)
        found = [place for place in found if place <= at]
    return found


def _hole(mine: dict[str, Written], here: dict[str, Written], target: AtTime) -> bool:
    """True if WAL is lost just where the target is: what is there goes on later than was asked for."""
    late = [item.place for item in here.values() if not item.snapshot and _late(item, target)]
    lost = [item.place for name, item in mine.items() if name not in here and not item.snapshot]
    kept = [item.place for item in here.values() if not item.snapshot and item.place < min(late, default=(-1, 0))]
    return any(max(kept, default=(-1, 0)) < place < min(late, default=(-1, 0)) for place in lost)


def _allowed(here: dict[str, Written], target: Target) -> tuple[set[Place], Place, set[Place]]:
    """Segments that may be used, where the last of them ends, and snapshots that may be the answer by themselves."""
    segments = sorted((item for item in here.values() if not item.snapshot), key=lambda item: item.place)
    snapshots = {item.place for item in here.values() if item.snapshot}
    if isinstance(target, AtTime):
        late = next((number for number, item in enumerate(segments) if _late(item, target)), len(segments))
        segments = segments[:late]
        snapshots = {item.place for item in here.values() if item.snapshot and not _late(item, target)}
    if isinstance(target, AtPosition):
        at = (target.position.index, target.position.offset)
        segments = [item for item in segments if item.place < at or not at[1]]
    if isinstance(target, AtIndex):
        segments = [item for item in segments if item.place[0] <= target.index]
    end = max(((item.place[0], item.place[1] + len(item.content)) for item in segments), default=(-1, 0))
    return {item.place for item in segments}, end, snapshots


def _may(place: Place, allowed: tuple[set[Place], Place, set[Place]], target: Target) -> bool:
    if isinstance(target, AtIndex):
        return place[0] <= target.index
    if isinstance(target, AtPosition):
        return place <= (target.position.index, target.position.offset)
    return place <= allowed[1] or place in allowed[2]


def _late(item: Written, target: AtTime) -> bool:
    stored = store_time(item.time)
    # Of a store that tells whole seconds it may have come at the end of one; one in whole seconds has all of its own.
    coarse = target.time.microsecond and not stored.microsecond
    return stored + timedelta(seconds=1 if coarse else 0) > target.time


def retention(world: World) -> None:
    """A round of it in one replica: every commit of the window, and the newest before it, must still be there."""
    name = world.chance.choice(sorted(world.replicas))
    store, seconds = world.stores[name], world.chance.choice((5.0, 60.0, 600.0))
    world.note_numbers()
    begin = world.now - seconds
    times = sorted({begin, world.now, *(item.time for item in store.held().values() if item.time > begin)})
    asked = [Request(AtTime(store_time(time)), None, (name,)) for time in times]
    before = [judge(world, request).possible for request in asked]
    world.log.append(f"of {seconds} s in {name}")
    world.replicas[name].enforce_retention(seconds, store_time(world.clock()))
    world.note_numbers()
    after = [judge(world, request).possible for request in asked]
    lost = {
        store_time(time).isoformat(): pair
        for time, *pair in zip(times, before, after, strict=True)
        if pair[0] > pair[1]
    }
    assert not lost, f"retention lost commits at {lost}\n{told(world, [name])}"
    world.counts["rounds of retention"] += 1


def told(world: World, names: Sequence[str]) -> str:
    """The world in words, for a failure."""
    lines = list(world.log)
    for name in names:
        store = world.stores[name]
        lines.append(f"{name}{' (away)' if store.down else ''}")
        for item in store.names():
            written = store.ever[item]
            ends = [world.numbers.get((written.generation, place)) for place in places(written)]
            marks = ("" if written.noted else " no note") + (" TORN" if item in store.torn else "")
            when = f"{store_time(written.time)} {item} {written.place}"
            lines.append(f"  {when} commits {ends}{marks} {sorted(written.before)}")
    return "\n".join(lines)

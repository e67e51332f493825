"""What all sides of a history share: places with their mirrors, time, and what is asked of the replicas.

The window of retention is judged here by the true times: what a right clock grants is never lost (promise 3). Where the
clock of a place went ahead between two runs of the engine nobody can tell that from time that passed, and what is older
than it by that clock may go.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replication.errors import ReplicationError
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from tests.torture.answers import judge, restorable
from tests.torture.differential import Request
from tests.torture.mirror import Kept, Mirror
from tests.torture.oracle import Oracle
from tests.torture.place import Clock, Store

NO_WAITS = Backoff(tries_max=1, base_seconds=0.0)
SAME_INSTANT_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Standing:
    """What was in a replica at a moment, and the states that it brought back."""

    mirror: Mirror
    items: tuple[Kept, ...]
    restorable: frozenset[int]

    def without(self, generations: set[str]) -> "Standing":
        """The same but for some generations."""
        items = tuple(item for item in self.items if item.place.generation not in generations)
        return Standing(self.mirror, items, self.restorable)

    def wanted(self, begin: float, believed_ahead: float, line: Oracle, written: tuple[Kept, ...]) -> set[int]:
        """States of one line that the window promises: all since it began, by the true time, and the one before.

        `believed_ahead` is how far the clock of the place may be taken to be ahead now; `written` came since.
        """
        older: list[tuple[float, int]] = []
        found: set[int] = set()
        for item in {*self.items, *written}:
            numbers = {self.mirror.points.get(commit, -1) for commit in item.commits}
            numbers = {number for number in numbers if number in line}
            if item.time - max(0.0, believed_ahead - item.ahead) > begin + SAME_INSTANT_SECONDS:
                found |= numbers
            elif numbers:
                older.append((item.time, max(numbers)))
        if older:
            found.add(max(older)[1])
        return found & self.restorable


class World:
    """Two places, near and far. `oracle` is of the side that came first; `counts` go over all histories."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        counts: Counter[str],
        before_put: Callable[[], None],
        whole_seconds: tuple[bool, bool],
    ) -> None:
        self.folder, self.clock, self.counts, self._before_put = folder, clock, counts, before_put
        self.oracle = Oracle()
        self.stores: dict[str, Store] = {}
        self.mirrors: dict[str, Mirror] = {}
        self.incomplete: set[str] = set()
        """Replicas from which something may have been removed: not all that was ever there is there."""
        for name, whole in zip(("near", "far"), whole_seconds, strict=True):
            self._make(name, whole, 0.0)

    def _make(self, name: str, whole_seconds: bool, ahead: float) -> None:
        store = self.stores[name] = Store(name, self.clock, whole_seconds)
        store.before_put, store.ahead = self._before_put, ahead
        self.mirrors[name] = Mirror(store, self.oracle)

    # -- what becomes of places -----------------------------------------------------------------------------------

    def outage(self, name: str) -> None:
        """A place goes away, or is back."""
        store = self.stores[name]
        store.down = not store.down
        self.counts[f"places that {'went away' if store.down else 'came back'}"] += 1

    def empty(self, name: str) -> None:
        """All is removed by somebody."""
        self.look()
        self.stores[name].empty()
        self.mirrors[name].emptied()
        self.incomplete.add(name)
        self.counts["places emptied"] += 1

    def lose_last(self, name: str, pick: int) -> bool:
        """The last segment of a generation is removed by somebody; False if there is none."""
        self.look()
        mirror = self.mirrors[name]
        lasts = {
            generation: max((item for item in kept if not item.snapshot), key=lambda item: item.place, default=None)
            for generation, kept in sorted(mirror.held().items())
        }
        found = [item for item in lasts.values() if item is not None]
        if not found:
            return False
        lost = found[pick % len(found)]
        self.stores[name].lose(lost.name)
        mirror.lost_the_last(lost.place.generation)
        self.incomplete.add(name)
        self.counts["last objects lost"] += 1
        return True

    def replace(self, name: str) -> None:
        """Another place takes its part, with nothing in it; no engine runs meanwhile."""
        old = self.stores[name]
        shared = self.mirrors[name].shared
        self._make(name, old.whole_seconds, old.ahead)
        self.mirrors[name].shared = shared
        self.incomplete.discard(name)
        self.counts["places replaced"] += 1

    def all_back(self) -> None:
        """Every place can be reached."""
        for store in self.stores.values():
            store.down = False

    def look(self) -> None:
        """Replay what was written; every restore point that came is a state that was."""
        for mirror in self.mirrors.values():
            before = mirror.passed_by
            self.counts["restore points checked"] += mirror.look()
            if mirror.passed_by > before:
                self.counts["commits by another name passed by"] += mirror.passed_by - before

    # -- requests -------------------------------------------------------------------------------------------------

    def request(self, kind: str, names: tuple[str, ...], named: bool, pick: int, off: float) -> Request:
        """A request for something that is there, or was; `pick` chooses it."""
        kept = sorted(
            (item for name in names for item in self.mirrors[name].kept.values()),
            key=lambda item: (item.time, item.name),
        )
        if not kept:
            return Request(Latest(), None, names)
        item = kept[pick % len(kept)]
        generation = item.place.generation if named else None
        target: Target = Latest()
        if kind == "time":
            target = AtTime(item.stamp.fromtimestamp(item.stamp.timestamp() + off, item.stamp.tzinfo))
        elif kind == "index":
            generation, target = item.place.generation, AtIndex(item.place.index + int(off))
        elif kind == "position" and item.commits:
            target = AtPosition(item.commits[pick % len(item.commits)])
        return Request(target, generation, names)

    def ask(self, request: Request, keep: bool = False) -> Path | None:
        """One restore by the program, and what is to be said of its answer; the file, if it is to be kept."""
        verdict = judge(self.mirrors, self.oracle, request)
        output = self.folder / "restored.db"
        options = RestoreOptions(
            target=request.target, generation=request.generation, integrity_check="none", backoff=NO_WAITS
        )
        sources = [OpenReplica(name, self.stores[name]) for name in request.replicas]
        try:
            result = restore(sources, output, options)
        except ReplicationError as error:
            if not verdict.refusal:
                raise AssertionError(f"{request} was refused: {error}; right is {verdict}\n{self.told()}") from None
            self.counts[f"refused, {verdict.refusal}"] += 1
            return None
        number = self.oracle.number(output.read_bytes())
        if not keep:
            output.unlink()
        assert number in verdict.right, (
            f"{request} restores state {number} from {result.replica} at {result.position}, and right is {verdict}\n"
            f"{self.told()}"
        )
        self.counts["restores"] += 1
        return output if keep else None

    def standing(self, name: str) -> "Standing":
        """What a replica holds, and what that brings back."""
        mirror = self.mirrors[name]
        held = mirror.held()
        found = {mirror.points[commit] for kept in held.values() for commit in restorable(mirror, kept)}
        return Standing(mirror, tuple(item for kept in held.values() for item in kept), frozenset(found))

    def told(self) -> str:
        """The places in words, for a failure."""
        lines = []
        for name, mirror in self.mirrors.items():
            lines.append(f"{name}{' (away)' if mirror.store.down else ''}")
            lines += [self._told(mirror, item) for kept in mirror.held().values() for item in kept]
        return "\n".join(lines)

    def _told(self, mirror: Mirror, item: Kept) -> str:
        states = [mirror.points.get(commit) for commit in item.commits]
        return (
            f"  {item.time - self.clock.now:.2f} {item.stamp} {item.name} to {item.end} {states} {sorted(item.before)}"
        )

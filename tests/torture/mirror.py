"""What a replica holds, replayed in memory as its objects arrive: every restore point against the oracle, at once.

A restore of every point after every step would cost seconds. Here each frame is verified and applied once, when the
object with it is stored, and the database is hashed at each commit. It trusts nothing but the bytes of the objects.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from replication.errors import StorageError
from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import WALHeader, frames_in
from replication.storage import container
from replication.storage.memory import MemoryStorage
from replication.storage.names import parse_segment

OUT_OF_ORDER = "its commits are not one after the other"


class Oracle:
    """Every state that was ever committed, by its hash, in order."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, sha256: str) -> None:
        """A commit, unless it changed nothing."""
        if self.states[-1:] != [sha256]:
            assert sha256 not in self._numbers, "two states are alike, so that the oracle cannot tell them apart"
            self._numbers[sha256] = len(self.states)
            self.states.append(sha256)

    def number(self, content: bytes | bytearray) -> int:
        """Which state this is; -1 if there never was such a one."""
        return self._numbers.get(hashlib.sha256(content).hexdigest(), -1)


class Store(MemoryStorage):
    """A store that keeps order of what was written, and can fail in the middle of an upload of many objects."""

    def __init__(self, name: str) -> None:
        super().__init__(f"memory://{name}")
        self.written: list[str] = []
        self.puts_left: int | None = None
        """So many uploads more succeed; without a number all do."""
        self.lose_the_last = False
        """Of the one that fails, only the acknowledgement is lost."""
        self.before_put: Callable[[], None] = lambda: None

    def put(self, name: str, chunks: object, *, create: bool = False) -> int:
        self.before_put()
        if self.puts_left is not None:
            if self.puts_left <= 0:
                if self.lose_the_last:
                    self.lose_the_last = False
                    super().put(name, chunks, create=create)  # type: ignore[arg-type]
                    self.written.append(name)
                raise StorageError("the store went away in the middle of an upload")
            self.puts_left -= 1
        size = super().put(name, chunks, create=create)  # type: ignore[arg-type]
        self.written.append(name)
        return size


@dataclass
class _History:
    """One generation as far as it was replayed. `content` is the database after the commit `number` at `position`."""

    content: bytearray
    position: Position
    number: int
    page_size: int
    header: WALHeader | None = None
    index: int = -1
    end: int = 0
    sums: Sums = (0, 0)
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    """Frames no commit has followed yet: page numbers and pages."""


class Mirror:
    """One replica. `points` are its restore points with the states that they must restore to."""

    def __init__(self, store: Store, oracle: Oracle) -> None:
        self.store = store
        self.points: dict[Position, int] = {}
        self.histories: dict[str, _History] = {}
        self._oracle = oracle
        self._seen: dict[str, bytes] = {}

    def look(self) -> int:
        """Replay what was written since the last look; how many commits that were."""
        written, self.store.written = self.store.written, []
        before = len(self.points)
        for name in written:
            data = b"".join(container.decompress(name, iter([self.store.read(name)])))
            _, generation, kind, base = name.split("/")
            if kind == "snapshots":
                self._snapshot(name, generation, data)
            else:
                place = parse_segment(base)
                assert place is not None
                self._segment(name, Position(generation, *place), data)
        return len(self.points) - before

    def _snapshot(self, name: str, generation: str, data: bytes) -> None:
        note = container.decode_note(self.store.read(name))
        assert note is not None
        position = Position.parse(str(note["position"]))
        number = self._oracle.number(data)
        assert number >= 0, f"{name} at {position} is a state that never was"
        assert self.points.setdefault(position, number) == number, f"{name} is not the commit that it says"
        if generation not in self.histories:
            self.histories[generation] = _History(bytearray(data), position, number, int(note["page_size"]))

    def _segment(self, name: str, start: Position, data: bytes) -> None:
        known = self._seen.get(name, b"")
        assert data.startswith(known), f"{name} was written again with other content"
        self._seen[name] = data
        history = self.histories.get(start.generation)
        assert history is not None, f"{name} came before any snapshot"
        if len(data) == len(known):
            return
        if start.offset == 0 and not known:
            first = history.index < 0 and start.index == history.position.index
            assert first or start.index == history.index + 1, f"{name}: an index was skipped"
            assert not history.waiting, f"{name}: the index before does not end with a commit"
            history.header = WALHeader.parse(data[:WAL_HEADER_SIZE])
            history.index, history.end, history.sums = start.index, WAL_HEADER_SIZE, history.header.sums
            known = data[:WAL_HEADER_SIZE]
        assert (start.index, start.offset + len(known)) == (history.index, history.end), f"{name}: WAL was skipped"
        self._replay(name, history, data[len(known) :])

    def _replay(self, name: str, history: _History, data: bytes) -> None:
        header = history.header
        assert header is not None
        assert header.page_size == history.page_size
        frames = frames_in(data, header, history.sums)
        assert frames.count * header.frame_size == len(data), f"{name}: a frame is not valid"
        history.sums = frames.sums
        for row in range(frames.count):
            at = row * header.frame_size + FRAME_HEADER_SIZE
            history.waiting.append((int(frames.pages[row]), data[at : at + header.page_size]))
            history.end += header.frame_size
            if frames.commits[row]:
                self._commit(name, history, int(frames.commits[row]))

    def _commit(self, name: str, history: _History, pages: int) -> None:
        position = Position(history.position.generation, history.index, history.end)
        if position > history.position:
            size, content = history.page_size, history.content
            content.extend(bytes(max(0, pages * size - len(content))))
            for page, data in history.waiting:
                content[(page - 1) * size : page * size] = data
            del content[pages * size :]
            number = self._oracle.number(content)
            assert number >= 0, f"{name}: {position} is a state that never was"
            assert number == history.number + 1, f"{name}: {OUT_OF_ORDER}: {history.number}, then {number}"
            assert self.points.setdefault(position, number) == number
            history.position, history.number = position, number
        history.waiting.clear()

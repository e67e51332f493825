"""A replica in memory: the test double of every store, with a clock and faults to order.

Its promise: without faults it answers as the real back ends do; with them, as they do on a bad day.
Faults are used up in the order in which they were given, one for each call of their verb.
"""

import builtins
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from replication.errors import ObjectExistsError, ObjectNotFoundError, ReplicationError, StorageError
from replication.storage.base import ObjectInfo, Storage, check_name, check_prefix, check_range

Verb = Literal["list", "folders", "put", "get", "delete"]
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    modified: datetime


@dataclass(frozen=True, slots=True)
class _Fault:
    """What becomes of one call: an error, a wait, a body cut after some bytes, an acknowledgement lost."""

    error: ReplicationError | None = None
    wait_for: threading.Event | None = None
    cut_bytes: int | None = None
    lose_acknowledgement: bool = False


_NO_FAULT = _Fault()


class MemoryStorage(Storage):
    """Objects in a dictionary. Its lock covers the dictionary, the faults and the counts, and no wait.

    `calls` counts the calls of each verb; `refused` holds names that `delete` reports as not removed;
    `clock` gives the time of writing and may be replaced.
    """

    type = "memory"

    def __init__(
        self, address: str = "memory://replica", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.address = address
        self.clock = clock
        self.calls: Counter[Verb] = Counter()
        self.refused: set[str] = set()
        self._objects: dict[str, _Object] = {}
        self._faults: dict[Verb, deque[_Fault]] = defaultdict(deque)
        self._lock = threading.Lock()

    # Faults.

    def fail(self, verb: Verb, error: ReplicationError, times: int = 1) -> None:
        """The next `times` calls of `verb` raise `error` and do nothing."""
        self._order(verb, _Fault(error=error), times)

    def hang(self, verb: Verb, until: threading.Event, times: int = 1) -> None:
        """The next `times` calls of `verb` wait for `until`, then go on as usual."""
        self._order(verb, _Fault(wait_for=until), times)

    def cut(self, size: int, times: int = 1) -> None:
        """The next `times` calls of `get` break off with StorageError after `size` bytes."""
        self._order("get", _Fault(cut_bytes=size), times)

    def lose_acknowledgement(self, times: int = 1) -> None:
        """The next `times` calls of `put` store their object and raise StorageError all the same."""
        self._order("put", _Fault(lose_acknowledgement=True), times)

    def clear_faults(self) -> None:
        """Forget the faults not used up yet."""
        with self._lock:
            self._faults.clear()
            self.refused.clear()

    def names(self) -> builtins.list[str]:
        """The names of all objects, sorted; no fault applies and nothing is counted."""
        with self._lock:
            return sorted(self._objects)

    def read(self, name: str) -> bytes:
        """The bytes of an object; no fault applies and nothing is counted. KeyError if it is not there."""
        with self._lock:
            return self._objects[name].data

    def replace(self, name: str, data: bytes, modified: datetime | None = None) -> None:
        """Put bytes under a name behind the engine's back, to damage an object or to set its time."""
        with self._lock:
            self._objects[name] = _Object(data, modified or self.clock())

    # The contract.

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return self._list(prefix)

    def folders(self, prefix: str) -> builtins.list[str]:
        check_prefix(prefix)
        self._begin("folders")
        with self._lock:
            below = [name.removeprefix(prefix) for name in self._objects if name.startswith(prefix)]
        return sorted({name.partition("/")[0] for name in below if "/" in name})

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        check_name(name)
        fault = self._begin("put")
        data = b"".join(chunks)
        with self._lock:
            if create and name in self._objects:
                raise ObjectExistsError(name, self.address)
            self._objects[name] = _Object(data, self.clock())
        if fault.lose_acknowledgement:
            raise StorageError(f"{self.address} closed the connection before it answered")
        return len(data)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_range(offset, length)
        return self._get(check_name(name), offset, length)

    def delete(self, names: Iterable[str]) -> None:
        names = [check_name(name) for name in names]
        self._begin("delete")
        with self._lock:
            refused = [name for name in names if name in self.refused]
            for name in names:
                if name not in self.refused:
                    self._objects.pop(name, None)
        if refused:
            raise StorageError(f"{self.address} did not remove {refused[0]}: AccessDenied")

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._begin("list")
        with self._lock:
            found = [
                ObjectInfo(name, len(item.data), item.modified)
                for name, item in self._objects.items()
                if name.startswith(prefix)
            ]
        yield from sorted(found, key=lambda info: info.name)

    def _get(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        fault = self._begin("get")
        with self._lock:
            item = self._objects.get(name)
        if item is None:
            raise ObjectNotFoundError(name, self.address)
        data = item.data[offset:] if length is None else item.data[offset : offset + length]
        kept = data if fault.cut_bytes is None else data[: fault.cut_bytes]
        for start in range(0, len(kept), CHUNK_BYTES):
            yield kept[start : start + CHUNK_BYTES]
        if len(kept) < len(data):
            raise StorageError(f"{self.address} sent {len(kept)} of {len(data)} bytes of {name}")

    def _order(self, verb: Verb, fault: _Fault, times: int) -> None:
        with self._lock:
            self._faults[verb].extend([fault] * times)

    def _begin(self, verb: Verb) -> _Fault:
        """Count the call and take the next fault of its verb; wait or raise as it says."""
        with self._lock:
            self.calls[verb] += 1
            fault = self._faults[verb].popleft() if self._faults[verb] else _NO_FAULT
        if fault.wait_for is not None:
            fault.wait_for.wait()
        if fault.error is not None:
            raise fault.error
        return fault

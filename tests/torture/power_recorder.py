"""What a process does to the files of a folder, and the states that a loss of power may leave of it.

Every write, truncation, name and fsync that goes through Python's os module is recorded in order. The model is the
strictest that POSIX allows: what was written to a file counts once that file was synced, a name counts once its folder
was; until then each may be lost, kept, or torn, whatever came after it.
"""

import builtins
import io
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR_BYTES = 512
"""The least that a disk writes whole."""
_PATCHED = (
    *("open", "close", "write", "pwrite", "truncate", "ftruncate", "fsync"),
    *("rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir"),
)


@dataclass(frozen=True, slots=True)
class Named:
    """In folder `node`, `name` leads to `to` from now on, or nowhere; `gone` is the name that it had before."""

    node: int
    name: str
    to: int | None
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """In file `node`, `data` at `offset`; or, without data, cut or extended to `offset`."""

    node: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Synced:
    """File or folder `node` is durable as it is now."""

    node: int


@dataclass(frozen=True, slots=True)
class Marked:
    """Something that the test wants to remember, at its place in time."""

    what: str
    value: Any


Operation = Named | Written | Synced | Marked


@dataclass
class Recording:
    """All operations below one folder, which existed, empty and durable, before. Node 0 is that folder."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    folders: set[int] = field(default_factory=lambda: {0})
    names: dict[Path, int] = field(default_factory=dict)
    """Where every node is now."""
    told: Callable[[], object] = lambda: None
    """Called after every operation."""
    nodes: int = 1
    descriptors: dict[int, tuple[Path, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names[self.root] = 0

    def add(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.told()

    def mark(self, what: str, value: object) -> None:
        self.operations.append(Marked(what, value))

    def make(self, path: Path, folder: bool) -> int:
        node, self.nodes = self.nodes, self.nodes + 1
        if folder:
            self.folders.add(node)
        self.names[path] = node
        self.add(Named(self.names[path.parent], path.name, node))
        return node

    def position(self, count: int) -> "Moment":
        """Everything up to the first `count` operations."""
        return Moment(self, count)


class Moment:
    """One moment of a recording, and what may be left if power is lost then."""

    def __init__(self, recording: Recording, count: int) -> None:
        self.recording = recording
        self._durable: dict[int, bytearray] = {}
        self._entries: dict[int, dict[str, int]] = {}
        self._pending_writes: dict[int, list[Written]] = {}
        self._pending_names: dict[int, list[Named]] = {}
        for operation in recording.operations[:count]:
            match operation:
                case Written():
                    self._pending_writes.setdefault(operation.node, []).append(operation)
                case Named():
                    self._pending_names.setdefault(operation.node, []).append(operation)
                case Synced(node):
                    for write in self._pending_writes.pop(node, []):
                        _apply(self._durable.setdefault(node, bytearray()), write)
                    for name in self._pending_names.pop(node, []):
                        _name(self._entries.setdefault(node, {}), name)

    def leave(self, target: Path, chance: random.Random, mode: str) -> None:
        """Make in `target` what is left: "all" that was done, only what is "durable", or "some" of the rest as well."""
        self._leave(0, target, lambda: mode == "all" or (mode == "some" and chance.random() < 0.5), chance, mode)

    def _leave(self, node: int, target: Path, kept: Callable[[], bool], chance: random.Random, mode: str) -> None:
        if node in self.recording.folders:
            target.mkdir(exist_ok=True)
            entries = dict(self._entries.get(node, {}))
            for name in self._pending_names.get(node, []):
                if kept():
                    _name(entries, name)
            for label, child in entries.items():
                self._leave(child, target / label, kept, chance, mode)
            return
        content = bytearray(self._durable.get(node, b""))
        for write in self._pending_writes.get(node, []):
            if mode == "some" and write.data is not None and chance.random() < 0.3:
                # Sectors reach the disk in any order, if they reach it.
                for start in range(0, len(write.data), SECTOR_BYTES):
                    if kept():
                        data = write.data[start : start + SECTOR_BYTES]
                        _apply(content, Written(node, write.offset + start, data))
            elif kept():
                _apply(content, write)
        target.write_bytes(content)


def _apply(content: bytearray, write: Written) -> None:
    end = write.offset + len(write.data or b"")
    if write.data is None and len(content) > end:
        del content[end:]
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if write.data is not None:
        content[write.offset : end] = write.data


def _name(entries: dict[str, int], operation: Named) -> None:
    entries.pop(operation.gone, None)
    if operation.to is None:
        entries.pop(operation.name, None)
    else:
        entries[operation.name] = operation.to


class _Text:
    """A text file that is written through os, so that it is seen."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(self, text: str) -> int:
        return os.write(self._descriptor, text.encode())

    def __enter__(self) -> "_Text":
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)


@contextmanager
def recorded(recording: Recording) -> Iterator[None]:
    """A block in which everything that this process does below the folder is recorded."""
    real = {name: getattr(os, name) for name in _PATCHED}
    real_open = io.open
    root, names, descriptors = recording.root, recording.names, recording.descriptors
    offsets: dict[int, int] = {}

    def where(path: Any, dir_fd: int | None) -> Path | None:
        if isinstance(path, int):
            return None
        # A folder that was reached from one outside was not recorded as it was opened.
        base = Path.cwd() if dir_fd is None else Path(os.readlink(f"/proc/self/fd/{dir_fd}"))  # noqa: PTH115 (its text)
        found = Path(os.path.normpath(base / os.fspath(path)))
        return found if found == root or root in found.parents else None

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor: int = real["open"](path, flags, mode, dir_fd=dir_fd)
        descriptors.pop(descriptor, None)
        place = where(path, dir_fd)
        if place is not None:
            if place not in names:
                recording.make(place, folder=False)
            elif flags & os.O_TRUNC:
                recording.add(Written(names[place], 0, None))
            descriptors[descriptor] = place, names[place]
            offsets[descriptor] = 0
        return descriptor

    def close(descriptor: int) -> None:
        descriptors.pop(descriptor, None)
        real["close"](descriptor)

    def write(descriptor: int, data: Any) -> int:
        count: int = real["write"](descriptor, data)
        if descriptor in descriptors:
            offset, offsets[descriptor] = offsets[descriptor], offsets[descriptor] + count
            recording.add(Written(descriptors[descriptor][1], offset, bytes(memoryview(data).cast("B")[:count])))
        return count

    def pwrite(descriptor: int, data: Any, offset: int) -> int:
        count: int = real["pwrite"](descriptor, data, offset)
        if descriptor in descriptors:
            recording.add(Written(descriptors[descriptor][1], offset, bytes(memoryview(data).cast("B")[:count])))
        return count

    def truncate(path: Any, length: int) -> None:
        real["truncate"](path, length)
        node = descriptors[path][1] if path in descriptors else names.get(where(path, None) or Path())
        if node is not None:
            recording.add(Written(node, length, None))

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        if descriptor in descriptors:
            recording.add(Synced(descriptors[descriptor][1]))

    def rename(old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        real["rename"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        before, after = where(old, src_dir_fd), where(new, dst_dir_fd)
        if before is not None and after is not None:
            assert before.parent == after.parent
            node = names[after] = names.pop(before)
            recording.add(Named(names[after.parent], after.name, node, before.name))

    def link(
        old: Any,
        new: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        real["link"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)
        before, after = where(old, src_dir_fd), where(new, dst_dir_fd)
        if before is not None and after is not None:
            node = names[after] = names[before]
            recording.add(Named(names[after.parent], after.name, node))

    def gone(verb: str) -> Callable[..., None]:
        def remove(path: Any, *, dir_fd: int | None = None) -> None:
            real[verb](path, dir_fd=dir_fd)
            place = where(path, dir_fd)
            if place is not None:
                names.pop(place, None)
                recording.add(Named(names[place.parent], place.name, None))

        return remove

    def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real["mkdir"](path, mode, dir_fd=dir_fd)
        place = where(path, dir_fd)
        if place is not None:
            recording.make(place, folder=True)

    def text(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        if "w" in mode and "b" not in mode and where(file, None) is not None:
            return _Text(Path(file))
        return real_open(file, mode, *more, **options)

    patches = {
        **{"open": open_, "close": close, "write": write, "pwrite": pwrite, "truncate": truncate},
        **{"ftruncate": truncate, "fsync": fsync, "rename": rename, "replace": rename, "link": link},
        **{"unlink": gone("unlink"), "remove": gone("remove"), "mkdir": mkdir, "rmdir": gone("rmdir")},
    }
    try:
        for name, function in patches.items():
            setattr(os, name, function)
        io.open = builtins.open = text
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        io.open = builtins.open = real_open

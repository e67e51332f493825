"""A folder that fills up, for one process: by a real file system of its own where that may be mounted.

Where it may not, the kernel's limit on the size of a file makes the same writes fail, with another errno.
"""

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

ROOM_BYTES = 400_000
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18


class SmallDisk(Protocol):
    """`words` are in the error that it causes."""

    words: str

    def before(self) -> None:
        """Called in the new process: from here on `folder` is small."""

    def make_room(self, pid: int) -> None:
        """Let that process write again."""


class OwnFileSystem:
    """A tmpfs that only the process sees, partly filled; a file in it is removed to make room."""

    words = "no space left"

    def __init__(self, folder: Path, room_bytes: int = ROOM_BYTES) -> None:
        self._folder = folder
        self._room_bytes = room_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def before(self) -> None:
        user, group = os.geteuid(), os.getegid()
        # Without privileges, a user namespace gives those that a mount needs.
        _check(_LIBC.unshare(_CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER))
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _check(_LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
        self.mount()

    def mount(self) -> None:
        """In a process that has mounts of its own already."""
        size = f"size={4 * self._room_bytes}".encode()
        _check(_LIBC.mount(b"tmpfs", bytes(self._folder), b"tmpfs", 0, size))
        # Where a file system keeps things of its own: a folder with anything else is none of ours.
        (self._folder / "lost+found").mkdir()
        (self._folder / "lost+found" / "filling").write_bytes(bytes(3 * self._room_bytes))

    def make_room(self, pid: int) -> None:
        Path(f"/proc/{pid}/root{self._folder}/lost+found/filling").unlink()

    @classmethod
    def works(cls) -> bool:
        """True if this user may mount one here."""
        code = "from tests.cli.small_disk import *; OwnFileSystem(Path(sys.argv[1])).before()"
        folder = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", code, "/tmp"], cwd=folder, capture_output=True, check=False)
        return done.returncode == 0


class LimitedFiles:
    """No file of the process may grow beyond ROOM_BYTES."""

    words = "File too large"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def before(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def make_room(self, pid: int) -> None:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def kinds() -> list[Callable[[Path], SmallDisk]]:
    """Those that work here; the second always does."""
    return [OwnFileSystem, LimitedFiles] if OwnFileSystem.works() else [LimitedFiles]


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

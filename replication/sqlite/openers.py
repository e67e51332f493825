"""Which other processes have a file open, as far as this machine tells: Linux, through /proc.

A connection that was opened and has not read yet holds no lock, so SQLite does not know it; its descriptor can
be seen here. No file is opened for the answer, for closing one would drop the locks of this process. The answer
is what can be seen and no more: processes of other users are visible only to root.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OPENERS_MAX = 5
"""Processes that are named; one is enough to refuse."""
_PROC = Path("/proc")
_NAME_SIZE_MAX = 60


@dataclass(frozen=True, slots=True)
class Opener:
    """A process and its name."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}, pid {self.pid}"


def openers(path: Path) -> list[Opener]:
    """Other processes that have the file at `path` open; empty where that cannot be known."""
    try:
        wanted = path.stat()
        processes = [entry.name for entry in _PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return []
    found = []
    for process in sorted(processes, key=int):
        if int(process) != os.getpid() and _has_open(process, wanted):
            found.append(Opener(int(process), _name(process)))
            if len(found) == OPENERS_MAX:
                break
    return found


def openers_of_removed(path: Path) -> list[Opener]:
    """Processes that still use a file that was removed from `path` (no link); empty where that cannot be known."""
    gone = f"{path} (deleted)"
    found = []
    with suppress(OSError):
        processes = sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
        for process in processes:
            if process != os.getpid() and gone in _links(process):
                found.append(Opener(process, _name(str(process))))
    return found[:OPENERS_MAX]


def _links(process: int) -> set[str]:
    links = set()
    with suppress(OSError):
        for descriptor in list((_PROC / str(process) / "fd").iterdir()):
            with suppress(OSError):
                links.add(os.readlink(descriptor))  # noqa: PTH115 (a text, whatever it says)
    return links


def _has_open(process: str, wanted: os.stat_result) -> bool:
    with suppress(OSError):
        for descriptor in list((_PROC / process / "fd").iterdir()):
            with suppress(OSError):
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return True
    return False


def _name(process: str) -> str:
    try:
        name = (_PROC / process / "comm").read_text(errors="replace").strip()
    except OSError:
        name = ""
    return name[:_NAME_SIZE_MAX] or "a process"

"""On which file system a path lies, told without touching it: one that hangs would hold up the caller.

By the kernel's list of mounts (proc(5)) as it was first read, and by the path as it is written: a link into another
file system is not followed. It is only for telling apart what may hang together.
"""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system: where it is, and its device as `st_dev` has it."""

    point: str
    device: int


UNKNOWN = Mount("/", 0)
"""What a path is on where nothing is known of mounts."""


def mount_of(path: Path) -> Mount:
    """The file system that `path` is on."""
    return deepest(os.path.abspath(path), _mounts())  # noqa: PTH100 (no link is followed, no file looked at)


def deepest(path: str, mounts: dict[str, Mount]) -> Mount:
    """The one with the longest mount point that `path` is, or is below."""
    above = (mount for point, mount in mounts.items() if path == point or path.startswith(point.rstrip("/") + "/"))
    return max(above, key=lambda mount: len(mount.point), default=UNKNOWN)


def parse(text: str) -> dict[str, Mount]:
    """The file systems in a mountinfo by mount point; of several at one place the last, which hides the others."""
    rows = [row for line in text.splitlines() if len(row := line.split(" ")) > 4]
    mounts = (Mount(_OCTAL.sub(lambda match: chr(int(match[1], 8)), row[4]), _device(row[2])) for row in rows)
    return {mount.point: mount for mount in mounts}


def _device(text: str) -> int:
    major, _, minor = text.partition(":")
    return os.makedev(int(major), int(minor)) if major.isdigit() and minor.isdigit() else 0


@lru_cache(maxsize=1)
def _mounts() -> dict[str, Mount]:
    try:
        return parse(MOUNTINFO.read_text(errors="surrogateescape"))
    except OSError:
        return {}

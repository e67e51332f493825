"""On which file system a path lies, told without touching it: one that hangs would hold up the caller.

By the kernel's list of mounts as it was first read, and by the path as it is written: a link into another file system
is not followed. It is only for telling apart what may hang together.
"""

import os
import re
from functools import lru_cache
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def mount_point(path: Path) -> str:
    """The mount point that `path` is below; "/" where nothing is known of mounts."""
    return longest(os.path.abspath(path), _mounts())  # noqa: PTH100 (no link is followed, no file looked at)


def longest(path: str, mounts: tuple[str, ...]) -> str:
    """The longest of these mount points that `path` is, or is below."""
    above = (mount for mount in mounts if path == mount or path.startswith(mount.rstrip("/") + "/"))
    return max(above, key=len, default="/")


def parse(text: str) -> tuple[str, ...]:
    """The mount points in a mountinfo, as paths."""
    rows = (line.split(" ") for line in text.splitlines())
    return tuple(_OCTAL.sub(lambda match: chr(int(match[1], 8)), row[4]) for row in rows if len(row) > 4)


@lru_cache(maxsize=1)
def _mounts() -> tuple[str, ...]:
    try:
        return parse(MOUNTINFO.read_text(errors="surrogateescape"))
    except OSError:
        return ()

"""Where tests keep their files: in memory where there is room, and on a disk what is about disks.

SQLite and the program wait for a disk at every commit, and the suite makes tens of thousands. Nothing that a test sees
depends on that wait but in the few that are named here.
"""

import os
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES_MIN = 4 << 30
"""What must be free there, and in the machine: the files of all tests at work are far below it."""
ROOT_VARIABLE = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes its folders; who sets it decides."""

ON_DISK = {
    "interchange",
    "test_benchmarks.py",
    "test_disk.py",
    "test_file.py",
    "test_full_disk.py",
    "test_mounts.py",
    "test_output.py",
    "test_sizes.py",
    "test_small_disk.py",
    "test_space.py",
    "test_tutorial.py",
    "test_walkthrough.py",
}
"""Folders and files of tests: free space, large files, durable folders, and how it is for a person."""


def in_memory() -> Path | None:
    """The folder in memory that may be used, or None."""
    try:
        room = os.statvfs(MEMORY)
        meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(meminfo["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return None
    # Tests run programs of their own from there.
    usable = os.access(MEMORY, os.W_OK | os.X_OK) and not room.f_flag & os.ST_NOEXEC
    enough = min(available, room.f_bavail * room.f_frsize) >= ROOM_BYTES_MIN
    return MEMORY if usable and enough else None

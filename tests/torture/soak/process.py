"""What a process and its folders use: memory, descriptors, threads, disk. From /proc, so on Linux only."""

import os
from contextlib import suppress
from pathlib import Path


def measure(pid: int) -> dict[str, float]:
    """Resident memory in MB, descriptors, threads and CPU seconds so far of one process."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return {
        "memory_mb": int(fields["VmRSS"].split()[0]) / 1000,
        "threads": int(fields["Threads"]),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "cpu_seconds": (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
    }


def disk_mb(*roots: Path) -> float:
    """Megabytes in these files and folders, as long as the files are."""
    total = 0
    for root in roots:
        for path in [root, *root.rglob("*")]:
            # Files come and go meanwhile.
            with suppress(FileNotFoundError):
                total += path.stat().st_size if path.is_file() else 0
    return total / 1e6

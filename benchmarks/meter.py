"""What a process uses: CPU seconds, memory, descriptors. From /proc, so on Linux only."""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000
LOOK_SECONDS = 0.01


class Meter:
    """Looks at one running process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        """User and system time so far, in steps of a hundredth."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        return self._status("VmRSS")

    def peak_mb(self) -> float:
        """The most memory it ever had since it was started; that of the process it was forked from does not count."""
        return self._status("VmHWM")

    def descriptors(self) -> int:
        return len(list((self._folder / "fd").iterdir()))

    def _status(self, name: str) -> float:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / MEGABYTE


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ran to its end."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def follow(pid: int, began: float) -> Finished:
    """Wait for the end of a child, looking at its peak: the kernel's own figure includes us, who forked it."""
    meter, ended, peak = Meter(pid), threading.Event(), 0.0

    def look() -> None:
        nonlocal peak
        # A process that has ended has no such line any more.
        with suppress(OSError, StopIteration):
            while not ended.wait(LOOK_SECONDS):
                peak = max(peak, meter.peak_mb())

    thread = threading.Thread(target=look)
    thread.start()
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - began
    ended.set()
    thread.join()
    return Finished(os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, peak)

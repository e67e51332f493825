"""The long run, for some seconds: that it runs at all, and finds nothing. `make soak HOURS=2` is the real one."""

import json
import subprocess
import sys
from pathlib import Path

HOURS = 0.0015
ROOT = Path(__file__).parents[2]


def test_some_seconds_of_the_long_run(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.torture.soak", "--hours", str(HOURS), "--out", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=118)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["failures"] == []
    assert summary["commits"] > 0

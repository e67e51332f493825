"""Folders for what is only looked at: what a killed process left goes, what is in use stays."""

import subprocess
import sys
from pathlib import Path

from replication.restore.scratch import scratch, sweep

_HOLD = """
import sys
from pathlib import Path
from replication.restore.scratch import scratch
with scratch(Path(sys.argv[1]), "validate-") as folder:
    (folder / "restored.db").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_and_what_is_used_is_not(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        left = Path(holder.stdout.readline().strip())
        (tmp_path / "validate-of-a-user").mkdir()
        (tmp_path / "validate-12345678").write_text("no folder")
        sweep(tmp_path, "validate-")
        assert (left / "restored.db").exists()
        holder.kill()
        holder.wait()
        assert left.exists()
        with scratch(tmp_path, "validate-") as mine:
            assert not left.exists()
            assert mine.is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"validate-of-a-user", "validate-12345678"}

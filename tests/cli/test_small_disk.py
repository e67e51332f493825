"""An application that shares a small disk with replication is never told that it is full because of that."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.crowded_disk import SCENARIOS
from tests.cli.small_disk import OwnFileSystem


@pytest.mark.skipif(not OwnFileSystem.works(), reason="no file system may be mounted here")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_promise_6_the_application_s_disk_comes_first(scenario: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.crowded_disk", scenario, str(tmp_path / "disk"), str(tmp_path / "other")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr

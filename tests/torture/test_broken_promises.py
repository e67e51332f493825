"""A test of the tests: with a promise broken on purpose, the suite must fail.

The short form only sees to it that every mutation still fits; `make torture ARGS="-k broken_promise"` breaks each
promise in a copy of the tree, and runs the tests that hold it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.broken import FLOORS, MUTATIONS
from tests.torture.broken.mutation import Mutation
from tests.torture.conftest import Torture

ROOT = Path(__file__).parents[2]
COPIED = ("replication", "tui", "tests", "peers", "pyproject.toml")
RUN_SECONDS_MAX = 600
FAILED = 1
"""What pytest ends with when tests failed, and not when they could not be run."""


def test_each_broken_promise_stands_with_its_floor() -> None:
    for place, mutations in FLOORS.items():
        for mutation in mutations:
            longest = max((floor for floor in FLOORS if mutation.file.startswith(floor)), key=len, default="")
            assert longest == place, f"{mutation.name}: it changes {mutation.file}"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda item: item.name.replace(" ", "-"))
def test_a_broken_promise_is_noticed(mutation: Mutation, torture: Torture, tmp_path: Path) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1, (
        f"{mutation.file} has changed: mend the mutation"
    )
    assert all((ROOT / test).exists() for test in mutation.tests)
    if not torture.long:
        return
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".peers").symlink_to(ROOT / ".peers")
    victim = tmp_path / mutation.file
    victim.write_text(victim.read_text().replace(mutation.old, mutation.new))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TORTURE", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests],
        cwd=tmp_path,
        # The copy, and not the tree that is installed, for the tests and for every program that they start.
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == FAILED, f"it was not caught:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    torture.counts["broken promises noticed"] += 1

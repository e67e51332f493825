"""The import contracts refuse what they are there for: each wall is broken once, in a copy of the sources."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).with_name("lint-imports")

BREACHES = {
    # A module that does not exist yet, what it imports, and the contract that must refuse it.
    "replication/database/breach.py": ("replication.restore.restore", "Imports point down"),
    "replication/database/breach_up.py": ("replication.replica.runner", "Imports point down"),
    "replication/restore/breach.py": ("replication.database.database", "Imports point down"),
    "replication/restore/breach_up.py": ("replication.replica.runner", "Imports point down"),
    "replication/storage/breach.py": ("replication.config", "Imports point down"),
    "replication/database/breach_above.py": ("replication.validation", "Imports point down"),
    "replication/replica/breach.py": ("replication.restore.restore", "Imports point down"),
    "replication/replica/breach_source.py": ("replication.database.database", "Imports point down"),
    "replication/replica/wal03/breach.py": ("replication.database.image", "Imports point down"),
    "replication/restore/breach_local.py": ("replication.database.open_database", "Imports point down"),
    "replication/local/breach.py": ("replication.database.database", "Imports point down"),
    "replication/local/breach_replica.py": ("replication.replica.source", "Imports point down"),
    "replication/engine/breach.py": ("rich.text", "The engine knows no screen"),
    "tui/dashboard/breach.py": ("replication.storage.wal03.names", "Names of objects stay in their layout"),
    "tui/restore/breach.py": ("replication.restore.wal03.catalog", "A layout is read through the table of layouts"),
    "replication/restore/breach_history.py": ("replication.history.moments", "Imports point down"),
    "tui/verbs/breach_moments.py": ("replication.history.wal03.timeline", "Moments are read through one table, too"),
    "tui/detail/breach.py": ("replication.replica.runner", "No screen knows how a replica is laid out"),
    "replication/engine/breach_layout.py": (
        "replication.replica.wal03.sender",
        "A layout is written by who makes a destination",
    ),
    "tui/text/breach.py": ("textual", "Textual only where a screen is drawn"),
    "replication/config/breach.py": ("apsw", "SQLite only in replication.sqlite"),
    "replication/storage/s3/breach.py": ("boto3", "boto3 only in storage.s3.aws"),
    "replication/storage/s3/breach_http.py": ("http.client", "HTTP only in the connections of a kind of store"),
    "replication/monitoring/breach.py": ("prometheus_client", "prometheus_client only in metrics"),
    "replication/events_breach.py": ("yaml", "YAML only in config"),
}


def linted(place: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINTER), "--no-cache", "--config", str(place / "pyproject.toml")]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("walls")
    for package in ("replication", "tui"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("tests", "benchmarks", "peers"):
        (place / package).symlink_to(ROOT / package)
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


@pytest.mark.long
def test_every_contract_refuses_the_import_that_it_is_there_for(copy: Path) -> None:
    for path, (imported, _) in BREACHES.items():
        (copy / path).write_text(f"import {imported}\n")
    run = linted(copy)
    assert run.returncode != 0, run.stdout + run.stderr
    # Each broken contract has a section of its own, with the imports that break it.
    told = " ".join(run.stdout.partition("Broken contracts")[2].split())
    for path, (imported, contract) in BREACHES.items():
        module = path.removesuffix(".py").replace("/", ".")
        section = told.partition(f"{contract} ---")[2]
        assert f"- {module} -> {imported.partition('.')[0]}" in section, f"{path} may import {imported}: {told}"

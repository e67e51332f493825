"""What a command loads before it does anything: most of the time of a short one goes there.

Modules are counted in a process of its own, those that Python has loaded before the program left out.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from replication.storage.file.storage import FileStorage
from replication.storage.memory import MemoryStorage
from tests.restore.history import publish, write_history

_CODE = """
import contextlib, io, json, sys
before = set(sys.modules)
from tui.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(json.dumps([sorted(sys.modules), sorted(set(sys.modules) - before)]))
"""
_SCREEN = {"textual", "rich"}
_STORE = {"boto3", "botocore", "ssl", "http"}
_HEAVY = {*_SCREEN, *_STORE, "numpy", "apsw", "lz4", "yaml", "json", "logging", "importlib.metadata", "inspect"}


def loaded(*arguments: str) -> tuple[set[str], set[str]]:
    """All modules after a command, packages among them by their names, and those that the command added."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    everything, added = json.loads(done.stdout)
    return set(everything), set(added)


@pytest.mark.parametrize(("argument", "modules_max"), [("version", 40), ("--help", 40)])
def test_what_needs_nothing_loads_nothing(argument: str, modules_max: int) -> None:
    everything, added = loaded(argument)
    assert not added & _HEAVY
    assert not everything & (_HEAVY - {"json", "inspect"})
    assert len(added) <= modules_max, sorted(added)


def test_databases_are_listed_without_stores_and_sqlite(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(f"dbs:\n  - path: {tmp_path}/a.db\n    replicas:\n      - path: {tmp_path}/replica\n")
    everything, added = loaded("databases", "-config", str(config))
    assert "yaml" in everything
    assert not everything & {*_SCREEN, *_STORE, "numpy", "apsw"}
    assert len(added) <= 180, sorted(added)


def test_a_restore_from_a_folder_loads_no_screen_and_no_s3(tmp_path: Path) -> None:
    memory, folder = MemoryStorage(), FileStorage(tmp_path / "replica")
    publish(write_history(tmp_path, 4096, [["CREATE TABLE t(a)"]]), memory, noted=True)
    for item in memory.list(""):
        folder.put(item.name, memory.get(item.name))
    everything, added = loaded("restore", "-o", str(tmp_path / "out.db"), f"file://{tmp_path}/replica")
    assert (tmp_path / "out.db").exists()
    assert not everything & {*_SCREEN, *_STORE, "replication.storage.s3.storage", "replication.engine"}
    assert len(added) <= 376, sorted(added)

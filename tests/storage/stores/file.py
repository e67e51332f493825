"""Folders."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from replication.storage.file.storage import FileStorage
from tests.storage.stores import StoreMaker


def _folder(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> StoreMaker:
    return lambda: FileStorage(folder / "made" / "by" / "put")


STORES = {"file": _folder}

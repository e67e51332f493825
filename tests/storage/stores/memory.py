"""The test double of every store."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from replication.storage.memory import MemoryStorage
from tests.storage.stores import StoreMaker


def _memory(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> StoreMaker:
    memory = MemoryStorage()
    return lambda: memory


STORES = {"memory": _memory}

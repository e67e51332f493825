"""The bench of the database tests: a database in the middle of being replicated, driven step by step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replica.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.database.sync()
    yield bench
    bench.close()

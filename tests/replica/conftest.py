"""The bench of the replica tests."""

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

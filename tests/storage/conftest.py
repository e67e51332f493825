"""One contract, every back end: `store` is an empty store of each kind in turn, `make_store` makes more."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replication.storage.base import Storage
from replication.storage.file.storage import FileStorage
from replication.storage.memory import MemoryStorage
from replication.storage.s3.storage import S3Storage

SMALL_PAGE_OBJECTS = 7
"""So small that a listing of few objects takes several pages."""

StoreMaker = Callable[[], Storage]


@pytest.fixture(params=["file", "memory", "s3-weed", "s3-juicefs"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreMaker]:
    """A function that opens the same empty store anew with each call."""
    kind: str = request.param
    memory = MemoryStorage()
    with ExitStack() as stack:
        if kind == "file":
            make: StoreMaker = lambda: FileStorage(tmp_path / "made" / "by" / "put")  # noqa: E731
        elif kind == "memory":
            make = lambda: memory  # noqa: E731
        else:
            location = request.getfixturevalue(kind.removeprefix("s3-")).location()

            def make() -> Storage:
                return stack.enter_context(closing(S3Storage(location, page_objects=SMALL_PAGE_OBJECTS)))

        yield make


@pytest.fixture
def store(make_store: StoreMaker) -> Storage:
    """An empty store."""
    return make_store()

"""One contract, every back end: `store` is an empty store of each kind in turn, `make_store` makes more."""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from replication.storage.base import Storage
from tests.storage.stores import StoreMaker, StoreOpener

STORES: dict[str, StoreOpener] = {
    name: opener
    for path in sorted((Path(__file__).parent / "stores").glob("[a-z]*.py"))
    for name, opener in import_module(f"tests.storage.stores.{path.stem}").STORES.items()
}
"""Each kind that has a module in tests/storage/stores/ is run over; test_kinds.py sees that all have."""


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreMaker]:
    """A function that opens the same empty store anew with each call."""
    with ExitStack() as stack:
        yield STORES[request.param](request, tmp_path, stack)


@pytest.fixture
def store(make_store: StoreMaker) -> Storage:
    """An empty store."""
    return make_store()

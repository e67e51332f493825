"""Buckets of two servers that keep objects in very different ways."""

from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replication.storage.s3.storage import S3Storage
from tests.storage.stores import SMALL_PAGE_OBJECTS, StoreMaker, StoreOpener


def _of(server: str) -> StoreOpener:
    def opener(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> StoreMaker:
        location = request.getfixturevalue(server).location()
        return lambda: stack.enter_context(closing(S3Storage(location, page_objects=SMALL_PAGE_OBJECTS)))

    return opener


STORES = {"s3-weed": _of("weed"), "s3-juicefs": _of("juicefs")}

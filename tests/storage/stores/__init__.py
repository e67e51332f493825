"""Empty stores to run the contract over: a module for each kind, named as the kind is.

Each has STORES, by name: a function that gets pytest's request, an empty folder and an ExitStack, and returns one
that opens the same empty store anew with each call. What it starts ends with the stack.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from replication.storage.base import Storage

StoreMaker = Callable[[], Storage]
StoreOpener = Callable[[pytest.FixtureRequest, Path, ExitStack], StoreMaker]

SMALL_PAGE_OBJECTS = 7
"""So small that a listing of few objects takes several pages."""

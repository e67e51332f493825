"""The faults of the test double."""

import threading
from datetime import UTC, datetime

import pytest

from replication.errors import AccessDeniedError, StorageError
from replication.storage.memory import MemoryStorage


def test_the_next_calls_fail_and_then_no_more() -> None:
    store = MemoryStorage()
    store.fail("put", AccessDeniedError("no"), times=2)
    for _ in range(2):
        with pytest.raises(AccessDeniedError, match="no"):
            store.put("a", [b""])
    store.put("a", [b"x"])
    assert store.calls["put"] == 3
    assert store.names() == ["a"]


def test_a_lost_acknowledgement_stores_all_the_same() -> None:
    store = MemoryStorage()
    store.lose_acknowledgement()
    with pytest.raises(StorageError):
        store.put("a", [b"x"])
    assert store.read("a") == b"x"


def test_a_cut_body_breaks_off_with_an_error() -> None:
    store = MemoryStorage()
    store.put("a", [b"0123456789"])
    store.cut(4)
    pieces = store.get("a")
    assert next(pieces) == b"0123"
    with pytest.raises(StorageError, match="4 of 10 bytes of a"):
        next(pieces)
    assert b"".join(store.get("a")) == b"0123456789"


def test_a_hanging_call_waits_and_holds_up_nobody_else() -> None:
    store = MemoryStorage()
    go = threading.Event()
    store.hang("put", go)
    waiting = threading.Thread(target=store.put, args=("slow", [b""]))
    waiting.start()
    while store.calls["put"] == 0:
        go.wait(0.001)
    store.put("quick", [b""])
    assert store.names() == ["quick"]
    go.set()
    waiting.join()
    assert store.names() == ["quick", "slow"]


def test_the_clock_can_be_set() -> None:
    store = MemoryStorage(clock=lambda: datetime(2001, 2, 3, tzinfo=UTC))
    store.put("a", [b""])
    store.replace("b", b"", datetime(2002, 2, 3, tzinfo=UTC))
    assert [item.modified.year for item in store.list("")] == [2001, 2002]


def test_a_delete_that_is_refused_names_the_object() -> None:
    store = MemoryStorage()
    store.put("a", [b""])
    store.put("b", [b""])
    store.refused.add("a")
    with pytest.raises(StorageError, match="did not remove a"):
        store.delete(["a", "b"])
    assert store.names() == ["a"]
    store.clear_faults()
    store.delete(["a"])
    assert store.names() == []

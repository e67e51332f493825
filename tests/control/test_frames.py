"""What goes over a line: messages in pieces, compressed together, and documents as what changed in them."""

import json
import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.control.differences import difference, patched
from replication.control.frames import PIECE_BYTES, FrameError, Receiver, Sender, packed, unpacked
from replication.wire import WireError

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


def written(*messages: tuple[int, bytes]) -> bytes:
    """What a sender writes that has all of these from the start."""
    made = bytearray()
    sender = Sender(lambda data: made.extend(data))
    sent = [sender.add(id, message) for id, message in messages]
    sending = threading.Thread(target=sender.run)
    sending.start()
    while any(item.rest or not item.size for item in sent):
        threading.Event().wait(0.001)
    sender.close()
    sending.join()
    assert sender.size == len(made) == sum(item.size for item in sent)
    return bytes(made)


@given(_PLAIN, _PLAIN)
def test_a_patch_makes_the_new_document_of_the_old_one(old: Any, new: Any) -> None:
    patch = json.loads(json.dumps(difference(old, new)))
    # As JSON, to which True is not 1.
    assert json.dumps(patched(old, patch), sort_keys=True) == json.dumps(new, sort_keys=True)
    assert difference(new, new) is None


@given(_PLAIN, _PLAIN)
def test_a_patch_of_something_else_is_refused_or_makes_a_document(old: Any, patch: Any) -> None:
    with suppress(WireError):
        json.dumps(patched(old, patch))


@given(st.lists(st.binary(max_size=3 * PIECE_BYTES), max_size=4), st.integers(1, 5000))
def test_messages_arrive_whole_however_the_line_cuts_them(messages: list[bytes], cut: int) -> None:
    data = written(*enumerate(messages))
    receiver, came = Receiver(), []
    for start in range(0, len(data), cut):
        came += receiver.feed(data[start : start + cut])
    assert sorted(came) == list(enumerate(messages))


def test_a_short_message_does_not_wait_for_a_long_one() -> None:
    came = Receiver().feed(written((1, bytes(20 * PIECE_BYTES)), (2, b"short")))
    assert [id for id, _ in came] == [2, 1]


def test_what_was_said_before_is_not_said_again() -> None:
    words = bytes(range(256)) * 8
    assert len(written((1, words), (2, words))) < len(written((1, words))) + 40


@given(st.binary(max_size=200))
def test_bytes_by_chance_are_no_message(data: bytes) -> None:
    receiver = Receiver(1000)
    with suppress(FrameError):
        for _, message in receiver.feed(data):
            unpacked(message)


def test_what_is_longer_than_ours_is_refused() -> None:
    with pytest.raises(FrameError, match="longer"):
        Receiver(100).feed(written((1, bytes(101))))
    bomb = written((1, bytes(PIECE_BYTES)), (2, bytes(PIECE_BYTES)))
    one = Receiver()
    assert len(one.feed(bomb)) == 2
    # Two pieces said to be one.
    first = int.from_bytes(bomb[2:4], "big") & 0x7FFF
    second = bomb[4 + first :]
    body = bomb[4 : 4 + first] + b"\x00\x00\xff\xff" + second[4:]
    with pytest.raises(FrameError, match="longer"):
        Receiver().feed(bytes([0, 1]) + (len(body) | 0x8000).to_bytes(2, "big") + body)


def test_a_message_says_what_it_is() -> None:
    assert unpacked(packed({"ask": 1}, b"\n\x00")) == ({"ask": 1}, b"\n\x00")
    with pytest.raises(FrameError):
        unpacked(b"[]")

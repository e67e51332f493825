"""What of a database file is its content: the pages that SQLite counts."""

import struct
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from replication.sqlite.content import digest


def database(pages: int, counted: int, changes: int = 7, valid_for: int = 7, page_size: int = 512) -> bytes:
    """Pages that differ, behind a header that counts so many."""
    head = bytearray(b"SQLite format 3\0" + struct.pack(">H", page_size) + bytes(82))
    head[24:28], head[28:32] = struct.pack(">I", changes), struct.pack(">I", counted)
    head[92:96] = struct.pack(">I", valid_for)
    body = b"".join(bytes([number % 251]) * page_size for number in range(pages))
    return bytes(head) + body[100:]


def in_pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(st.integers(1, 9), st.integers(0, 3), st.binary(max_size=511), st.integers(100, 3000), st.integers(0, 500))
def test_what_lies_beyond_is_passed_over_and_nothing_else(
    counted: int, more: int, tail: bytes, size: int, at: int
) -> None:
    data = database(counted, counted)
    longer = database(counted + more, counted) + tail
    assert digest(in_pieces(longer, size)) == digest([data])
    inside = 100 + at % (len(data) - 100)
    other = bytearray(longer)
    other[inside] ^= 1
    assert digest(in_pieces(bytes(other), size)) != digest([data])


def test_where_the_header_does_not_count_the_file_does() -> None:
    """As after a version before 3.7.0: its count is not valid for this change counter."""
    assert digest([database(3, 2, valid_for=6)]) != digest([database(2, 2, valid_for=6)])
    assert digest([database(3, 0)]) != digest([database(2, 0)])


def test_what_is_missing_of_the_last_page_is_zeros() -> None:
    for counted in (0, 3):
        short = database(2, counted) + b"x" * 100
        assert digest([short]) == digest([short + bytes(412)])
        assert digest([short]) != digest([short + bytes(411) + b"y"])


def test_a_header_that_counts_more_than_there_is_makes_no_difference_equal() -> None:
    assert digest([database(3, 9)]) != digest([database(2, 9)])


def test_what_is_no_database_is_compared_as_it_is() -> None:
    assert digest([b"abc"]) == digest([b"abc"]) != digest([b"abcd"])
    assert digest([]) != digest([b"a"])

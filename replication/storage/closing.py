"""A stream that is left before its end is closed, so that its connection is let go of at once."""

from collections.abc import Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")


def closing_iterator(chunks: Iterator[T]) -> "closing[_Closable[T]]":
    """A context that closes a generator of chunks, so that its connection is let go of at once."""
    return closing(_Closable(chunks))


class _Closable(Generic[T]):
    """An iterator that can always be closed, whether or not it is a generator."""

    def __init__(self, chunks: Iterator[T]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[T]:
        return self._chunks

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

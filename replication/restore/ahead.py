"""Pieces made in a thread of their own while the caller writes those before them.

Its promise: they come in their order, at most `depth` of them wait, and what their maker raises is raised to the
caller in its place. Who leaves before the end waits for nobody: the maker ends at its next piece.
"""

import threading
from collections.abc import Generator
from queue import Queue
from typing import TypeVar

_T = TypeVar("_T")


def ahead(pieces: Generator[_T, None, None], depth: int) -> Generator[_T, None, None]:
    """Yield the pieces, which nothing else may take from."""
    waiting: Queue[_T | _End] = Queue(depth)
    left = threading.Event()

    def make() -> None:
        try:
            for piece in pieces:
                waiting.put(piece)
                if left.is_set():
                    return
            end = _End(None)
        except BaseException as error:
            end = _End(error)
        finally:
            pieces.close()
        waiting.put(end)

    threading.Thread(target=make, name="restore-ahead", daemon=True).start()
    try:
        while not isinstance(piece := waiting.get(), _End):
            yield piece
        if piece.error is not None:
            raise piece.error
    finally:
        left.set()
        # Make room for the piece with which the maker may be waiting.
        while not waiting.empty():
            waiting.get_nowait()


class _End:
    """What the maker puts last: the error that it raised, if it did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

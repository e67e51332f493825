"""Commits that are looked for in what gets stored, told by bytes that nobody else writes.

Its promise: a commit counts as stored at the moment when an object or file that holds its bytes was complete, whatever
the layout. Random bytes stand in an LZ4 block as they are, so they are found without knowing any format; the ends of a
token are left out of the search, since they may match something by chance and be stored as a reference.
"""

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

TOKEN_BYTES = 24
END_BYTES = 4
"""Left out of the search at each end of a token."""
OVERLAP_BYTES = TOKEN_BYTES - 2 * END_BYTES - 1
"""Of a piece, kept for the search in the next: a token may lie across both."""
PIECE_BYTES = 1 << 20
"""Of a file, read at a time."""
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Token:
    """What one commit writes into database number `database`."""

    database: int
    content: bytes

    @property
    def core(self) -> bytes:
        return self.content[END_BYTES:-END_BYTES]


def token(database: int, name: object) -> Token:
    """Always the same for the same database and name."""
    content = hashlib.blake2b(f"{database} {name}".encode(), digest_size=TOKEN_BYTES).digest()
    return Token(database, content)


class Sought:
    """Thread-safe: stores report what arrives, a measurement waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted: dict[int, set[Token]] = defaultdict(set)
        self._seconds: dict[Token, float] = {}

    def expect(self, tokens: Iterable[Token]) -> None:
        """Look for these from now on; call it before they are committed."""
        with self._changed:
            for one in tokens:
                self._wanted[one.database].add(one)

    def wanted(self, database: int) -> tuple[Token, ...]:
        """What is looked for in objects of this database."""
        with self._changed:
            return tuple(self._wanted.get(database, ()))

    def arrived(self, tokens: Iterable[Token], at: float) -> None:
        """These were stored at that moment of `time.monotonic()`."""
        with self._changed:
            for one in tokens:
                self._wanted[one.database].discard(one)
                self._seconds.setdefault(one, at)
            self._changed.notify_all()

    def moment(self, one: Token) -> float | None:
        """When it was stored, or None."""
        with self._changed:
            return self._seconds.get(one)

    def wait(self, tokens: Iterable[Token], seconds_max: float, check: Callable[[], None]) -> bool:
        """True when all are stored; false after so long. `check` is called now and then, and may raise."""
        end, waiting = time.monotonic() + seconds_max, set(tokens)
        while True:
            with self._changed:
                waiting -= self._seconds.keys()
                if not waiting:
                    return True
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, POLL_SECONDS))
            check()


class Search:
    """One object that arrives piece by piece; `found` is what was seen in it."""

    def __init__(self, wanted: tuple[Token, ...]) -> None:
        self._wanted = wanted
        self._rest = b""
        self.found: set[Token] = set()

    def feed(self, piece: bytes) -> None:
        if self._wanted:
            whole = self._rest + piece
            self.found.update(one for one in self._wanted if one.core in whole)
            self._rest = whole[-OVERLAP_BYTES:]

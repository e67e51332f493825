"""Every state that was ever committed, by its hash, and which one each came after.

Where a database is cloned there are two sides: each has a line of states of its own, and they share what was before.
"""

import hashlib
from collections.abc import Iterator


class Oracle:
    """One line of states. `states` are their hashes in order; the numbers are those of all lines together."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self._line: list[int] = []
        self._members: set[int] = set()
        self._numbers: dict[str, int] = {}
        """Of all lines."""
        self._before: list[int] = []
        """Of all lines: the state before each, -1 for none."""
        self._by_another_name: set[int] = set()
        """Of all lines: commits that came into the file from another WAL than that of its name."""

    def fork(self, at: int | None = None) -> "Oracle":
        """A second line, which has been the same until now, or as it was at a state of any line."""
        made = Oracle()
        made._line = [*self._line] if at is None else [*reversed([at, *self.earlier(at)])]
        hashes = {number: sha256 for sha256, number in self._numbers.items()}
        made.states, made._members = [hashes[number] for number in made._line], {*made._line}
        made._numbers, made._before, made._by_another_name = self._numbers, self._before, self._by_another_name
        return made

    @property
    def last(self) -> int:
        """The number of the newest state of this line."""
        return self._line[-1]

    def __contains__(self, number: object) -> bool:
        return number in self._members

    def add(self, sha256: str, by_another_name: bool = False) -> None:
        """A commit, unless it changed nothing."""
        if self.states[-1:] != [sha256]:
            before = self._line[-1] if self._line else -1
            # Two sides may do the same with the same, as to delete all rows.
            alike = self._before[self._numbers[sha256]] == before if sha256 in self._numbers else True
            assert alike, "two states are alike, so that the oracle cannot tell them apart"
            number = self._numbers.setdefault(sha256, len(self._before))
            if number == len(self._before):
                self._before.append(before)
            self._by_another_name |= {number} if by_another_name else set()
            self.states.append(sha256)
            self._line.append(number)
            self._members.add(number)

    def number(self, content: bytes | bytearray) -> int:
        """Which state this is, of any line; -1 if there never was such a one."""
        return self._numbers.get(hashlib.sha256(content).hexdigest(), -1)

    def between(self, early: int, late: int) -> int | None:
        """How many commits by another name are between two states; None if `late` does not come right after those.

        They are in no WAL that is followed. If a commit by our name changed the same pages again, and all of that was
        copied back before anybody looked, nothing is left in the file by which one of them could be told.
        """
        for count, number in enumerate(self.earlier(late)):
            if number == early:
                return count
            if number not in self._by_another_name:
                break
        return None

    def earlier(self, number: int) -> Iterator[int]:
        """All states from which this one came."""
        while (number := self._before[number]) >= 0:
            yield number

"""Whether anything may be done at a replica now: what it asks of the lifecycle of its database."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Permit(Protocol):
    """Asked at the beginning of everything that a replica does, and again while it goes on."""

    def working(self) -> AbstractContextManager[None]:
        """A block of work, which is waited for before another program may write here.

        Raises PausedError if none may begin.
        """

    def check(self) -> None:
        """Raise PausedError if what is under way is to be broken off."""


class Always:
    """The permit of a replica that is never paused."""

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()

    def check(self) -> None:
        pass

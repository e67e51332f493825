"""A part of a transaction that is undone alone. What it raises undoes it, unless a trigger has undone everything."""

from types import TracebackType

import apsw


class Savepoint:
    """A block on a connection that is in a transaction. Blocks lie within one another."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("SAVEPOINT part")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._connection.execute("RELEASE part")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")

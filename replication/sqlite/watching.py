"""What SQLite does besides the statement that it is given: triggers that run, and rows that they write."""

from collections import Counter
from typing import Any

import apsw

from replication.sqlite.brought import SideEffect, TriggerRun

_PREFIX = "TRIGGER "
_ONE_FOR_EACH = ("docsize", "content", "rowid")
"""Tables in which full-text and R-tree tables keep what they hold, one row for each of theirs; the first there is."""


class Watch:
    """Counts on one connection. What a statement did that failed is forgotten."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        found = list(connection.execute("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'"))
        self._sql = {str(name): str(sql) for name, sql in found}
        self._asked: list[str] = []
        """Triggers that began, and did nothing yet: a condition may keep them from it."""
        self._runs: Counter[str] = Counter()
        self._writes: Counter[tuple[str, str]] = Counter()
        self._new_runs: Counter[str] = Counter()
        self._new_writes: Counter[tuple[str, str]] = Counter()
        self._gone: set[str] = set()
        """Tables of which the last statement itself deleted a row: to insert another, for it deletes none."""
        self._virtual = _virtual(connection)
        self.target = ""
        """The table that the statements write to; what they write to others is an effect."""
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, self._traced)
        connection.preupdate_hook(self._changed)

    def close(self) -> None:
        """Count no more."""
        self._connection.trace_v2(0, None)
        self._connection.preupdate_hook(None)

    def keep(self) -> None:
        """The last statement did what it did."""
        self._gone.clear()
        if self._new_runs or self._new_writes:
            self._runs.update(self._new_runs)
            self._writes.update(self._new_writes)
            self.forget()

    def forget(self) -> None:
        """The last statement failed."""
        self._asked.clear()
        self._gone.clear()
        self._new_runs.clear()
        self._new_writes.clear()

    @property
    def wrote(self) -> bool:
        """True if a trigger wrote something during the last statement."""
        return bool(self._new_writes)

    def made_room(self, table: str) -> bool:
        """True if a row of the table went for the one that the last statement wrote."""
        return table in self._gone

    @property
    def triggers(self) -> tuple[TriggerRun, ...]:
        """How often each trigger ran."""
        return tuple(TriggerRun(name, count) for name, count in sorted(self._runs.items()))

    @property
    def effects(self) -> tuple[SideEffect, ...]:
        """Rows that SQLite wrote besides those of the statements, by table."""
        tables = sorted({table for table, _ in self._writes})
        return tuple(
            SideEffect(table, *(self._writes[table, op] for op in ("INSERT", "UPDATE", "DELETE"))) for table in tables
        )

    def _traced(self, event: dict[str, Any]) -> None:
        if not event["trigger"]:
            self._asked.clear()
            return
        words = str(event["sql"])
        if words.startswith(_PREFIX):
            self._asked.append(words.removeprefix(_PREFIX))
        elif self._asked:
            # The innermost that has this step; those inside it that do not have it did nothing.
            while self._asked:
                name = self._asked[-1]
                if words.strip() in self._sql.get(name, ""):
                    break
                self._asked.pop()
            if self._asked:
                self._new_runs[self._asked.pop()] += 1

    def _changed(self, change: apsw.PreUpdate) -> None:
        if change.database_name != "main":
            return
        if change.depth > 0:
            self._new_writes[change.table_name, change.op] += 1
            return
        # What a virtual table writes, it writes by statements of its own, and no trigger is known to be around them.
        virtual = self._virtual.get(change.table_name, self.target)
        if virtual != self.target:
            self._new_writes[virtual, change.op] += 1
        elif change.op == "DELETE":
            self._gone.add(change.table_name)


def _virtual(connection: apsw.Connection) -> dict[str, str]:
    """Virtual tables, by the name of the table that has a row for each of theirs."""
    found = list(connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'"))
    kept = {str(name) for name, kind in found if kind == "shadow"}
    names: dict[str, str] = {}
    for table in (str(name) for name, kind in found if kind == "virtual"):
        its = [name for suffix in _ONE_FOR_EACH if (name := f"{table}_{suffix}") in kept]
        names |= dict.fromkeys(its[:1], table)
    return names

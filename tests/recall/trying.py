"""Rows brought back from a database file of then into one of now, as the program does it, without a replica between."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replication.recall.recall import Brought, Live, Preview, Recall, open_recall
from replication.recall.staging import encoding_at, stage_picked
from replication.recall.wanted import Pick, Wanted
from replication.sqlite.brought import OnConflict, Report, TableReport
from tests.foreign import Shell

NEVER = threading.Event()


@dataclass(frozen=True, slots=True)
class Frozen:
    """The pages of a file that nobody has open."""

    content: bytes

    @property
    def page_size(self) -> int:
        size = int.from_bytes(self.content[16:18], "big")
        return 65536 if size == 1 else size

    @property
    def pages(self) -> int:
        return len(self.content) // self.page_size

    def page(self, number: int) -> bytes:
        return self.content[(number - 1) * self.page_size : number * self.page_size]


class Loss:
    """A database as it was, and the live one. Scripts run in processes of their own."""

    def __init__(self, folder: Path, then: str, since: str = "") -> None:
        Shell(folder / "was.db").run(then)
        Shell(folder / "live.db").run(f"PRAGMA journal_mode=WAL;{then};{since}")
        self.take(folder)

    def take(self, folder: Path) -> None:
        """Those that are there."""
        self.was, self.live = Shell(folder / "was.db"), Shell(folder / "live.db")
        self.moment = Frozen(self.was.path.read_bytes())

    @contextmanager
    def recall(self, *picks: Pick | str, on_conflict: OnConflict = "skip") -> Iterator[Recall]:
        """The rows, staged: those of these tables."""
        wanted = Wanted(tuple(Pick(pick) if isinstance(pick, str) else pick for pick in picks))
        recall = open_recall(
            encoding_at(self.moment, NEVER),
            lambda stage: stage_picked(self.moment, wanted, stage, NEVER),
            Live(self.live.path),
            on_conflict,
        )
        try:
            yield recall
        finally:
            recall.close()

    def preview(self, *picks: Pick | str, on_conflict: OnConflict = "skip") -> Preview:
        """What would happen, which changes nothing."""
        before = self.sha()
        with self.recall(*picks, on_conflict=on_conflict) as recall:
            preview = recall.preview(NEVER)
        assert self.sha() == before
        return preview

    def bring_back(self, *picks: Pick | str, on_conflict: OnConflict = "skip") -> Report:
        """What happened; it is what the preview said."""
        with self.recall(*picks, on_conflict=on_conflict) as recall:
            before = self.sha()
            preview = recall.preview(NEVER)
            assert self.sha() == before
            brought: Brought = recall.apply(NEVER)
        assert brought.is_as_previewed, (preview.report, brought.report)
        return brought.report

    def sha(self) -> str:
        """Of the live database."""
        with self.live.open() as connection:
            return connection.sha256()

    def rows(self, sql: str) -> list[list[Any]]:
        """Of the live database."""
        return self.live.rows(sql)


def only(report: Report) -> TableReport:
    """The one table of a report."""
    [table] = report.tables
    return table

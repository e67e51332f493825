"""Which rows are to be brought back: of one moment, in words as a command line or a screen has them."""

from dataclasses import dataclass

from replication.errors import UsageError


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows of one table: all, those of which `where` is true, or the one with this key, as `find -row` takes it."""

    table: str
    where: str = ""
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows that are picked; with `is_lost`, only those that a later moment lacks, of all tables if none is picked."""

    picks: tuple[Pick, ...]
    is_lost: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not self.picks and not self.is_lost:
            raise UsageError(
                "what is to be brought back? Name a table with -table, a row with -row, or a second moment"
            )
        if self.is_lost and any(pick.where or pick.key is not None for pick in self.picks):
            raise UsageError("-where and -row pick rows of one moment: leave out the second one")
        for pick in self.picks:
            others = [item for item in self.picks if item.table.lower() == pick.table.lower()]
            if len(others) > 1 and any(item.key is None for item in others):
                raise UsageError(f"{pick.table} is named twice; name it once, or several rows of it")

    @property
    def by_table(self) -> list[tuple[str, tuple[Pick, ...]]]:
        """The picks of each table, in their order."""
        found: dict[str, list[Pick]] = {}
        for pick in self.picks:
            found.setdefault(pick.table.lower(), []).append(pick)
        return [(picks[0].table, tuple(picks)) for picks in found.values()]

"""By chance, against SQLite: all or nothing, the preview was true, no row of now goes, and what did not come cannot."""

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from replication.errors import BringBackError
from replication.sqlite.brought import NAMED_MAX, OnConflict, Report
from tests.foreign import ForeignConnection, ForeignError
from tests.recall import world
from tests.recall.trying import Loss

SHORT = range(24)
LONG = range(24, 700)
MODES: tuple[OnConflict, ...] = ("skip", "replace", "abort")

Rows = dict[str, Counter[tuple[str, ...]]]


def _rows(connection: ForeignConnection, columns: dict[str, list[str]]) -> Rows:
    return {table: Counter(world.rows_of(connection, table, names)) for table, names in columns.items() if names}


def _made(folder: Path, chance: random.Random) -> Loss:
    """A database and what became of it; a script that SQLite refuses is made anew."""
    for number in range(50):
        part = folder / str(number)
        part.mkdir()
        try:
            return Loss(part, world.then(chance), world.since(chance))
        except ForeignError:
            continue
    raise AssertionError("SQLite refuses them all")


def brought_back(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    loss = _made(folder, chance)
    mode = MODES[seed % len(MODES)]
    tables = chance.sample(list(world.TABLES), chance.randint(1, len(world.TABLES)))
    with loss.was.open() as was, loss.live.open() as live:
        columns = {table: world.columns_of(live, table) for table in [*world.TABLES, "log"]}
        common = {
            table: [name for name in world.columns_of(was, table) if name in (columns[table] or [name])]
            for table in tables
        }
        old, before, sha = _rows(was, common), _rows(live, columns), live.sha256()
        violations = _orphans(live)
        try:
            report = loss.bring_back(*tables, on_conflict=mode)
        except BringBackError:
            assert live.sha256() == sha
            # Nothing else stops it.
            assert mode == "abort"
            return
        assert live.execute("PRAGMA integrity_check") == [["ok"]]
        assert not _orphans(live) - violations
        _check(report, old, common, before, live, columns, mode)


def _check(
    report: Report,
    old: Rows,
    common: dict[str, list[str]],
    before: Rows,
    live: ForeignConnection,
    columns: dict[str, list[str]],
    mode: OnConflict,
) -> None:
    effects = {effect.table: effect for effect in report.effects}
    for table in report.tables:
        name = table.table
        if table.refusal:
            assert mode != "abort"
            continue
        total = table.inserted + table.updated + table.same + table.skipped + table.refused
        assert total == old[name].total() == table.rows
        if mode == "abort":
            assert not table.skipped + table.refused
        names = columns[name] or world.columns_of(live, name)
        after = Counter(world.rows_of(live, name, names))
        was = before.get(name, Counter())
        more = effects.get(name)
        changed = table.updated + (more.updated if more is not None else 0)
        went, came = was - after, after - was
        # What was there stays, but for what gives way to the row with its key.
        assert went.total() <= changed
        assert came.total() - went.total() == table.inserted
        assert after.total() == was.total() + table.inserted
        # What came is what was lost.
        places = [names.index(item) for item in common[name]]
        assert not Counter(tuple(row[place] for place in places) for row in came.elements()) - old[name] or changed
        there = Counter(tuple(row[place] for place in places) for row in after.elements())
        assert (old[name] - there).total() <= table.skipped + table.refused
        _check_cannot_come(
            table.table, [row.key for row in (*table.skipped_rows, *table.refused_rows)], old, common, live
        )
        assert table.skipped <= NAMED_MAX
        assert table.refused <= NAMED_MAX


def _check_cannot_come(
    table: str, keys: list[str], old: Rows, common: dict[str, list[str]], live: ForeignConnection
) -> None:
    """SQLite refuses, or passes over, each row that did not come."""
    key = world.TABLES[table]
    if not key or not keys:
        return
    names = common[table]
    live.execute("PRAGMA foreign_keys=ON")
    rows = {", ".join(_text(row[names.index(item)]) for item in key): row for row in old[table]}
    for shown in keys:
        row = rows.get(shown)
        if row is None:
            # Its key is another one now, and told by it.
            continue
        values = ", ".join(_literal(item) for item in row)
        live.execute("BEGIN")
        failing = _orphans(live)
        with suppress(ForeignError):
            live.execute(f"INSERT INTO {table}({', '.join(names)}) VALUES({values})")
            # Where foreign keys failed before, SQLite may miscount them.
            is_orphan = bool(_orphans(live) - failing)
            assert is_orphan or live.execute("SELECT changes()") == [[0]], f"{table} could have {row}"
        with suppress(ForeignError):
            live.execute("ROLLBACK")
    live.execute("PRAGMA foreign_keys=OFF")


def _orphans(live: ForeignConnection) -> Counter[str]:
    return Counter(map(str, live.execute("PRAGMA foreign_key_check")))


def _text(cell: str) -> str:
    return bytes.fromhex(cell.split(" ")[1]).decode("utf-8", "replace")


def _literal(cell: str | None) -> str:
    if cell is None or cell.startswith("null"):
        return "NULL"
    kind, data = cell.split(" ")
    affinity = {"text": "TEXT", "integer": "INTEGER", "real": "REAL"}.get(kind)
    return f"CAST(x'{data}' AS {affinity})" if affinity else f"x'{data}'"


@pytest.mark.parametrize("first", SHORT[::6])
def test_promise_4_rows_come_back_as_one_and_the_preview_was_true(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        brought_back(folder, seed)


@pytest.mark.explores
@pytest.mark.parametrize("first", LONG[::50])
def test_promise_4_the_same_with_other_numbers(tmp_path: Path, first: int) -> None:
    for seed in range(first, min(LONG[-1], first + 50)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        brought_back(folder, seed)

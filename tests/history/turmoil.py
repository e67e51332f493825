"""Histories that do to tables what can be done to them: for who compares any two moments of one."""

import random
from pathlib import Path

from tests.restore.history import Commit, History, write_history

_MADE = (
    "CREATE TABLE ids(id INTEGER PRIMARY KEY, a, b REAL, c AS (a || 'x'), d TEXT AS (upper(a)) STORED)",
    "CREATE TABLE names(name TEXT PRIMARY KEY COLLATE NOCASE, a, b); CREATE INDEX names_a ON names(a)",
    "CREATE TABLE heap(a, b)",
    "CREATE TABLE pairs(a TEXT, b INTEGER, c, PRIMARY KEY(b DESC, a COLLATE NOCASE)) WITHOUT ROWID",
    "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
    "CREATE VIRTUAL TABLE texts USING fts5(a, b)",
    "CREATE TABLE longs(id INTEGER PRIMARY KEY, a BLOB); CREATE TABLE wide(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
)
_ROWS = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n)"
VALUES = (
    "NULL",
    "-0.0",
    "0.0",
    "1",
    "1.0",
    "9e999",
    "x'00ff'",
    "'1'",
    "CAST(x'ff41' AS TEXT)",
    "'ä' || char(0) || 'z'",
)


def scripts(chance: random.Random, indexes: int, each: int) -> list[list[str]]:
    """Transactions by chance, grouped by WAL index."""
    made = [f"BEGIN; {sql}; COMMIT;" for sql in _MADE]
    for _ in range(max(0, indexes * each - len(made))):
        sql = "; ".join(_one(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))
        made.append(sql if sql == "VACUUM" else f"BEGIN; {sql.replace('VACUUM', 'SELECT 1')}; COMMIT;")
    return [made[start : start + each] for start in range(0, len(made), each)]


def _one(chance: random.Random) -> str:
    rows, at, size = _ROWS.format(chance.choice((1, 3, 40, 300))), chance.randint(1, 60), chance.choice((5, 300, 3000))
    value, table = chance.choice(VALUES), chance.choice(("ids", "heap", "counted", "longs"))
    number = chance.randint(1, 2)
    gone = f"DROP TABLE IF EXISTS extra{number}"
    extra = f"{gone}; CREATE TABLE extra{number}(k INTEGER PRIMARY KEY, v)"
    return chance.choice(
        (
            f"INSERT INTO ids(a, b) SELECT {value}, i * 0.5 FROM {rows}",
            f"INSERT OR REPLACE INTO names SELECT 'Name' || i * {at}, {value}, i FROM {rows}",
            f"INSERT INTO names VALUES(NULL, {value}, randomblob({size}))",
            f"INSERT INTO heap(a, b) SELECT i % 3, {value} FROM {rows}",
            f"INSERT OR REPLACE INTO pairs SELECT 'K' || i % 7, i * {at}, hex(randomblob({size})) FROM {rows}",
            f"INSERT INTO counted(a) SELECT hex(randomblob(9)) FROM {rows}",
            f"INSERT INTO longs(a) SELECT hex(randomblob({size})) FROM {_ROWS.format(5)}",
            f"INSERT OR REPLACE INTO wide SELECT i || hex(randomblob({size})), {value} FROM {_ROWS.format(5)}",
            f"INSERT INTO texts SELECT 'word ' || i, {value} FROM {rows}",
            f"UPDATE ids SET a = {value}, b = -0.0 WHERE id % {at} = 0",
            f"UPDATE names SET b = {value} WHERE rowid = {at}",
            f"UPDATE names SET name = upper(name) WHERE rowid < {at}",
            f"UPDATE heap SET b = {value} WHERE rowid % {at} = 1",
            f"UPDATE OR REPLACE pairs SET b = b + 1, c = {value} WHERE b % {at} = 1",
            f"UPDATE wide SET v = {value} WHERE v IS NOT {value}",
            # Of the same size: what does not change is not written, and the page with the row is not either.
            f"UPDATE longs SET a = substr(a, 1, length(a) - {at * 2}) || hex(randomblob({at})) WHERE id % 3 = {at % 3}",
            f"UPDATE texts SET b = {value} WHERE rowid % {at} = 0",
            f"DELETE FROM {table} WHERE rowid % {at} = 0",
            f"DELETE FROM {table} WHERE rowid > {at}",
            f"DELETE FROM {chance.choice(('names', 'pairs', 'wide', 'texts', table))}",
            f"DELETE FROM pairs WHERE b > {at}",
            f"DELETE FROM texts WHERE rowid < {at}",
            f"{extra}; INSERT INTO extra{number} SELECT i, {value} FROM {rows}",
            gone,
            f"{gone}; CREATE TABLE extra{number}(v, k TEXT PRIMARY KEY, w); "
            f"INSERT INTO extra{number} SELECT {value}, 'k' || i, i FROM {rows}",
            f"{gone}; CREATE TABLE extra{number}(k INTEGER PRIMARY KEY, v) WITHOUT ROWID; "
            f"INSERT INTO extra{number} SELECT i, {value} FROM {rows}",
            f"DROP TABLE IF EXISTS other{number}; {extra}; ALTER TABLE extra{number} RENAME TO other{number}",
            f"{extra}; ALTER TABLE extra{number} ADD COLUMN more{chance.randint(1, 1 << 30)} DEFAULT {at}",
            f"{extra}; INSERT INTO extra{number} VALUES(1, 2); ALTER TABLE extra{number} RENAME COLUMN v TO renamed",
            f"ALTER TABLE heap ADD COLUMN more{chance.randint(1, 1 << 30)}",
            "DROP INDEX IF EXISTS names_a",
            "CREATE INDEX IF NOT EXISTS names_a ON names(a); CREATE INDEX IF NOT EXISTS heap_b ON heap(b)",
            "PRAGMA incremental_vacuum",
            "VACUUM",
            "REINDEX",
        )
    )


def written(folder: Path, page_size: int, chance: random.Random, indexes: int = 3, each: int = 20) -> History:
    """A history in a database of a kind by chance."""
    # The last says whether pages that are given back are written, and as what.
    first = (
        f"PRAGMA encoding = '{chance.choice(('UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'))}'; "
        f"PRAGMA auto_vacuum = {chance.choice((0, 0, 1, 2))}; "
        f"PRAGMA secure_delete = {chance.choice(('OFF', 'OFF', 'ON'))};"
    )
    return write_history(folder, page_size, scripts(chance, indexes, each), first)


def commits_of(history: History) -> list[Commit]:
    """Without what changed nothing: at the start of an index that leaves the WAL of the one before where it is."""
    found: list[Commit] = []
    for commit in history.commits:
        is_first = not found or commit.index != found[-1].index
        if not found or not ((is_first and commit.sha == found[-1].sha) or commit.at() == found[-1].at()):
            found.append(commit)
    return found

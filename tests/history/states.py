"""A history of many small transactions that make, fill, empty and drop tables, and what was true after each of them."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from replication.position import Position
from replication.storage.memory import MemoryStorage
from tests.restore.history import GENERATION, Commit, History, ReplicaBuilder, note_of, write_history


def scripts(seed: int, indexes: int, each: int) -> list[list[str]]:
    """Transactions by chance."""
    chance = random.Random(seed)
    first = [
        "CREATE TABLE busy(a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE t1(a INTEGER PRIMARY KEY, b)",
        "INSERT INTO t1 SELECT value, 'x' FROM generate_series_of_ten",
        "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
    ]
    made = [_numbers(line) for line in first]
    for _ in range(indexes * each - len(made)):
        made.append(_numbers(_one(chance)))
    return [made[start : start + each] for start in range(0, len(made), each)]


def _numbers(sql: str) -> str:
    numbers = "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 10) "
    return f"BEGIN; {sql.replace('generate_series_of_ten', numbers + 'SELECT value FROM n)')}; COMMIT;"


def _one(chance: random.Random) -> str:
    number = chance.randint(1, 3)
    return chance.choice(
        (
            f"INSERT INTO busy(b) VALUES(randomblob({chance.randint(10, 900)}))",
            f"INSERT INTO busy(b) VALUES(randomblob({chance.randint(10, 900)}))",
            f"UPDATE busy SET b = randomblob(300) WHERE a = {chance.randint(1, 30)}",
            f"CREATE TABLE IF NOT EXISTS t{number}(a INTEGER PRIMARY KEY, b); INSERT OR REPLACE INTO t{number} "
            "SELECT value, 'y' FROM generate_series_of_ten",
            f"DROP TABLE IF EXISTS t{number}; INSERT INTO busy(b) VALUES('dropped')",
            f"CREATE TABLE IF NOT EXISTS t{number}(a INTEGER PRIMARY KEY, b); DELETE FROM t{number} WHERE a % 2; "
            "INSERT INTO busy(b) VALUES('half')",
            f"INSERT OR REPLACE INTO w VALUES('key{number}', {chance.randint(1, 4)})",
            "INSERT INTO f VALUES('some words of a text')",
        )
    )


def written(folder: Path, page_size: int, seed: int, indexes: int = 3, each: int = 40) -> History:
    return write_history(folder, page_size, scripts(seed, indexes, each))


def publish(history: History, storage: MemoryStorage, noted: bool) -> None:
    """A snapshot before all, and one inside each later index; with notes or, as Litestream's, at its beginning."""
    builder = ReplicaBuilder(storage)
    size = history.page_size
    for index, (base, wal) in enumerate(zip(history.bases, history.wals, strict=True)):
        ends = history.ends(index)
        inside = [commit for commit in history.commits if commit.index == index][len(ends) // 3]
        previous: dict[str, str | int] = {"v": 1}
        if index:
            previous["previous"] = str(Position(GENERATION, index - 1, len(history.wals[index - 1])))
        if not noted or not index:
            note = note_of(Position(GENERATION, index, 0), len(base) // size, size) if noted else None
            builder.snapshot(index, base, note)
        builder.wal(index, wal, ends[3::4], previous if noted else None)
        if noted and index:
            builder.noted_snapshot(inside, size)


def asked(commit: Commit, sql: str) -> list[Any] | str:
    """What SQLite says of the database right after a commit."""
    data = bytearray(commit.content)
    # Not in WAL mode: there is no WAL in memory.
    data[18:20] = b"\1\1"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(bytes(data))
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            return str(error)

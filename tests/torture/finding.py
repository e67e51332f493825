"""Histories by chance for searches, in generations, and all that was true at each commit that can be looked at."""

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE
from replication.storage.memory import MemoryStorage
from tests.restore.history import Commit, History, ReplicaBuilder, note_of, write_history

PAGE_SIZES = (512, 1024, 4096, 8192, 65536)
TABLES = ("t1", "t2", 'odd "name', "w")
SHAPES = (
    "CREATE TABLE {}(a INTEGER PRIMARY KEY, b, c)",
    "CREATE TABLE {}(a PRIMARY KEY, b, c)",
    "CREATE TABLE {}(a TEXT PRIMARY KEY COLLATE NOCASE, b, c) WITHOUT ROWID",
    "CREATE TABLE {}(a, b, c, PRIMARY KEY(b, a)) WITHOUT ROWID",
    "CREATE TABLE {}(a, b, c)",
    "CREATE TABLE {}(a INT, b TEXT, c BLOB, UNIQUE(a, b))",
)
KEYS = ("1", "2", "7", "40", "1,x", "x,3", "999")
STATEMENTS = (
    "SELECT count(*), sum(length(c)) FROM t1",
    "SELECT b, c FROM t2 WHERE a BETWEEN 3 AND 9 ORDER BY 1, 2",
    'SELECT max(a), min(b) FROM "odd ""name"',
    "SELECT count(*) > 6 FROM t1",
    "SELECT count(*) FROM f WHERE f MATCH 'word7'",
    "PRAGMA freelist_count",
    "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count",
    "PRAGMA schema_version",
    "PRAGMA user_version",
    "SELECT name, sql FROM sqlite_schema ORDER BY 1",
    "SELECT nosuch FROM t1",
    "SELECT * FROM v ORDER BY 1, 2, 3",
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def one(chance: random.Random) -> str:
    """One statement, which may fail."""
    table, number = quoted(chance.choice(TABLES)), chance.randint(0, 60)
    size = chance.choice((0, 5, 60, 400, 3000, 20000))
    key = chance.choice((str(number % 12), str(number), "'x'", f"'{number}'"))
    rows = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {chance.choice((3, 30, 200))})"
    other = chance.choice(("x", 3, number))
    return chance.choice(
        (
            *(f"INSERT OR REPLACE INTO {table} VALUES({key}, '{other}', randomblob({size}))" for _ in range(4)),
            f"{rows} INSERT OR REPLACE INTO {table} SELECT i, 'x', zeroblob(20) FROM n",
            f"UPDATE {table} SET c = randomblob({size}) WHERE a = {key}",
            f"DELETE FROM {table} WHERE a = {key}",
            f"DELETE FROM {table} WHERE CAST(a AS INTEGER) % {chance.randint(1, 4)} = 0",
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} LIMIT {chance.choice((1, 5, 50))})",
            chance.choice(SHAPES).format(table),
            chance.choice(SHAPES).format(table),
            f"DROP TABLE {table}",
            f"ALTER TABLE {table} RENAME TO {quoted(chance.choice(TABLES))}",
            f"CREATE INDEX {quoted(f'i{number % 3}')} ON {table}(b, a)",
            f"DROP INDEX {quoted(f'i{number % 3}')}",
            f"INSERT INTO f VALUES('some word{number % 9} of a text')",
            f"DELETE FROM f WHERE rowid = {number % 9}",
            f"CREATE VIEW v AS SELECT * FROM {table}",
            "DROP VIEW v",
            f"PRAGMA user_version = {number % 3}",
        )
    )


ALONE = ("VACUUM;", "PRAGMA incremental_vacuum;", "PRAGMA incremental_vacuum(1);", "ANALYZE;", "REINDEX;")


def scripts(chance: random.Random, indexes: int, each: int) -> list[list[str]]:
    """Transactions that all succeed, as a database in memory shows."""
    vacuum, encoding = chance.choice((0, 1, 2)), chance.choice(("UTF-8", "UTF-16le", "UTF-16be"))
    first = f"PRAGMA encoding='{encoding}'; PRAGMA auto_vacuum={vacuum}; VACUUM;"
    made = [[first, "CREATE VIRTUAL TABLE f USING fts5(x);"]]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        model.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
        for index in range(indexes):
            group = made[0] if not index else []
            while len(group) < each:
                if chance.random() < 0.06:
                    group.append(chance.choice(ALONE))
                    continue
                done = [sql for _ in range(chance.choice((1, 1, 2, 4))) if worked(model, sql := one(chance))]
                if done:
                    group.append(f"BEGIN; {'; '.join(done)}; COMMIT;")
            # An index in which nothing is written would have the WAL of the one before.
            group.append(f"PRAGMA user_version = {100 + index};")
            model.execute(f"PRAGMA user_version = {100 + index}")
            if index:
                made.append(group)
    return made


def worked(model: sqlite3.Connection, sql: str) -> bool:
    try:
        model.execute(sql)
    except sqlite3.Error:
        return False
    return True


@dataclass(frozen=True, slots=True)
class State:
    """What a commit left, and where it is in the replica."""

    position: Position
    commit: Commit


@dataclass(frozen=True, slots=True)
class World:
    """A replica, and the commits of it that can be looked at, oldest first."""

    storage: MemoryStorage
    states: tuple[State, ...]
    generations: int


def commits_of(history: History) -> list[Commit]:
    """Without what changed nothing: at the start of an index that leaves the WAL of the one before where it is."""
    frame = FRAME_HEADER_SIZE + history.page_size
    found: list[Commit] = []
    for commit in reversed(history.commits):
        # The size of the database is in the last frame of each commit, and in no other.
        size = history.wals[commit.index][commit.offset - frame + 4 :][:4]
        if any(size) and (not found or commit.at() < found[-1].at()):
            found.append(commit)
    return found[::-1]


def world(folder: Path, chance: random.Random, indexes: int, each: int) -> World:
    """Ours, with snapshots and generations by chance; sometimes as Litestream's, in one generation."""
    history = write_history(folder, chance.choice(PAGE_SIZES), scripts(chance, indexes, each))
    commits = commits_of(history)
    storage = MemoryStorage()
    noted = chance.random() < 0.75
    builder = ReplicaBuilder(storage)
    states: list[State] = []
    generations, number, previous_end = 1, 0, 0
    size = history.page_size
    for index, (base, wal) in enumerate(zip(history.bases, history.wals, strict=True)):
        here = [commit for commit in commits if commit.index == index]
        begins = noted and index > 0 and chance.random() < 0.4
        late = chance.choice((0, 0, 1, 3)) if begins else 0
        if begins:
            before = builder.generation
            builder.generation, number, generations = f"{chance.randrange(1 << 64):016x}", 0, generations + 1
        if not index or begins:
            whole = Commit(index, 0, "", len(base) // size, base)
            start = here[late - 1] if late else whole
            at = Position(builder.generation, 0, start.offset)
            note = note_of(at, start.pages, size, **({"previous": before} if begins else {})) if noted else None
            builder.snapshot(0, start.content, note)
            if noted:
                states.append(State(at, start))
        ends = [commit.offset for commit in here]
        cuts = chance.sample(ends, chance.randint(0, len(ends)))
        previous: dict[str, str | int] = {"v": 1}
        if number:
            previous["previous"] = str(Position(builder.generation, number - 1, previous_end))
        builder.wal(number, wal, cuts, previous if noted and number else None)
        for commit in here[late:]:
            states.append(State(Position(builder.generation, number, commit.offset), commit))
        if noted and number and chance.random() < 0.7:
            inside = chance.choice(here)
            at = Position(builder.generation, number, inside.offset)
            builder.snapshot(number, inside.content, note_of(at, inside.pages, size))
        elif not noted and number and chance.random() < 0.7:
            builder.snapshot(number, base)
        number, previous_end = number + 1, len(wal)
    return World(storage, tuple(states), generations)


def ask(commit: Commit, sql: str) -> list[Any] | None:
    """What SQLite says of the database right after a commit; None if it refuses that."""
    data = bytearray(commit.content)
    # Not in WAL mode: there is no WAL in memory.
    data[18:20] = b"\1\1"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(bytes(data))
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return None


def rows_of(commit: Commit, table: str) -> list[Any] | None:
    return ask(commit, f"SELECT * FROM {quoted(table)}")


def keyed(commit: Commit, table: str, key: str) -> list[Any]:
    """The rows whose key is shown so: a number is shown as the text of it, and a key of two has a comma."""
    name = "'" + table.replace("'", "''") + "'"
    columns = ask(commit, f"SELECT name FROM pragma_table_info({name}) WHERE pk ORDER BY pk") or []
    shown = " || ',' || ".join(f"CAST({quoted(column)} AS TEXT)" for (column,) in columns) or "CAST(rowid AS TEXT)"
    return ask(commit, f"SELECT * FROM {quoted(table)} WHERE lower({shown}) = lower('{key}')") or []

"""A database of many kinds of tables by chance, and what became of it since: schema, rows, constraints and triggers."""

import random

from tests.foreign import ForeignConnection

TABLES = {"p": ("id",), "c": ("id",), "w": ("a", "b"), "t": ("k",), "k": ()}
"""With their keys."""


def then(chance: random.Random) -> str:
    """A script that makes it."""
    action = chance.choice(["", "ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL"])
    deferred = chance.choice(["", " DEFERRABLE INITIALLY DEFERRED"])
    serial = chance.choice(["", " AUTOINCREMENT"])
    computed = chance.choice(["STORED", "VIRTUAL"])
    script = [
        "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE, up REFERENCES p)",
        f"CREATE TABLE c(id INTEGER PRIMARY KEY{serial}, p REFERENCES p {action}{deferred}, name REFERENCES p(name) "
        f"{action}, v, g AS (v * 2) {computed})",
        "CREATE TABLE w(a, b, v, PRIMARY KEY(a, b)) WITHOUT ROWID",
        f"CREATE TABLE t(k TEXT{chance.choice(['', ' COLLATE NOCASE'])} PRIMARY KEY, v)",
        "CREATE TABLE k(x, y)",
        "CREATE TABLE log(what, n)",
    ]
    for number in range(chance.randint(3, 25)):
        script.append(f"INSERT INTO p VALUES({number}, 'n{number}', {chance.choice(['NULL', number, number // 2])})")
    parents = len(script) - 6
    for number in range(chance.randint(3, 40)):
        parent = chance.choice(["NULL", str(chance.randrange(parents))])
        name = chance.choice(["NULL", f"'n{chance.randrange(parents)}'"])
        script.append(f"INSERT INTO c(id, p, name, v) VALUES({number}, {parent}, {name}, {chance.randrange(100)})")
    for number in range(chance.randint(3, 30)):
        script.append(f"INSERT INTO w VALUES({number // 3}, 'b{number % 3}', {value(chance)})")
        script.append(f"INSERT INTO t VALUES('k{number}', {value(chance)})")
        script.append(f"INSERT INTO k VALUES({chance.randrange(4)}, {chance.randrange(3)})")
    if chance.random() < 0.5:
        script.append("CREATE UNIQUE INDEX tv ON t(v, k)")
    return ";".join(script)


def since(chance: random.Random) -> str:
    """A script that does something to it."""
    script = ["PRAGMA foreign_keys=OFF"]
    for _ in range(chance.randint(1, 8)):
        script.append(_step(chance))
    for _ in range(chance.choice([0, 0, 1, 2])):
        script.append(_trigger(chance, len(script)))
    return ";".join(script)


def _step(chance: random.Random) -> str:
    table = chance.choice(list(TABLES))
    modulo, rest = chance.randint(1, 4), chance.randrange(4)
    column = "name" if table == "p" else "y" if table == "k" else "v"
    number = "id" if table in "pc" else "a" if table == "w" else "x" if table == "k" else "CAST(substr(k, 2) AS INT)"
    where = f"{number} % {modulo} = {rest}"
    return chance.choice(
        (
            f"DELETE FROM {table} WHERE {where}",
            f"DELETE FROM {table} WHERE {where}",
            f"DELETE FROM {table}",
            f"UPDATE {table} SET {column} = 'new' || {number} WHERE {where}",
            f"DELETE FROM p WHERE id % 3 = 1; INSERT INTO p VALUES(1000 + abs(random() % 100000), 'n{rest}x', NULL)",
            "VACUUM",
            "DELETE FROM c; INSERT INTO c(p, v) VALUES(NULL, 7), (NULL, 8)",
            f"INSERT OR IGNORE INTO t VALUES('K{rest}', 'other'); DELETE FROM t WHERE k = 'k{rest}'",
            f"DELETE FROM {table}; ALTER TABLE {table} ADD COLUMN added DEFAULT {rest}",
            f"DROP TABLE {table}",
            "DROP TABLE w; CREATE TABLE w(a, b, v CHECK (typeof(v) <> 'text'), PRIMARY KEY(b, a))",
            "DROP TABLE t; CREATE TABLE t(k, v NOT NULL, z DEFAULT 5, UNIQUE(k) ON CONFLICT REPLACE)",
            "DROP TABLE k; CREATE TABLE k(y INTEGER NOT NULL CHECK (y < 2), x, added)",
            "INSERT INTO k VALUES(1, 1), (1, 1)",
        )
    )


def _trigger(chance: random.Random, number: int) -> str:
    table = chance.choice(["c", "p", "k"])
    of, field = ("k", "y") if table == "k" else (table, "id")
    when = chance.choice(["BEFORE", "AFTER"])
    event = chance.choice(["INSERT", "UPDATE"])
    condition = chance.choice(["1", f"new.{field} % 3 = 1"])
    refusal = chance.choice(
        ["", f"SELECT RAISE({chance.choice(['ABORT', 'FAIL', 'IGNORE'])}, 'no') WHERE new.{field} % 2;"]
    )
    refusal = refusal.replace("RAISE(IGNORE, 'no')", "RAISE(IGNORE)")
    log = f"INSERT INTO log VALUES('{of}', new.{field});"
    return f"CREATE TRIGGER tr{number} {when} {event} ON {of} WHEN {condition} BEGIN {log}{refusal} END"


def value(chance: random.Random) -> str:
    """Of any type."""
    return chance.choice(["NULL", "1", "2.5", "'text'", "x'00ff'", "''", "9e999", "-7", "CAST(x'ff' AS TEXT)"])


def rows_of(connection: ForeignConnection, table: str, columns: list[str]) -> list[tuple[str, ...]]:
    """Rows of a table as texts that tell types apart."""
    shown = ", ".join(f"typeof({name}) || ' ' || hex(CAST({name} AS BLOB))" for name in columns)
    return [tuple(row) for row in connection.execute(f"SELECT {shown} FROM {table}")]


def columns_of(connection: ForeignConnection, table: str) -> list[str]:
    """Names of the columns that are written; none if the table is not there."""
    return [
        str(name) for [name] in connection.execute(f"SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden = 0")
    ]

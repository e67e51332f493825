"""Databases of every shape as SQL: how each is made, and what is then committed, transaction by transaction.

Sizes and contents come from a given Random. Nothing is opened here.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

PAGE_SIZES = [512 << shift for shift in range(8)]
TABLES = 300
"""Tables of the database with very many."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Statements that make a database, each for itself, and the transactions that follow while it is replicated."""

    before: list[str]
    transactions: list[list[str]]


def blob(chance: random.Random, size: int) -> str:
    """A blob literal that does not compress."""
    return f"x'{chance.randbytes(size).hex()}'"


def made(page_size: int, *statements: str, mode: str = "wal") -> list[str]:
    """The beginning of every database."""
    return [f"PRAGMA page_size = {page_size}", *statements, f"PRAGMA journal_mode = {mode}"]


def rows(chance: random.Random, page_size: int, count: int = 6) -> list[list[str]]:
    """Transactions on t(a, b) that add, change and remove, some of them over many pages."""
    found = []
    for number in range(count):
        size = chance.choice([1, page_size // 3, page_size - 35, page_size, 5 * page_size])
        found.append(
            [
                f"INSERT INTO t(b) VALUES({blob(chance, size)})",
                f"UPDATE t SET b = {blob(chance, max(1, size // 2))} WHERE a % 3 = {number % 3}",
                f"DELETE FROM t WHERE a = {chance.randrange(1, 9)}",
            ]
        )
    return found


TABLE = "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)"


def _page_size(page_size: int) -> Callable[[random.Random], Shape]:
    def shape(chance: random.Random) -> Shape:
        return Shape(made(page_size, TABLE), rows(chance, page_size))

    return shape


def _auto_vacuum(mode: str) -> Callable[[random.Random], Shape]:
    def shape(chance: random.Random) -> Shape:
        size = chance.choice(PAGE_SIZES[:5])
        fill = [[f"INSERT INTO t(b) VALUES({blob(chance, 3 * size)})" for _ in range(chance.randrange(20, 60))]]
        shrink = [["DELETE FROM t WHERE a % 4 > 0"], ["PRAGMA incremental_vacuum(7)"], ["PRAGMA incremental_vacuum"]]
        before = made(size, f"PRAGMA auto_vacuum = {mode}", TABLE)
        return Shape(before, [*fill, *rows(chance, size, 3), *shrink, *rows(chance, size, 3)])

    return shape


def vacuum(chance: random.Random) -> Shape:
    """Much is removed, and VACUUM makes the file smaller; a page size that is asked for in WAL mode is not taken."""
    size, other = chance.sample(PAGE_SIZES[:6], 2)
    fill = [[f"INSERT INTO t(b) VALUES({blob(chance, 4 * size)})" for _ in range(50)]]
    smaller = [["DELETE FROM t WHERE a > 5"], ["VACUUM"], [f"PRAGMA page_size = {other}"], ["VACUUM"]]
    return Shape(made(size, TABLE), [*fill, *smaller, *rows(chance, size, 3)])


def without_rowid(chance: random.Random) -> Shape:
    """A table that is its own index."""
    size = chance.choice(PAGE_SIZES)
    table = "CREATE TABLE t(a, b, c, PRIMARY KEY(b, a)) WITHOUT ROWID"
    values = [f"('{number}', {chance.randrange(9)}, {blob(chance, size // 2)})" for number in range(30)]
    return Shape(
        made(size, table, "CREATE INDEX i ON t(c)"),
        [[f"INSERT INTO t VALUES{value}"] for value in values[:6]]
        + [[f"INSERT OR IGNORE INTO t VALUES{','.join(values[6:])}"], ["DELETE FROM t WHERE b < 4"]],
    )


def full_text(chance: random.Random) -> Shape:
    """FTS5 keeps its segments as blobs of its own."""

    def words(count: int) -> str:
        return " ".join(
            chance.choice(["apple", "pear", "größe", "梨", "fig", str(chance.random())]) for _ in range(count)
        )

    lines: list[list[str]] = []
    for _ in range(8):
        lines.append([f"INSERT INTO f VALUES('{words(3)}', '{words(200)}')" for _ in range(5)])
    lines += [
        ["INSERT INTO f(f) VALUES('optimize')"],
        ["DELETE FROM f WHERE rowid % 2"],
        ["INSERT INTO f(f) VALUES('rebuild')"],
    ]
    size = chance.choice(PAGE_SIZES)
    return Shape(made(size, "CREATE VIRTUAL TABLE f USING fts5(title, body)"), lines)


def computed(chance: random.Random) -> Shape:
    """Generated columns, triggers, a view, partial and expression indexes, foreign keys, STRICT."""
    before = made(
        chance.choice(PAGE_SIZES),
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INT AS (length(b)) STORED, d TEXT AS (upper(b)) VIRTUAL)",
        "CREATE TABLE log(what TEXT, a INT REFERENCES t(a), number INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE INDEX i ON t(d, c) WHERE c > 2",
        "CREATE INDEX j ON t(b || 'x')",
        "CREATE VIEW v AS SELECT d, count(*) FROM t GROUP BY d",
        "CREATE TRIGGER added AFTER INSERT ON t BEGIN INSERT INTO log(what, a) VALUES('added', new.a); END",
        "CREATE TRIGGER gone AFTER DELETE ON t BEGIN INSERT INTO log(what) SELECT old.b FROM t; END",
    )
    adds = [[f"INSERT INTO t(b) VALUES('{chance.randbytes(chance.randrange(1, 500)).hex()}')"] for _ in range(8)]
    changes = [
        ["DELETE FROM t WHERE a % 2"],
        ["ALTER TABLE t ADD COLUMN e DEFAULT 7"],
        ["ALTER TABLE log RENAME TO logged"],
    ]
    return Shape(before, [*adds, *changes, ["DROP INDEX i"], ["ANALYZE"], ["REINDEX"]])


def large_blobs(chance: random.Random) -> Shape:
    """Overflow chains over hundreds of pages, made longer and shorter."""
    size = chance.choice(PAGE_SIZES[:4])
    sizes = [chance.randrange(size * 100, size * 250) for _ in range(4)]
    return Shape(
        made(size, TABLE),
        [
            *[[f"INSERT INTO t(b) VALUES({blob(chance, number)})"] for number in sizes],
            [f"UPDATE t SET b = zeroblob({sizes[0] * 3})"],
            ["UPDATE t SET b = x'00' WHERE a < 3"],
            ["DELETE FROM t WHERE a = 3"],
        ],
    )


def many_tables(chance: random.Random) -> Shape:
    """A schema of hundreds of tables and indexes, over many pages."""
    tables = [
        statement
        for number in range(TABLES)
        for statement in (f"CREATE TABLE table_{number}(a, b, c)", f"CREATE INDEX index_{number} ON table_{number}(b)")
    ]
    fill = [[f"INSERT INTO table_{number} VALUES(1, {blob(chance, 40)}, 3)" for number in range(0, TABLES, 3)]]
    drop = [[f"DROP TABLE table_{number}" for number in range(0, TABLES, 2)]]
    before = made(chance.choice(PAGE_SIZES[:5]), "CREATE TABLE first(a)")
    return Shape(before, [tables, *fill, *drop, ["VACUUM"], ["INSERT INTO first VALUES(1)"]])


def unicode_names(chance: random.Random) -> Shape:
    """Tables and columns with names in other scripts, with quotes and with spaces."""
    # The same letter twice: composed, and of two code points.
    names = ["größe", "表 一", "😀", 'a""b', "select", "tab\there", "\u00e9", "e\u0301", "x" * 200]
    lines = [[f"INSERT INTO \"{name}\" VALUES('{name.replace(chr(34), '')}', {blob(chance, 90)})"] for name in names]
    tables = [f'CREATE TABLE "{name}"("{name} column", "ß")' for name in names]
    return Shape(made(chance.choice(PAGE_SIZES), *tables), lines)


def _text(encoding: str) -> Callable[[random.Random], Shape]:
    def shape(chance: random.Random) -> Shape:
        lines = [[f"INSERT INTO t(b) VALUES('grün 梨 😀 {chance.random()}')"] for _ in range(6)]
        return Shape(made(chance.choice(PAGE_SIZES), f"PRAGMA encoding = '{encoding}'", TABLE), lines)

    return shape


def marked(chance: random.Random) -> Shape:
    """application_id and user_version in the header, before and meanwhile."""
    before = made(chance.choice(PAGE_SIZES), TABLE, "PRAGMA application_id = 252006673", "PRAGMA user_version = -7")
    between = [["PRAGMA user_version = 41"], ["PRAGMA application_id = -1"], ["PRAGMA user_version = 2147483647"]]
    return Shape(before, [*rows(chance, 512, 2), *between, *rows(chance, 512, 2)])


def one_page(chance: random.Random) -> Shape:
    """A schema and no row, then the schema goes as well."""
    return Shape(made(chance.choice(PAGE_SIZES), TABLE), [["DROP TABLE t"], ["VACUUM"], [TABLE], ["DROP TABLE t"]])


SHAPES: dict[str, Callable[[random.Random], Shape]] = {
    **{f"page-size-{size}": _page_size(size) for size in PAGE_SIZES},
    "auto-vacuum-full": _auto_vacuum("FULL"),
    "auto-vacuum-incremental": _auto_vacuum("INCREMENTAL"),
    "vacuum": vacuum,
    "without-rowid": without_rowid,
    "full-text": full_text,
    "computed": computed,
    "large-blobs": large_blobs,
    "many-tables": many_tables,
    "unicode-names": unicode_names,
    "utf-16le": _text("UTF-16le"),
    "utf-16be": _text("UTF-16be"),
    "marked": marked,
    "one-page": one_page,
}

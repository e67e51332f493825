"""The demo's application: a program with Python's own sqlite3 that keeps a list of fruits.

It is run as a script and never imported, because two SQLite libraries must not meet in one process. Each line
on its standard input is a JSON list, a command and its arguments; each answer is one line of JSON. It ends when
its input does.
"""

import hashlib
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

Answer = dict[str, str | int | float]

_NAMES = ("apple", "pear", "quince", "plum", "cherry", "apricot", "peach", "fig", "grape", "medlar")
_NOTE_BYTES = 400


class Shop:
    """One connection to fruits.db, made if it is missing."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # This SQLite may be one with the WAL-reset bug: checkpoints are left to the engine alone.
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._connection.execute("CREATE TABLE fruits (id INTEGER PRIMARY KEY, name TEXT, weight INT, note TEXT)")

    def commit(self, count: int, seconds: float) -> Answer:
        """Insert `count` fruits in as many commits, spread over `seconds`. Answer when the last one was committed."""
        began = time.monotonic()
        for number in range(1, count + 1):
            name = _NAMES[number % len(_NAMES)]
            note = hashlib.shake_128(f"{name} {number}".encode()).hexdigest(_NOTE_BYTES // 2)
            values = (name, 50 + number * 7 % 200, note)
            self._connection.execute("INSERT INTO fruits (name, weight, note) VALUES (?, ?, ?)", values)
            committed = time.time()
            time.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
        return {"committed": committed}

    def delete_all(self) -> Answer:
        """The mistake: every fruit goes, in one commit."""
        self._connection.execute("DELETE FROM fruits")
        return {"committed": time.time()}

    def describe(self) -> Answer:
        """The rows and the pages of the database as this connection sees them."""
        return _description(self._connection, self._connection.serialize())

    def close(self) -> None:
        self._connection.close()


def describe_file(path: str) -> Answer:
    """The rows and the bytes of a database file that nobody writes to."""
    connection = sqlite3.connect(f"{Path(path).as_uri()}?immutable=1", uri=True)
    try:
        return _description(connection, Path(path).read_bytes())
    finally:
        connection.close()


def _description(connection: sqlite3.Connection, content: bytes) -> Answer:
    [(rows,)] = connection.execute("SELECT count(*) FROM fruits").fetchall()
    [(page_size,)] = connection.execute("PRAGMA page_size").fetchall()
    return {"rows": rows, "pages": len(content) // page_size, "sha256": hashlib.sha256(content).hexdigest()}


def main() -> None:
    """Serve one database until standard input ends."""
    # Ctrl-C is the demo's to handle; it ends this program by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        shop = Shop(sys.argv[1])
    except sqlite3.Error as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    commands: dict[str, Callable[..., Answer]] = {
        "sqlite": lambda: {"version": sqlite3.sqlite_version},
        "commit": shop.commit,
        "delete_all": shop.delete_all,
        "describe": shop.describe,
        "describe_file": describe_file,
    }
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = commands[command](*arguments)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    shop.close()


if __name__ == "__main__":
    main()

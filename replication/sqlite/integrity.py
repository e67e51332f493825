"""SQLite's own check of a database.

A database may fail it and be exactly what its application made of it: a full-text index out of step with its table, a
NULL in a NOT NULL column, a value of the wrong type in a STRICT table. Newer versions of SQLite see more than older.
So what a check says of a copy is weighed against what it says of the source.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import apsw

Thoroughness = Literal["quick", "full"]
PROBLEMS_MAX = 10
"""Lines of SQLite's answer that are asked for."""
_STEPS_BETWEEN_LOOKS = 20_000
_KIND_CHARS_MAX = 150
"""So many characters of a line say what it is about. It may be cut after that where it is kept."""
_NUMBER = re.compile(r"\b[0-9]+\b")


class Inconclusive(Exception):  # noqa: N818 (it is an outcome, not an error of this program)
    """SQLite cannot check this database here, for it needs something of the application's, such as a
    collation."""


class Interrupted(Exception):  # noqa: N818 (as above)
    """The check was broken off because the caller's `stop` was true."""


def problems(path: Path, thoroughness: Thoroughness, stop: Callable[[], bool] = lambda: False) -> list[str]:
    """What SQLite finds wrong with a database that nobody else has open, in its words; empty if nothing is.

    quick reads every page and the order of rows; full also compares indexes with their tables. The file is opened
    read-only and immutable: SQLite takes no lock, reads no WAL and makes no file beside it.
    Raises Inconclusive and Interrupted.
    """
    connection: apsw.Connection | None = None
    try:
        uri = f"file:{quote(os.fsencode(path.absolute()))}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        return problems_of(connection, thoroughness, stop)
    except apsw.CantOpenError as error:
        raise Inconclusive(str(error)) from None
    except apsw.Error as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        if connection is not None:
            connection.close(True)


def problems_of(connection: apsw.Connection, thoroughness: Thoroughness, stop: Callable[[], bool]) -> list[str]:
    """What SQLite finds wrong with the database that a connection has open, at the commit that it reads."""
    pragma = "integrity_check" if thoroughness == "full" else "quick_check"
    connection.set_progress_handler(stop, _STEPS_BETWEEN_LOOKS)
    try:
        rows = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}({PROBLEMS_MAX})")]
    except apsw.InterruptError:
        raise Interrupted from None
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as error:
        return [str(error)]
    except apsw.SQLError as error:
        raise Inconclusive(str(error)) from None
    except apsw.Error as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        connection.set_progress_handler(None)
    return [] if rows == ["ok"] else rows


def are_among(found: Iterable[str], known: Iterable[str]) -> bool:
    """True if what was found is nothing but what is known, whatever rows and pages it names."""
    return {_kind(line) for line in found} <= {_kind(line) for line in known}


def _kind(line: str) -> str:
    return _NUMBER.sub("N", " ".join(line.split())[:_KIND_CHARS_MAX])

"""SQLite's own check of a database file that nobody else has open.

The file is opened read-only and immutable: SQLite takes no lock, reads no WAL and makes no file beside it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import apsw

Thoroughness = Literal["quick", "full"]
PROBLEMS_MAX = 10
"""Lines of SQLite's answer that are asked for."""
_STEPS_BETWEEN_LOOKS = 20_000


class Inconclusive(Exception):  # noqa: N818 (it is an outcome, not an error of this program)
    """SQLite cannot check this database here, for it needs something of the application's, such as a
    collation."""


class Interrupted(Exception):  # noqa: N818 (as above)
    """The caller's `stop` said so."""


def problems(path: Path, thoroughness: Thoroughness, stop: Callable[[], bool] = lambda: False) -> list[str]:
    """What SQLite finds wrong with the database, in its words; empty if nothing is.

    quick reads every page and the order of rows; full also compares indexes with their tables.
    Raises Inconclusive and Interrupted.
    """
    pragma = "integrity_check" if thoroughness == "full" else "quick_check"
    connection: apsw.Connection | None = None
    try:
        uri = f"file:{quote(os.fsencode(path.absolute()))}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.set_progress_handler(stop, _STEPS_BETWEEN_LOOKS)
        rows = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}({PROBLEMS_MAX})")]
    except apsw.InterruptError:
        raise Interrupted from None
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as error:
        return [str(error)]
    except (apsw.SQLError, apsw.CantOpenError) as error:
        raise Inconclusive(str(error)) from None
    except apsw.Error as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        if connection is not None:
            connection.close(True)
    return [] if rows == ["ok"] else rows

"""Why a database fails, in a few words for a row. Pure. The whole of it stands in the panels and in the log."""

from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    DatabaseLockedError,
    LocalFileError,
    StorageError,
)
from replication.status import DatabaseStatus
from tui.text.format import plain
from tui.text.states import error_of

_BY_CODE = {
    AccessDeniedError.exit_code: "access denied",
    BucketNotFoundError.exit_code: "no such bucket",
    StorageError.exit_code: "store unreachable",
    DatabaseLockedError.exit_code: "replicated elsewhere",
}
_BY_WORDS = (
    ("No space left", "no space"),
    ("disk is full", "no space"),
    ("disk full", "no space"),
    ("ermission denied", "permission denied"),
    ("read-only", "read-only"),
    ("does not exist", "no such file"),
    ("was removed", "file removed"),
    ("does not answer", "no answer"),
    ("did not answer", "no answer"),
    ("refused", "connection refused"),
    ("not a database", "not a database"),
    ("malformed", "damaged"),
    ("locked", "locked"),
)
"""What errors say, and what that is in short; the first that fits."""
_LOCAL = "local file"


def cause(database: DatabaseStatus) -> str:
    """The cause in two or three words, or how the error begins; nothing if nothing is wrong."""
    error = error_of(database)
    if not error:
        return ""
    failed = next((item for item in database.replicas if item.errors_in_a_row), None)
    code = failed.error_code if failed is not None and not database.error else 0
    if code in _BY_CODE and code != StorageError.exit_code:
        return _BY_CODE[code]
    for words, short in _BY_WORDS:
        if words in error:
            return short
    return _BY_CODE.get(code) or (_LOCAL if code == LocalFileError.exit_code else plain(error))

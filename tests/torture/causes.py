"""Reasons of new generations, and what must have happened for them. No other reason may ever be given."""

from replication.database.source_files import WRITTEN

JUSTIFIED = {
    "no generation exists": {"start"},
    "no shadow wal": {"commit unseen", "never in a replica", "frames without a commit"},
    "wal missing": {"last close while down"},
    "wal empty": {"truncate", "wal removed", "last close while down", "rewritten"},
    "wal header mismatch": {"commit unseen", "frames without a commit"},
    "wal restarted while it was opened": {"commit unseen", "frames without a commit"},
    "database file replaced": {"replaced"},
    "wal removed by another process": {"wal removed", "replaced"},
    "wal replaced by another process": {"wal removed", "replaced"},
    "page size changed": {"replaced"},
    "-shm removed or replaced by another process": {"shm removed", "wal removed", "replaced", "rewritten"},
    # After an orderly end a checkpoint of others is told from a foreign write by nothing.
    f"{WRITTEN}, while not replicating": {"rewritten", "recovered twice", "written while down"},
    WRITTEN: {"rewritten", "recovered twice", "recovered after a vacuum"},
    "asked for": {"asked for"},
    # What a copy of this program put there, or whoever had this history before the volume was copied.
    "replica R holds other WAL than this database": {"cloned"},
    "replica R holds the end of an index that goes on here": {"cloned"},
    "replica R holds a snapshot of commits that this database does not have": {"cloned"},
    "replica R says that this generation": {"cloned"},
    "replica R is at index": {"cloned"},
    "replica R holds other WAL than what was sent there": {"has a copy"},
    "replica R has nothing that proves": {"emptied", "has a copy"},
    # What somebody removed; or retention of another side, for which this one had rested for long.
    "replica R has WAL but no snapshot": {"emptied", "has a copy"},
    "replica R lacks WAL": {"emptied", "has a copy"},
    "replica R lost": {"emptied", "has a copy"},
}


def known_reason(reason: str) -> str:
    """The row of the table that a reason belongs to, or nothing."""
    for name in ("near", "far"):
        reason = reason.replace(f"replica {name} ", "replica R ", 1)
    return next((words for words in JUSTIFIED if reason.startswith(words)), "")

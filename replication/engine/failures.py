"""Errors of syncs in a row: how long to wait after the next, and whether it is reported again.

It imports nothing of the engine.
"""

import re
import time
from dataclasses import dataclass

from replication.errors import ReplicationError, words_of
from replication.replica.duties import ERROR_REPEAT_SECONDS

DATABASE_RETRY_SECONDS_MAX = 15.0
DATABASE_RETRY_STEPS_MAX = 64
"""Keeps 1.5 ** n from overflowing after days of errors; the cap of 15 s is reached long before."""
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(slots=True)
class Failures:
    """How many there were, the last one, and which was reported when (of time.time)."""

    count: int = 0
    error: ReplicationError | None = None
    last_reported: str = ""
    last_reported_at: float = 0.0

    def add(self, error: Exception, interval_seconds: float) -> float:
        """Count one more error. Return the seconds to the next try, where syncs come every `interval_seconds`.

        `error` is the last one, or None if that is no ReplicationError but a defect of ours: `Engine.check` then lets
        the start pass. A success begins with a new `Failures`.
        """
        self.count += 1
        self.error = error if isinstance(error, ReplicationError) else None
        growth = 1.5 ** min(self.count - 1, DATABASE_RETRY_STEPS_MAX)
        return min(DATABASE_RETRY_SECONDS_MAX, interval_seconds * growth)

    def to_be_told(self, error: Exception) -> str:
        """The error in words, if it is to be reported: it differs from the last one reported, or that was long ago.

        Else "".
        """
        message = words_of(error)
        # Numbers, such as the bytes that are needed, differ each time.
        same = _NUMBER.sub("", message) == _NUMBER.sub("", self.last_reported)
        if same and time.time() < self.last_reported_at + ERROR_REPEAT_SECONDS:
            return ""
        self.last_reported, self.last_reported_at = message, time.time()
        return message

"""Errors of the syncs of one database in a row: how long to wait after each, and which are worth telling again."""

import re
import time

from replication.errors import ReplicationError
from replication.replica.duties import ERROR_REPEAT_SECONDS

RETRY_SECONDS_MAX = 15.0
RETRY_GROWTH = 1.5
RETRY_STEPS_MAX = 64
"""More errors in a row than this make the wait no longer."""
_NUMBER = re.compile(r"\d+(\.\d+)?")


class SyncFailures:
    """From the first error to the next sync that went well, which begins a new one."""

    def __init__(self) -> None:
        self.count = 0
        self.error: ReplicationError | None = None
        """The last one; None if nobody foresaw it."""
        self._last_reported = ""
        self._last_reported_at = 0.0

    def add(self, error: Exception, interval_seconds: float) -> float:
        """One more; the seconds until the next try, of which the first is `interval_seconds`."""
        self.count += 1
        self.error = error if isinstance(error, ReplicationError) else None
        growth = RETRY_GROWTH ** min(self.count - 1, RETRY_STEPS_MAX)
        return min(RETRY_SECONDS_MAX, interval_seconds * growth)

    def is_to_be_told(self, message: str) -> bool:
        """True if it is another error than the last one told, or was told long ago; it is told then."""
        # Bytes that are needed, and the like, are others each time.
        same = _NUMBER.sub("", message) == _NUMBER.sub("", self._last_reported)
        if same and time.time() < self._last_reported_at + ERROR_REPEAT_SECONDS:
            return False
        self._last_reported, self._last_reported_at = message, time.time()
        return True

"""Trying again: which faults of a store pass, how often and how long to wait, and a wait that a stop ends at
once."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectNotFoundError,
    RestoreCancelledError,
    StorageError,
)

_T = TypeVar("_T")
_LASTING = (AccessDeniedError, BucketNotFoundError, ObjectNotFoundError)
CANCELLED = "The restore was cancelled; nothing was put in place and nothing is left behind."


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try, in seconds: doubling, with jitter, longer when throttled.

    `tries_max` counts tries without any progress; `restarts_max` bounds all restarts of one stream.
    """

    tries_max: int = 6
    restarts_max: int = 100
    base_seconds: float = 0.2
    seconds_max: float = 10.0
    throttled_factor: float = 4.0

    def delay(self, failures: int, throttled: bool, chance: float) -> float:
        """Seconds to wait after `failures` failures in a row; `chance` is in 0 to 1 and makes the jitter."""
        seconds: float = self.base_seconds * 2 ** min(failures - 1, 16)
        if throttled:
            seconds *= self.throttled_factor
        return min(seconds, self.seconds_max) * (0.5 + chance / 2)


LIST_BACKOFF = Backoff(tries_max=3)
"""For listings, which give up sooner than fetches: another replica may answer."""


def passes(error: StorageError) -> bool:
    """True for a fault that may be gone at the next try."""
    return not isinstance(error, _LASTING)


def check(stop: threading.Event) -> None:
    """Raise RestoreCancelledError if the restore is to stop."""
    if stop.is_set():
        raise RestoreCancelledError(CANCELLED)


def pause(backoff: Backoff, failures: int, error: StorageError, stop: threading.Event) -> None:
    """Wait before the next try. Raises RestoreCancelledError as soon as the restore is to stop."""
    stop.wait(backoff.delay(failures, error.throttled, random.random()))
    check(stop)


def retrying(call: Callable[[], _T], backoff: Backoff, stop: threading.Event) -> _T:
    """The answer of `call`, tried again while the store's fault may pass."""
    failures = 0
    while True:
        check(stop)
        try:
            return call()
        except StorageError as error:
            failures += 1
            if not passes(error) or failures >= backoff.tries_max:
                raise
            pause(backoff, failures, error, stop)

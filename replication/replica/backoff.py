"""How long to wait after an error: a pure value, with jitter given from outside."""

RETRY_SECONDS_MIN = 0.25
RETRY_SECONDS_MAX = 1.5
"""Short, so that what is pending goes within 2 seconds of the store's return."""
RETRY_SECONDS_PER_REPLICA = 0.02
"""With many replicas failing at one store, each waits longer: together they ask no more than 50 times a second."""
THROTTLED_SECONDS_MIN = 2.0
THROTTLED_SECONDS_MAX = 60.0
REFUSED_SECONDS_MAX = 15.0
"""For errors that a person has to mend: credentials, a missing bucket, a full disk."""
DUTY_RETRY_SECONDS_MIN = 1.0
DUTY_RETRY_SECONDS_MAX = 3600.0


def delay(errors_in_a_row: int, random: float, throttled: bool = False, refused: bool = False, crowd: int = 1) -> float:
    """Seconds until the next try after that many errors. `random` is in [0, 1) and spreads the tries by a quarter.

    `crowd` is how many replicas fail at the same store.
    """
    least, most = (
        (THROTTLED_SECONDS_MIN, THROTTLED_SECONDS_MAX) if throttled else (RETRY_SECONDS_MIN, RETRY_SECONDS_MAX)
    )
    if refused:
        most = REFUSED_SECONDS_MAX
    most = max(most, crowd * RETRY_SECONDS_PER_REPLICA)
    base = min(most, least * 2.0 ** min(errors_in_a_row - 1, 16))
    return base * (0.75 + 0.25 * random)


def duty_delay(errors_in_a_row: int, random: float, interval: float) -> float:
    """The same for a duty, for which no commit waits, and which may cost a listing each time: its interval at most."""
    most = min(DUTY_RETRY_SECONDS_MAX, max(REFUSED_SECONDS_MAX, interval))
    base = min(most, DUTY_RETRY_SECONDS_MIN * 2.0 ** min(errors_in_a_row - 1, 16))
    return base * (0.75 + 0.25 * random)

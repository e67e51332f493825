"""Times as people type them, in UTC as everywhere on the screen. Pure."""

import re
from datetime import UTC, datetime, timedelta

from replication.errors import UsageError
from replication.times import time_from

_AGO = re.compile(r"-((?:[0-9]{1,6}[dhms])+)")
_PART = re.compile(r"([0-9]+)([dhms])")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?[zZ]?")
_DAY_CLOCK = re.compile(
    r"(?:([0-9]{4})-)?([0-9]{1,2})-([0-9]{1,2})(?:[ tT]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?[zZ]?"
)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
EXAMPLES = "12:04, -15m, 10-20 12:04, 2026-10-20T12:04:00Z"


def parse_asked(text: str, now: float) -> float:
    """Seconds since the epoch of a time as typed at `now`; raise UsageError, with examples, for anything else.

    12:04 is the last time that clocks showed it; a day without a year is the last one of that date.
    """
    text = text.strip()
    today = datetime.fromtimestamp(now, UTC)
    try:
        if match := _AGO.fullmatch(text):
            return now - sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(match[1]))
        if match := _CLOCK.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in match.groups())
            moment = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return (moment if moment <= today else moment - timedelta(days=1)).timestamp()
        if match := _DAY_CLOCK.fullmatch(text):
            year, *rest = match.groups()
            month, day, hour, minute, second = (int(part or 0) for part in rest)
            moment = datetime(int(year or today.year), month, day, hour, minute, second, tzinfo=UTC)
            if not year and moment > today:
                moment = moment.replace(year=today.year - 1)
            return moment.timestamp()
        if moment_or_none := time_from(text):
            return moment_or_none.timestamp()
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text!r} is not a time. Type one as {EXAMPLES}; all are UTC")

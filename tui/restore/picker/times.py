"""Times as people type them, in local time unless they say otherwise. Pure but for the zone, which is the system's."""

import re
from datetime import UTC, datetime, timedelta, timezone

from replication.errors import UsageError
from replication.times import time_from
from tui.text.local import local

_SPAN = re.compile(r"([-+])((?:[0-9]{1,6}\s*[wdhms]\s*)+)|((?:[0-9]{1,6}\s*[wdhms]\s*)+)ago")
_PART = re.compile(r"([0-9]+)\s*([wdhms])")
_OFFSET = re.compile(r"\s*(z|utc|[-+][0-9]{2}:?[0-9]{2}|[-+][0-9]{1,2})$")
_CLOCK = re.compile(r"([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,6})?))?)?\s*(am|pm)?|([0-9]{2})([0-9]{2})")
_DATE = re.compile(r"(?:([0-9]{4})-)?([0-9]{1,2})-([0-9]{1,2})")
_SECONDS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLES = "12:04, 3am, -15m, yesterday 14:00, 10-20 12:04, 2026-10-20T12:04:00Z"


def parse_asked(text: str, now: float, point: float | None = None) -> float:
    """Seconds since the epoch of a time as typed at `now`; raise UsageError, with examples, for anything else.

    12:04 is the last time that clocks showed it; a day without a year is the last one of that date. What begins with +
    is after `point`, where the cursor is, and with - before now. Z or an offset at the end is the zone, which is local
    without one.
    """
    words = re.sub(r" (?=[ap]m$)", "", " ".join(text.lower().split()))
    try:
        found = _span(words, now, point)
        if found is None and (exact := time_from(text.strip())):
            found = exact.timestamp()
        if found is None:
            found = _moment(words, now)
        if found is not None and abs(found) < 1e11:
            return found
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text.strip()!r} is not a time. Type one as {EXAMPLES}")


def _span(words: str, now: float, point: float | None) -> float | None:
    """A time so long before now, or after the point."""
    match = _SPAN.fullmatch(words)
    if words == "now":
        return now
    if match is None:
        return None
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(match[2] or match[3]))
    return (point if point is not None else now) + seconds if match[1] == "+" else now - seconds


def _moment(words: str, now: float) -> float | None:
    """A day, a time of day, or both, in the zone that is named or in local time."""
    zone: timezone | None = None
    if (match := _OFFSET.search(words)) and match.start():
        # 10-20 is a day, and no clock with an offset.
        before = words[: match.start()]
        if _clock(before.rpartition(" ")[2]) and not _DATE.fullmatch(words):
            words, zone = before, _zone(match[1])
    today = datetime.fromtimestamp(now, zone) if zone is not None else local(now)
    day, _, clock = (
        words.partition(" ") if " " in words else words.partition("t") if _DATE.match(words) else ("", "", words)
    )
    if not clock and day:
        clock = "0:00"
    elif _day(words, today) is not None:
        day, clock = words, "0:00"
    parts = _clock(clock)
    if parts is None:
        return None
    date = _day(day, today) if day else (today.year, today.month, today.day)
    if date is None:
        return None
    moment = _at(date, parts, zone)
    if not day and moment > now:
        yesterday = today.replace(hour=12) - timedelta(days=1)
        moment = _at((yesterday.year, yesterday.month, yesterday.day), parts, zone)
    if _DATE.fullmatch(day) and day.count("-") == 1 and moment > now:
        moment = _at((date[0] - 1, date[1], date[2]), parts, zone)
    return moment


def _at(date: tuple[int, int, int], clock: tuple[int, int, float], zone: timezone | None) -> float:
    hour, minute, second = clock
    whole = int(second)
    return datetime(*date, hour, minute, whole, round((second - whole) * 1e6), tzinfo=zone).timestamp()


def _clock(text: str) -> tuple[int, int, float] | None:
    """Hour, minute and second; None for what is no time of day."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    if match[5] is not None:
        return int(match[5]), int(match[6]), 0.0
    hour, half = int(match[1]), match[4]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif match[2] is None:
        return None
    return hour, int(match[2] or 0), float(match[3] or 0)


def _day(text: str, today: datetime) -> tuple[int, int, int] | None:
    """Year, month and day; None for what is no day."""
    if match := _DATE.fullmatch(text):
        year = int(match[1] or today.year)
        datetime(year, int(match[2]), int(match[3]))
        return year, int(match[2]), int(match[3])
    if text in ("today", "yesterday"):
        back = int(text == "yesterday")
    elif text[:3] in _DAYS and text in (text[:3], *_whole_names()):
        back = (today.weekday() - _DAYS.index(text[:3])) % 7 or 7
    else:
        return None
    found = today.replace(hour=12) - timedelta(days=back)
    return found.year, found.month, found.day


def _whole_names() -> tuple[str, ...]:
    return ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _zone(text: str) -> timezone:
    if text in ("z", "utc"):
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = (int(digits[:2]), int(digits[2:] or 0)) if len(digits) > 2 else (int(digits), 0)
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(ahead if text[0] == "+" else -ahead)

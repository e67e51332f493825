"""Times as text: RFC 3339, read with any zone and written in UTC."""

import re
from datetime import UTC, datetime

# Seconds may have a fraction of any length; datetime keeps six digits of it.
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def time_from(text: str) -> datetime | None:
    """The UTC time that an RFC 3339 text says, or None."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0')[:7].ljust(7, '0')}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, with as much of a fraction as there is."""
    text = time.astimezone(UTC).isoformat(timespec="microseconds" if time.microsecond else "seconds")
    return text.replace("+00:00", "Z")

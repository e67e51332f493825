"""Times as the clock on the wall shows them, with the name of its zone, which is the system's. Pure otherwise."""

from datetime import UTC, datetime, timedelta


def local(time: float) -> datetime:
    """The local time of so many seconds since the epoch."""
    return datetime.fromtimestamp(time).astimezone()


def is_utc(time: float) -> bool:
    """True where local time is UTC."""
    return local(time).utcoffset() == timedelta(0)


def zone(time: float) -> str:
    """The name of the zone: CET, or UTC+05:45 where it has none."""
    moment = local(time)
    if is_utc(time):
        return "UTC"
    name = moment.tzname() or ""
    offset = f"{moment:%z}"
    return name if name.isalpha() else f"UTC{offset[:3]}:{offset[3:5]}"


def local_day_time(time: float) -> str:
    """Day and minute: 10-20 13:04."""
    return local(time).strftime("%m-%d %H:%M")


def clock(time: float) -> str:
    """A time of day: 14:04:02 CEST."""
    return f"{local(time):%H:%M:%S} {zone(time)}"


def both(time: float) -> str:
    """A moment in local time and in UTC: 2026-10-20 14:04:02 CEST, 12:04:02Z. In UTC alone where that is local."""
    moment = local(time)
    utc = datetime.fromtimestamp(time, UTC)
    if is_utc(time):
        return f"{moment:%Y-%m-%d %H:%M:%S}Z"
    day = "" if utc.date() == moment.date() else f"{utc:%m-%d} "
    return f"{moment:%Y-%m-%d %H:%M:%S} {zone(time)}, {day}{utc:%H:%M:%S}Z"

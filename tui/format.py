"""Values as text for people: pure, and the same in every place that shows them."""

from datetime import UTC, datetime

from replication.position import Position

_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB")


def go_duration(seconds: float) -> str:
    """A duration as Litestream prints one in its listings: Go's notation, cut to what matters at its size."""
    if seconds < 0:
        return "-" + go_duration(-seconds)
    if seconds > 10:
        seconds = int(seconds)
    elif seconds > 1:
        seconds = int(seconds * 10) / 10
    elif seconds > 1e-3:
        return f"{int(seconds * 1e3)}ms"
    elif seconds > 1e-6:
        return f"{int(seconds * 1e6)}µs"
    else:
        return "0s" if seconds == 0 else f"{int(seconds * 1e9)}ns"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.1f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{text}"
    return f"{int(minutes)}m{text}" if minutes else text


def rfc3339(time: datetime) -> str:
    """A time in UTC to the second, as Litestream's listings have it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(count: float) -> str:
    """Bytes in decimal units: 412 B, 8.3 MB."""
    unit = 0
    while count >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.0f} {_BYTE_UNITS[unit]}" if unit == 0 or count >= 99.5 else f"{count:.1f} {_BYTE_UNITS[unit]}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns two spaces apart, the last one not padded: the shape of Litestream's listings, in pipes as well."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header) - 1)]
    return "\n".join(
        "".join(cell.ljust(width) + "  " for cell, width in zip(line, widths, strict=False)) + line[-1]
        for line in lines
    )


def clock_time(time: float) -> str:
    """A time of day in UTC; `time` is seconds since the epoch."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")


def day_time(time: float) -> str:
    """Day and minute in UTC: 10-20 04:27Z."""
    return datetime.fromtimestamp(time, UTC).strftime("%m-%d %H:%MZ")


def age(seconds: float) -> str:
    """How long, in the one unit that matters: 0.4s, 14s, 3m, 2h, 5d."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s" if seconds >= 0.05 else "0s"
    for unit, length, below in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 2 * 86400)):
        if seconds < below:
            return f"{int(seconds / length)}{unit}"
    return f"{int(seconds / 86400)}d"


def short_position(position: Position | None) -> str:
    """A position with the first half of its generation's name; "-" for none."""
    return f"{position.generation[:8]}/{position.index:08x}:{position.offset}" if position is not None else "-"


def short_object(name: str) -> str:
    """An object's name without what all of them share: 7ecd3310/wal/00000003_00000020."""
    parts = name.removesuffix(".lz4").removeprefix("generations/").split("/")
    return "/".join([parts[0][:8], *parts[1:]]) if len(parts) > 1 else name


def plain(text: str) -> str:
    """A text from outside on one line, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else " " if char.isspace() else repr(char)[1:-1] for char in text)

"""Values as text for people: pure, and the same in every place that shows them."""

from datetime import UTC, datetime

from replication.position import Position

_CUTS = (
    (10_000_000_000, 1_000_000_000),
    (1_000_000_000, 100_000_000),
    (1_000_000, 1_000_000),
    (1_000, 1_000),
)
"""Durations above the first are cut to whole multiples of the second, in nanoseconds."""
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB")


def go_duration(seconds: float) -> str:
    """A duration as Litestream prints one in its listings: Go's notation, cut to what matters at its size."""
    nanoseconds = round(abs(seconds) * 1e9)
    for above, unit in _CUTS:
        if nanoseconds > above:
            nanoseconds -= nanoseconds % unit
            break
    sign = "-" if seconds < 0 and nanoseconds else ""
    unit, name = next((item for item in _UNITS if nanoseconds >= item[0]), _UNITS[0])
    minutes, rest = divmod(nanoseconds, 60 * unit) if name == "s" else (0, nanoseconds)
    hours, minutes = divmod(minutes, 60)
    text = sign + (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "")
    whole, part = divmod(rest, unit)
    fraction = f"{part:0{len(str(unit)) - 1}}".rstrip("0") if part else ""
    return f"{text}{whole}{'.' if fraction else ''}{fraction}{name}"


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


def counted(count: int, what: str) -> str:
    """A count and what is counted: 1 object, 2 objects."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


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

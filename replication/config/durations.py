"""Durations as Go writes them: `300ms`, `15s`, `1h30m`. Pure text and numbers.

Its promise: what Go's time.ParseDuration takes is taken with the same meaning, to the nanosecond.
It leaves to the caller which durations make sense for what.
"""

import re
from fractions import Fraction

NANOSECONDS_MAX = (1 << 63) - 1
"""The longest duration that Go can hold, about 292 years."""

_UNIT_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_UNIT = "(?:ns|us|µs|μs|ms|s|m|h)"
_PART = re.compile(f"({_NUMBER})({_UNIT})")
_DURATION = re.compile(f"([-+]?)(0|(?:{_NUMBER}{_UNIT})+)")

TEXT_CHARS_MAX = 128
"""A longer text is not read: no duration needs it."""


def parse_duration(text: str) -> float:
    """The seconds in a Go duration; ValueError, without words for a person, if it is not one."""
    return parse_nanoseconds(text) / 1e9


def parse_nanoseconds(text: str) -> int:
    """The nanoseconds in a Go duration, each part cut to whole ones; ValueError if it is not one."""
    match = _DURATION.fullmatch(text) if len(text) <= TEXT_CHARS_MAX else None
    if match is None:
        raise ValueError("not a duration")
    parts = _PART.findall(match[2])
    nanoseconds = sum(int(Fraction(number) * _UNIT_NANOSECONDS[unit]) for number, unit in parts)
    if nanoseconds > NANOSECONDS_MAX:
        raise ValueError("longer than a duration can be")
    return -nanoseconds if match[1] == "-" else nanoseconds


def format_duration(seconds: float) -> str:
    """A duration as Go prints it: `1h30m0s`, `1.5s`, `300ms`, `0s`. It is rounded to nanoseconds."""
    nanoseconds = round(seconds * 1e9)
    sign = "-" if nanoseconds < 0 else ""
    nanoseconds = abs(nanoseconds)
    if nanoseconds == 0:
        return "0s"
    for unit in ("ns", "µs", "ms"):
        if nanoseconds < 1000 * _UNIT_NANOSECONDS[unit]:
            return f"{sign}{_decimal(nanoseconds, _UNIT_NANOSECONDS[unit])}{unit}"
    minutes, rest = divmod(nanoseconds, _UNIT_NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, _UNIT_NANOSECONDS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _decimal(value: int, unit: int) -> str:
    """value / unit exactly, without trailing zeros, where `unit` is a power of ten."""
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(unit + rest)[1:].rstrip('0')}"

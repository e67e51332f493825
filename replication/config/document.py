"""A configuration as read, before it means anything: sections of keys, each value with its line.

Its promise: whatever is of the wrong type or out of bounds is refused with file, line, its path in the
document and the right form, and no message repeats a secret. Refusals are gathered, so that a file is mended once and
not line by line. It leaves to the caller which keys it needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from replication.config.durations import format_duration, parse_duration
from replication.config.schema import Level
from replication.config.unknown_keys import (
    HOLDER_PREFIX,
    IDLE_KEYS_OF_05,
    SECRET_KEYS,
    keys_of,
    shown_key,
    unknown_key,
)
from replication.errors import ConfigError
from replication.key_rows import Key
from replication.scrub import quoted
from replication.storage.url_parts import plain

SHORTEST_DURATION_SECONDS = 0.001
"""A shorter duration is a number without its unit, which would mean nanoseconds."""

REFUSALS_MAX = 20
"""More are counted and not shown."""

T = TypeVar("T")

_DAYS = re.compile(r"([0-9]{1,6})\s*(d|days?|w|weeks?)")
_SIZE = re.compile(r"([0-9]{1,15})\s*(|B|[KMGT]i?B)", re.IGNORECASE)
_SIZES = "a whole number of bytes, or one with its unit, such as 512MB or 2GiB"
_UNITS: Mapping[str, int] = {
    "": 1,
    "B": 1,
    **{f"{unit}B": int(1000**power) for power, unit in enumerate("KMGT", 1)},
    **{f"{unit}IB": int(1024**power) for power, unit in enumerate("KMGT", 1)},
}
_FORMS = "a number and a unit, such as 300ms, 15s, 1h30m or 24h"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One plain value: its text, and what YAML takes it for. `number` is set for int, `flag` for bool."""

    text: str = field(repr=False)
    kind: str
    line: int
    number: int | None = None
    flag: bool | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    values: "tuple[Value, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping; `lines` says where each key stands."""

    values: "Mapping[str, Value]"
    lines: Mapping[str, int]
    line: int


Value = Scalar | Items | Mapped


class RefusedError(ConfigError):
    """What is refused, with its line."""

    def __init__(self, file: str, line: int, where: str, problem: str) -> None:
        super().__init__(f"{file}:{line}: {where} {problem}")
        self.line = line


@dataclass(slots=True)
class Findings:
    """What is gathered while a file is read.

    `lines` are allowed but most likely not meant, `information` is what was understood although it is spelled in
    another way, and `refusals` is what the file cannot be used with.
    """

    file: str
    lines: list[str]
    information: list[str] = field(default_factory=list)
    refusals: list[RefusedError] = field(default_factory=list)

    def add(self, line: int, text: str) -> None:
        self.lines.append(f"{self.file}:{line}: {text}")

    def inform(self, line: int, text: str) -> None:
        self.information.append(f"{self.file}:{line}: {text}")

    def check(self) -> None:
        """Raise ConfigError with all that was refused, in the order of the lines."""
        found = sorted(self.refusals, key=lambda item: item.line)
        words = list(dict.fromkeys(str(item) for item in found))
        if len(words) > REFUSALS_MAX:
            words[REFUSALS_MAX:] = [f"{self.file}: and {len(words) - REFUSALS_MAX} more"]
        if words:
            raise ConfigError("\n".join(words)) from None


class Section:
    """One mapping of the document. A value that is refused is as one that is not there."""

    def __init__(self, value: Value, where: str, level: Level, findings: Findings) -> None:
        """Raises RefusedError if it is no mapping."""
        self.where, self.level, self.findings = where, level, findings
        self.failed = False
        """True if something in it was refused: then a key that it lacks may only be misspelt."""
        if not isinstance(value, Mapped):
            raise refusal(findings.file, value.line, where or "the document", "must be a mapping of keys to values")
        self.line = value.line
        self._lines = dict(value.lines)
        self._values = dict(value.values)

    def check_keys(self) -> None:
        """Refuse keys that are not known here. One that is only spelled in another way is understood."""
        known = keys_of(self.level)
        for key in list(self._values):
            if key in known or (self.level == "top" and key.startswith(HOLDER_PREFIX)):
                continue
            if plain(key) in known:
                self._understand(key, plain(key))
            elif plain(key) in IDLE_KEYS_OF_05:
                self.note(key, f"is a key of Litestream 0.5 that changes nothing here: {IDLE_KEYS_OF_05[plain(key)]}")
                del self._values[key]
            else:
                self.refuse(self.refusal(key, unknown_key(self.level, key)))
                del self._values[key]

    def _understand(self, key: str, meant: str) -> None:
        """Take `key` for the known key that it spells in another way."""
        line, value = self._lines[key], self._values.pop(key)
        if meant not in self._values:
            self.findings.inform(line, f"{self.path(key)} is read as {meant}, which is how that key is spelled")
            self._values[meant], self._lines[meant] = value, line
        elif _as_written(value) != _as_written(self._values[meant]):
            problem = (
                f"is {meant} in another spelling, which line {self._lines[meant]} has with another value; remove one"
            )
            self.refuse(refusal(self.findings.file, line, self.path(key), problem))
        else:
            self.findings.inform(line, f"{self.path(key)} says the same as {meant} on line {self._lines[meant]}")

    def refuse(self, error: RefusedError) -> None:
        """Keep a refusal. All of them are raised together at the end."""
        self.failed = True
        self.findings.refusals.append(error)

    def refusal(self, key: str | None, problem: str) -> RefusedError:
        """The refusal of `key`, or of the section as a whole."""
        if key is None:
            return refusal(self.findings.file, self.line, self.where or "the document", problem)
        return refusal(self.findings.file, self.line_of(key), self.path(key), problem)

    def line_of(self, key: str) -> int:
        """Where `key` stands."""
        return self._lines.get(key, self.line)

    def path(self, key: str) -> str:
        """The path of `key` in the document."""
        return f"{self.where}.{shown_key(key)}" if self.where else shown_key(key)

    def note(self, key: str, text: str) -> None:
        """Keep a remark about `key` that does not stop the program."""
        self.findings.add(self.line_of(key), f"{self.path(key)} {text}")

    def has(self, key: str) -> bool:
        """True if `key` is there and not empty."""
        value = self._values.get(key)
        return value is not None and not (isinstance(value, Scalar) and (value.kind == "null" or not value.text))

    def text(self, key: str) -> str | None:
        """The text of `key`; None if it is not there or empty. A number or date is taken as it is written."""
        return self._or(None, lambda: self._text(key))

    def read(self, key: Key) -> Any:
        """The value of a key by its row; its default if it is not there or refused."""
        default: Any = key.default
        match key.reader:
            case "flag":
                return default if (flag := self.flag(key.name)) is None else flag
            case "count":
                return self.count(key.name, default, key.least)
            case "duration":
                return self.duration(key.name, default, key.never_zero or None)
            case "size":
                return default if (size := self.size(key.name)) is None else size
            case "text":
                return self.text(key.name) or default
            case _:
                raise AssertionError(f"{key.name} has no plain value")

    def flag(self, key: str) -> bool | None:
        """The truth of `key`; None if it is not there."""
        return self._or(None, lambda: self._flag(key))

    def count(self, key: str, default: int, least: int) -> int:
        """The whole number of `key`, at least `least`."""
        return self._or(default, lambda: self._count(key, default, least))

    def duration(self, key: str, default: float, zero: str | None) -> float:
        """The seconds of `key`. `zero` says why it cannot be nothing, or is None if it can."""
        return self._or(default, lambda: self._duration(key, default, zero))

    def size(self, key: str) -> int | None:
        """The bytes of `key`; None if it is not there."""
        return self._or(None, lambda: self._size(key))

    def _or(self, default: T, read: Callable[[], T]) -> T:
        try:
            return read()
        except RefusedError as error:
            self.refuse(error)
            return default

    def _text(self, key: str) -> str | None:
        value = self._scalar(key, "must be text")
        if value is None:
            return None
        if "\0" in value.text:
            raise self.refusal(key, "holds a NUL character")
        return value.text

    def _flag(self, key: str) -> bool | None:
        value = self._scalar(key, "must be true or false")
        if value is None:
            return None
        if value.flag is None:
            raise self.refusal(key, f"must be true or false, without quotes{self._instead(key, value)}")
        return value.flag

    def _count(self, key: str, default: int, least: int) -> int:
        value = self._scalar(key, "must be a whole number")
        if value is None:
            return default
        if value.number is None:
            raise self.refusal(key, f"must be a whole number, such as {default}{self._instead(key, value)}")
        if value.number < least:
            raise self.refusal(key, f"must be at least {least}, not {value.number}; leave it out for {default}")
        return value.number

    def _size(self, key: str) -> int | None:
        value = self._scalar(key, f"must be a size: {_SIZES}")
        if value is None:
            return None
        match = _SIZE.fullmatch(value.text)
        if match is None:
            raise self.refusal(key, f"must be a size: {_SIZES}{self._instead(key, value)}")
        return int(match[1]) * _UNITS[match[2].upper()]

    def _duration(self, key: str, default: float, zero: str | None) -> float:
        value = self._scalar(key, f"must be a duration: {_FORMS}")
        if value is None:
            return default
        seconds = value.number / 1e9 if value.number is not None else self._parse(key, value)
        if seconds < 0:
            raise self.refusal(key, f"must not be negative{'; 0 switches it off' if zero is None else ''}")
        if seconds == 0 and zero is not None:
            raise self.refusal(key, f"must be more than 0: {zero}; leave it out for {format_duration(default)}")
        if 0 < seconds < SHORTEST_DURATION_SECONDS:
            problem = f"is {format_duration(seconds)}, and the shortest is 1ms"
            if value.number is not None:
                problem += f": a bare number is nanoseconds; write {value.number}s if you mean seconds"
            raise self.refusal(key, problem)
        if value.number:
            self.note(key, f"has no unit: {value.number} nanoseconds are {format_duration(seconds)}; write {_FORMS}")
        return seconds

    def section(self, key: str, level: Level) -> "Section | None":
        """The mapping below `key`; None if it is not there or empty."""
        value = self._values.get(key)
        if value is None or (isinstance(value, Scalar) and value.kind == "null"):
            return None
        return self._or(None, lambda: Section(value, self.path(key), level, self.findings))

    def sections(self, key: str, level: Level, text_is: str = "") -> "list[Section]":
        """The mappings in the list below `key`; none if it is not there or empty.

        With `text_is` a plain text stands for a mapping that has this key alone.
        """
        value = self._values.get(key)
        if value is None or (isinstance(value, Scalar) and value.kind == "null"):
            return []
        if not isinstance(value, Items):
            self.refuse(self.refusal(key, 'must be a list: each entry begins with "- "'))
            return []
        found = []
        for number, item in enumerate(value.values):
            where = f"{self.path(key)}[{number}]"
            if text_is and isinstance(item, Scalar) and item.kind != "null":
                item = Mapped({text_is: item}, {text_is: item.line}, item.line)
            made = self._or(None, lambda item=item, where=where: Section(item, where, level, self.findings))  # type: ignore[misc]
            found += [made] if made is not None else []
        return found

    def _scalar(self, key: str, problem: str) -> Scalar | None:
        value = self._values.get(key)
        if value is None or (isinstance(value, Scalar) and (value.kind == "null" or not value.text)):
            return None
        if isinstance(value, Scalar):
            return value
        raise self.refusal(key, f"{problem}, not a {'list' if isinstance(value, Items) else 'mapping'}")

    def _parse(self, key: str, value: Scalar) -> float:
        try:
            return parse_duration(value.text)
        except ValueError:
            pass
        days = _DAYS.fullmatch(value.text)
        if days:
            hours = int(days[1]) * (24 if days[2].startswith("d") else 168)
            raise self.refusal(key, f"has no unit for {'days' if days[2][0] == 'd' else 'weeks'}; write {hours}h")
        raise self.refusal(key, f"must be a duration: {_FORMS}{self._instead(key, value)}")

    def _instead(self, key: str, value: Scalar) -> str:
        return "" if key in SECRET_KEYS else f", not {quoted(value.text)!r}"


def refusal(file: str, line: int, where: str, problem: str) -> RefusedError:
    """A ConfigError in the form all have: file, line, path in the document, what is wrong, what to do."""
    return RefusedError(file, line, where, problem)


def _as_written(value: Value) -> object:
    """A form of a value that is equal for two values that say the same."""
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, Items):
        return [_as_written(item) for item in value.values]
    return {key: _as_written(item) for key, item in value.values.items()}

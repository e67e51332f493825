"""A key of the configuration as a row: its name, how its value is read, its default, and why one would set it.

Its promise: all that is to be said of a key is said in its row, and once. Whether a key is known, what is refused, the
example file and the reference are made from the rows. Where in the file a row belongs, and reading it, is left to
config/.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Reader = Literal["text", "path", "flag", "count", "duration", "size", "map", "list"]
"""How a value is read: `count` is a whole number, `duration` seconds, `size` bytes."""

T = TypeVar("T")

PLAIN_READERS = ("text", "flag", "count", "duration", "size")
"""Those that need nothing but the value itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row. Sentences are for people, and are shown in the example file and the reference."""

    name: str
    why: str
    """What it does and what to mind, in sentences."""
    reader: Reader = "text"
    default: Any = None
    """The value where the key is not set, as the program has it."""
    otherwise: str = ""
    """In words, what counts where the key is not set, if that is no fixed value."""
    unit: str = ""
    """What a count counts."""
    choices: tuple[str, ...] = ()
    """The only texts that it may be."""
    least: int = 0
    """The smallest count."""
    never_zero: str = ""
    """Why a duration cannot be nothing; "" if it can."""
    example: str = ""
    """What the example file shows, where that is not the default."""
    is_set: bool = False
    """Whether the example file sets it, and does not only show it."""
    is_secret: bool = False
    """Whether its value is kept out of every message."""
    is_for_all: bool = False
    """Of a replica: whether it may stand at the top of the file, for every replica that has none of its own."""
    is_place: bool = False
    """Of a replica: whether it is part of the location, which a url may give in its stead (bucket, path)."""
    is_option: bool = False
    """Of a replica: whether the query of a URL may have it."""

    @property
    def shown(self) -> str:
        """The default as one would write it: 24h, true, 1000; "" if that is no fixed value."""
        if self.default is None:
            return ""
        if self.reader == "duration":
            return _duration(self.default)
        return str(self.default).lower() if self.reader == "flag" else str(self.default)


def row(name: str, why: str, reader: Reader, default: T, **more: Any) -> T:
    """A field that is read by its row."""
    return field(default=default, metadata={"key": Key(name=name, why=why, reader=reader, default=default, **more)})


def _duration(seconds: float) -> str:
    """Whole hours, minutes or seconds, as people write them."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"

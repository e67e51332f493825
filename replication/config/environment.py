"""Environment variables in a text, replaced as Go's os.Expand does, and so as Litestream does in its file.

    $NAME ${NAME}   the value; nothing if it is not set      $$ $1 $-   nothing
    $ before a space or at the end   stays                   ${} and an unclosed ${   are dropped

There is no escape and no default value: ${NAME:-x} is a variable with a strange name, and so is nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(
    r"""\$(?:
      \{ (?P<braced>[^}]*) \}
    | (?P<unclosed>\{)
    | (?P<special>[*\#$@!?\-0-9])
    | (?P<name>[A-Za-z0-9_]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its variables replaced, and the lines (from 1) where one was not set and became nothing."""

    text: str
    unset_lines: tuple[int, ...]


def expand_environment(text: str, environ: Mapping[str, str]) -> Expansion:
    """Replace every reference in `text`, also in comments; only outside of them is one counted as unset."""
    unset: list[int] = []

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["name"]
        if name is not None and name in environ:
            return environ[name]
        start = text.rfind("\n", 0, match.start()) + 1
        if not text[start : match.start()].lstrip().startswith("#"):
            unset.append(text.count("\n", 0, match.start()) + 1)
        return ""

    return Expansion(_REFERENCE.sub(value, text), tuple(dict.fromkeys(unset)))

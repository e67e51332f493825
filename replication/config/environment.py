"""Environment variables in a text, replaced as Litestream does in its file, and with defaults as shells do.

    $NAME ${NAME}   the value; nothing if it is not set      $$ $1 $-   nothing
    ${NAME:-text}   the value; the text if it is not set or empty
    ${NAME-text}    the value; the text if it is not set
    $ before a space or at the end   stays

There is no escape. Whatever else stands in braces is handed back as an error: Litestream puts nothing in its place, by
which a replica lands where nobody meant it. A default holds no "}", and no variable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(
    r"""\$(?:
      \{ (?P<braced>[A-Za-z_][A-Za-z0-9_]*) (?: (?P<how>:?-) (?P<default>(?:(?!\$\{)[^}\n])*) )? \}
    | (?P<odd>\{)
    | (?P<special>[*\#$@!?\-0-9])
    | (?P<name>[A-Za-z0-9_]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its variables replaced, and the lines (from 1) where one was not set and became nothing, and where
    braces hold something else.
    """

    text: str
    unset_lines: tuple[int, ...]
    odd_lines: tuple[int, ...] = ()


def expand_environment(text: str, environ: Mapping[str, str]) -> Expansion:
    """Replace every reference in `text`, also in comments. Only those outside of comments are counted."""
    unset: list[int] = []
    odd: list[int] = []

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["name"]
        found = environ.get(name) if name is not None else None
        if match["how"] == ":-":
            return found or match["default"]
        if found is not None:
            return found
        if match["how"]:
            return match["default"]
        start = text.rfind("\n", 0, match.start()) + 1
        if not text[start : match.start()].lstrip().startswith("#"):
            (odd if match["odd"] else unset).append(text.count("\n", 0, match.start()) + 1)
        return ""

    expanded = _REFERENCE.sub(value, text)
    return Expansion(expanded, tuple(dict.fromkeys(unset)), tuple(dict.fromkeys(odd)))

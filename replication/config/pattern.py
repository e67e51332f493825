"""Patterns for names of files, as Litestream has them (Go's filepath.Match): *, ?, [a-z], [^a-z], and \\ before any."""

import re
from functools import cache

from replication.reserved import BESIDE

_KEPT = re.compile(r"\.before-restore-[0-9]{8}T[0-9]{6}Z(-[0-9]+)?$|\.failed-check$")
"""The ends of the names of copies that a restore has kept."""


def is_kept_beside(name: str) -> bool:
    """True for a file that SQLite or a restore keeps beside a database, and that is none of an application."""
    return name.endswith(BESIDE) or _KEPT.search(name) is not None


def matches(pattern: str, name: str) -> bool:
    """True if the pattern matches the whole of `name`, which has no slash. Raises ValueError for a bad pattern."""
    return _compiled(pattern).fullmatch(name) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces, at = [""], 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            pieces.append("")
            at += 1
        elif char == "?":
            pieces[-1] += "."
            at += 1
        elif char == "[":
            piece, at = _set(pattern, at + 1)
            pieces[-1] += piece
        else:
            literal, at = _literal(pattern, at)
            pieces[-1] += re.escape(literal)
    first, *middle = pieces
    last = f".*{middle.pop()}" if middle else ""
    # The first place that a piece fits at is as good as any, so no other is tried: names are written by strangers.
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + last, re.DOTALL)


def _set(pattern: str, at: int) -> tuple[str, int]:
    """The expression for a set whose bracket was read, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges = ""
    while not (ranges and pattern.startswith("]", at)):
        if pattern[at : at + 1] in ("", "-", "]"):
            raise ValueError("a [ has no ] behind it, or nothing between them")
        low, at = _literal(pattern, at)
        high = low
        if pattern.startswith("-", at):
            if pattern[at + 1 : at + 2] in ("", "-", "]"):
                raise ValueError("a - in brackets has no end")
            high, at = _literal(pattern, at + 1)
        if high < low:
            raise ValueError(f"{low}-{high} has nothing between its ends")
        ranges += f"{re.escape(low)}-{re.escape(high)}"
    return f"[{'^' if negated else ''}{ranges}]", at + 1


def _literal(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] != "\\":
        return pattern[at], at + 1
    if at + 1 == len(pattern):
        raise ValueError("a \\ has nothing behind it")
    return pattern[at + 1], at + 2

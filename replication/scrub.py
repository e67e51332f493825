"""Secrets that must not be seen: registered once, taken out of any text that leaves the program.

Its promise: after `register_secret`, `scrub` lets no copy of the value through, as it is or as URLs, JSON or
quoted log lines spell it. It is the second line of defence: nothing should put a secret in a text at all.
"""

import re
import threading

SECRET_CHARS_MIN = 4
"""Shorter values are not scrubbed: they would eat ordinary words."""

HIDDEN = "[hidden]"
"""What stands where a secret was."""

_lock = threading.Lock()
_spellings: frozenset[str] = frozenset()
_pattern: re.Pattern[str] | None = None


def register_secret(value: str | None) -> None:
    """Hide `value` from now on; None and what is shorter than SECRET_CHARS_MIN are passed over."""
    global _spellings, _pattern
    if value is None or len(value) < SECRET_CHARS_MIN:
        return
    # Most commands have no secret, and need neither.
    import json
    from urllib.parse import quote, quote_plus

    spelled = {
        value,
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        quote(value, safe="/", errors="replace"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }
    with _lock:
        if spelled <= _spellings:
            return
        _spellings = _spellings | spelled
        # The longest first, so that one secret inside another leaves no rest behind.
        alternatives = sorted(_spellings, key=len, reverse=True)
        _pattern = re.compile("|".join(re.escape(text) for text in alternatives))


def scrub(text: str) -> str:
    """`text` with every registered secret replaced by HIDDEN."""
    pattern = _pattern
    return text if pattern is None else pattern.sub(HIDDEN, text)

"""Secrets that must not be seen: registered once, taken out of any text that leaves the program.

Its promise: after `register_secret`, `scrub` lets no copy of the value through, as it is or as URLs, JSON or
quoted log lines spell it. It also removes the user and password of any URL, which need not be registered. It is
the second line of defence: nothing should put a secret in a text at all. What a person typed and a message repeats
goes through `quoted` first, which hides whatever could be a key, for people put keys into the wrong places.
"""

import re
import threading

SECRET_CHARS_MIN = 4
"""Shorter values are not scrubbed: they would eat ordinary words."""

HIDDEN = "[hidden]"
"""What stands where a secret was."""

QUOTED_CHARS_MAX = 60
"""What a person typed is cut after so many characters."""

_lock = threading.Lock()
_spellings: frozenset[str] = frozenset()
_pattern: re.Pattern[str] | None = None


def register_secret(value: str | None) -> None:
    """Hide `value` from now on; None and what is shorter than SECRET_CHARS_MIN are passed over."""
    global _spellings, _pattern
    if value is None or len(value) < SECRET_CHARS_MIN:
        return
    # Imported here, for most commands have no secret and need neither.
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


# A port is no password, though an @ may follow in the path.
_USER_INFO = re.compile(r"""(://+)[^\s'"/@:]*:(?!\d{1,5}/)[^\s'"]+@""")
# Without a scheme only what looks like the id of a key is taken for one.
_BARE_USER_INFO = re.compile(r"""\b[A-Z0-9]{16,128}:[^\s'"@]+@""")
_IN_QUERY = re.compile(
    r"""([?&;](?:access[-_]?key[-_]?id|secret[-_]?access[-_]?key|password|x-amz-[a-z-]+|sig(?:nature)?|[a-z-]*token)=)"""
    r"""[^&\s'"]+""",
    re.IGNORECASE,
)
_ACCESS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b")
# Base64 in one piece, of letters in both cases and digits: paths and names seldom look so.
_LIKE_A_KEY = re.compile(r"(?=[^\s]*[a-z])(?=[^\s]*[A-Z])(?=[^\s]*[0-9])[A-Za-z0-9/+=_~.-]{20,}")


def scrub(text: str) -> str:
    """`text` with every registered secret, and the user and password of each URL, replaced by HIDDEN."""
    pattern = _pattern
    if pattern is not None:
        text = pattern.sub(HIDDEN, text)
    if "@" in text:
        text = _BARE_USER_INFO.sub(f"{HIDDEN}@", _USER_INFO.sub(rf"\1{HIDDEN}@", text))
    return _IN_QUERY.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def quoted(text: str) -> str:
    """What a person typed as a message repeats it: cut, with nothing that a terminal obeys or that could be a key."""
    text = _LIKE_A_KEY.sub(HIDDEN, _ACCESS_KEY_ID.sub(HIDDEN, scrub(text)))
    cut = text if len(text) <= QUOTED_CHARS_MAX else text[:QUOTED_CHARS_MAX] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def holds_secret(text: str) -> bool:
    """True if a registered secret is in the text."""
    pattern = _pattern
    return pattern is not None and pattern.search(text) is not None

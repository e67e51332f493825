"""The parts of a replica URL, and what every kind of store does with them. Pure; errors are ConfigError.

Its promise: percent escapes are undone in one way, no option is passed over, and no message repeats a password.
"""

import difflib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_to_bytes

from replication.errors import ConfigError
from replication.scrub import quoted

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SECRET_WORDS = ("secret", "password", "token", "access-key", "accesskey")


@dataclass(frozen=True, slots=True)
class ReplicaURL:
    """SCHEME://HOST/PATH?QUERY as it was written, escapes and all; `query` is without its question mark."""

    scheme: str
    host: str
    path: str = field(repr=False)
    query: str | None = field(repr=False)

    def options(
        self, known: Sequence[str], idle: Mapping[str, str], refused: Mapping[str, str], note: Callable[[str], None]
    ) -> dict[str, str]:
        """The options of the query by their plain names, without those that change nothing: these are noted.

        Raises ConfigError for one that is not known, is there twice, or would change where or how data is kept.
        """
        options: dict[str, str] = {}
        for written, value in parse_qsl(self.query or "", keep_blank_values=True):
            key = plain(written)
            if key in refused:
                raise ConfigError(
                    f"the {self.scheme} replica URL has {key} in its query, an option of Litestream 0.5; {refused[key]}"
                )
            if key not in known and key not in idle:
                raise ConfigError(self._unknown(written, known))
            if key in options:
                raise ConfigError(f"the {self.scheme} replica URL has {quoted(key)} twice in its query")
            if not value:
                raise ConfigError(f"the {self.scheme} replica URL has {quoted(key)} without a value in its query")
            options[key] = value
            if key in idle:
                note(f"has {key} in its query, an option of Litestream 0.5 that changes nothing here: {idle[key]}")
        return options

    def flag(self, options: dict[str, str], key: str) -> bool | None:
        """The truth of an option; None if it is not there."""
        if key not in options:
            return None
        value = _BOOLEANS.get(options[key].lower())
        if value is None:
            raise ConfigError(f"{key} in the {self.scheme} replica URL is true or false, not {quoted(options[key])!r}")
        return value

    def _unknown(self, key: str, known: Sequence[str]) -> str:
        if any(word in key.lower().replace("_", "-") for word in _SECRET_WORDS):
            return (
                f"the {self.scheme} replica URL has {key} in its query, but keys are not read from a URL; set them in "
                "the configuration or the environment"
            )
        nearest = difflib.get_close_matches(plain(key), known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"it may have {', '.join(known)}"
        return f"the {self.scheme} replica URL has an unknown key {quoted(key)!r} in its query; {hint}"


def plain(key: str) -> str:
    """A key as it is spelled here: `access_key_id`, `accessKeyId` and `ACCESS-KEY-ID` are `access-key-id`."""
    return _HUMP.sub("-", key).lower().replace("_", "-")


def clean_path(path: str) -> str:
    """A path inside a store as Litestream keeps it: no slash at either end, no empty, "." or ".." parts."""
    return posixpath.normpath("/" + path).strip("/")


def decode(text: str, errors: str = "strict") -> str:
    """Undo percent escapes; `errors` says what to do with bytes that are not UTF-8. Raises ConfigError."""
    if _BAD_ESCAPE.search(text):
        raise ConfigError("the replica URL has a % that begins no escape; write %25 where % is part of it")
    try:
        decoded = unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", errors)
    except UnicodeDecodeError:
        raise ConfigError("the percent escapes of the replica URL are not UTF-8") from None
    if "\0" in decoded:
        raise ConfigError("the replica URL holds a NUL byte")
    return decoded

"""Replica URLs: the text people write for a location, read into a Location by the kind of store that it names.

Its promise: a URL either means one store, the one its writer sees in it, or is refused in words. It is pure,
and leaves to the caller whether the store exists. Errors are ConfigError and never repeat a password or key.
How a URL of a kind is written is in the folder of the kind. Percent escapes are decoded in all.
"""

import re

from replication.errors import ConfigError
from replication.scrub import quoted
from replication.storage.kind import Note
from replication.storage.kinds import KINDS, MISSING, TYPES, URL_FORMS
from replication.storage.location import Location
from replication.storage.url_parts import ReplicaURL

_URL = re.compile(r"(\w+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL | re.ASCII)
_URL_START = re.compile(r"\w+://", re.ASCII)


def is_replica_url(text: str) -> bool:
    """True if `text` begins as a URL does, so that it cannot be meant as a path."""
    return _URL_START.match(text) is not None


def parse_replica_url(text: str, note: Note = lambda words: None) -> Location:
    """Read a replica URL; raise ConfigError, in words, if it does not name one store.

    `note` takes the end of a sentence about what of it is allowed and changes nothing.
    """
    match = _URL.fullmatch(text)
    if match is None:
        # What has no scheme is most likely a path, but it may be a mangled URL that holds a password.
        shown = f": {text}" if "@" not in text else ""
        raise ConfigError(f"replica url scheme required{shown}; write {URL_FORMS}")
    scheme, host, path, query, fragment = match[1].lower(), match[2], match[3], match[4], match[5]
    if scheme in MISSING:
        raise ConfigError(f"replica type {scheme} is not built yet; {MISSING[scheme].nearest_way}")
    if scheme not in KINDS:
        raise ConfigError(f"unknown replica type {quoted(scheme)}; use {TYPES}")
    if "@" in host:
        raise ConfigError(
            f"the {scheme} replica URL has a user or password before @, which is not read from a URL; set "
            "access-key-id and secret-access-key in the configuration, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment"
        )
    if fragment is not None:
        raise ConfigError(f"the {scheme} replica URL has a #; write %23 where # is part of the path")
    location: Location = KINDS[scheme].from_url(ReplicaURL(scheme, host, path, query), note)
    return location

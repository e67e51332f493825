"""What a database is called on the screen: its path, and HOST:PATH for one of another host. Pure.

A path of this machine begins with a slash, and no host's name has a slash or a colon in it. HOST: alone is the host
itself, in a row of its own while nothing is known of its databases.
"""

from pathlib import Path

from replication.config.location import output_path
from replication.errors import UsageError
from tui.text.format import plain


def far(host: str, path: str) -> str:
    """What the database of another host is called."""
    return f"{host}:{path}"


def split(path: str) -> tuple[str, str]:
    """The host and its path; "" is this machine."""
    host, colon, rest = path.partition(":")
    is_far = bool(colon and host) and "/" not in host and not host.endswith(" ") and not rest.startswith(" ")
    return (host, rest) if is_far else ("", path)


def host_of(path: str) -> str:
    """The host of a database; "" for this machine."""
    return split(path)[0]


def is_host(path: str) -> bool:
    """True for a host itself, and none of its databases."""
    host, rest = split(path)
    return bool(host) and not rest


def file_name(path: str) -> str:
    """The name of the file, without what a terminal would obey."""
    return plain(path).rpartition("/")[2]


def short_name(path: str) -> str:
    """What a database is called in a sentence: app.db, or web1:app.db."""
    host, rest = split(path)
    return far(plain(host), file_name(rest)) if host else file_name(path)


def output_beside(database: str, text: str) -> Path:
    """Where a restore of that database goes, as a person named it: on the same host. Raises UsageError."""
    host, named = host_of(database), text
    if not host:
        return output_path(text)
    if host_of(text) == host:
        named = split(text)[1]
    if not named.startswith("/") or named.endswith("/"):
        raise UsageError(f"{text} is no whole path of a file on {host}, such as /srv/app.db.restored")
    return Path(far(host, named))

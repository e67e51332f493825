"""Where the control socket of a configuration is, and finding that of the engine that has its databases.

The configuration says so, or it is a name made of the path of its file, in the first of these folders that there is,
and whose path leaves room for a name: what systemd gave the service (RuntimeDirectory=), /run/litestream-tui for root,
$XDG_RUNTIME_DIR/litestream-tui, and without that, as for a service of another user, /tmp/litestream-tui-UID. A client
may be in another environment, perhaps, so the lock file of each database says where it is.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from replication.config import Config
from replication.control.peer import connect, fits
from replication.database.lock import socket_of
from replication.errors import NoEngineError, ReplicationError

SUFFIX = ".sock"
_NAME_BYTES_MAX = 64
_FOLDER = "litestream-tui"


def default_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """The socket path of an engine whose configuration does not name one."""
    name = f"{_name(config)}{SUFFIX}"
    return next(path for folder in _folders(environ) if fits(path := folder / name))


def path_of(config: Config, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The socket path of an engine of this configuration, or None if it is not to listen."""
    if not config.socket.enabled:
        return None
    return config.socket.path or default_path(config, environ)


def find(config: Config, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The socket of the engine that has databases of this configuration, if one answers; None if none runs."""
    for path in _candidates(config, environ):
        try:
            connect(path).close()
        except NoEngineError:
            continue
        return path
    return None


def found(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """The same as `find`, but raises NoEngineError, which says where was looked."""
    path = find(config, environ)
    if path is None:
        where = path_of(config, environ)
        looked = f"nobody listens at {where}" if where else "its control socket is switched off in the configuration"
        raise NoEngineError(
            f"no running engine of {config.path or 'this configuration'} was found: {looked}; start one with "
            "litestream-tui replicate, and ask as the user who started it"
        )
    return path


def _candidates(config: Config, environ: Mapping[str, str]) -> Iterator[Path]:
    """The paths at which the socket may be, the likeliest first."""
    own = path_of(config, environ)
    if own is not None and os.path.lexists(own):
        yield own
    seen = {own}
    for database in config.databases:
        try:
            path = socket_of(database.meta_path)
        except ReplicationError:
            continue
        if path is not None and path not in seen:
            seen.add(path)
            yield path


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where the socket may be, the best first. The path of the last is always short enough."""
    given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given.startswith("/"):
        yield Path(given)
    if os.geteuid() == 0:
        yield Path("/run") / _FOLDER
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        yield Path(runtime) / _FOLDER
    own = f"{_FOLDER}-{os.geteuid()}"
    with suppress(OSError):
        # Nobody may write to any.
        yield Path(tempfile.gettempdir()) / own
    yield Path("/tmp") / own


def _name(config: Config) -> str:
    """The name of the socket for a configuration: /etc/litestream.yml becomes etc-litestream.yml.

    A long path is cut, and a digest tells it from others.
    """
    path = config.path or (config.databases[0].path if config.databases else Path("none"))
    text = str(path.absolute()).lstrip("/").replace("%", "%25").replace("-", "%2d").replace("/", "-")
    if len(os.fsencode(text)) <= _NAME_BYTES_MAX:
        return text
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:12]
    return f"{digest}-{os.fsdecode(os.fsencode(path.name)[:40])}"

"""Who is at the other end of a Unix socket, and connecting only to whom one may believe."""

import os
import socket
import stat
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from replication.config.socket_section import SOCKET_PATH_BYTES_MAX
from replication.errors import NoEngineError, NotAllowedError

CONNECT_SECONDS_MAX = 5.0
_FULL_SECONDS = 0.01
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process as the kernel knows it; -1 where it does not say."""

    pid: int
    uid: int

    @classmethod
    def of(cls, connected: socket.socket) -> "Peer":
        """The other end of a connection."""
        if not hasattr(socket, "SO_PEERCRED"):
            return cls(-1, -1)
        pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return cls(pid, uid)

    @property
    def is_ours(self) -> bool:
        """True for our own user and for root, who may do to us what they like anyway."""
        return self.uid in (os.geteuid(), 0)


def fits(path: Path) -> bool:
    """True if a socket may have this path."""
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX


def connect(path: Path, seconds: float = CONNECT_SECONDS_MAX) -> socket.socket:
    """A connection to the engine that listens at `path`. Raises NoEngineError, or NotAllowedError for a stranger's.

    The listener must be of our user, of root, or, for root, of the owner of the socket.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise NoEngineError(
            f"no engine listens at {path}: nothing is there; start one with litestream-tui replicate"
        ) from None
    except OSError as error:
        raise _no_permission(path, error) from None
    if not fits(path):
        raise NoEngineError(f"{path} is longer than the {SOCKET_PATH_BYTES_MAX} bytes that a socket's path may have")
    if not stat.S_ISSOCK(found.st_mode):
        raise NotAllowedError(f"{path} is no socket; name the socket of an engine, or remove what is there")
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connected, str(path), time.monotonic() + seconds)
        peer = Peer.of(connected)
        if peer.uid != -1 and not peer.is_ours and not (os.geteuid() == 0 and peer.uid == found.st_uid):
            raise NotAllowedError(
                f"whoever listens at {path} is user {peer.uid}, neither you nor root, and is not believed; ask as the "
                "user who replicates"
            )
    except BaseException as error:
        connected.close()
        if isinstance(error, ConnectionRefusedError | FileNotFoundError):
            raise NoEngineError(
                f"no engine listens at {path}: the one that did has ended; start one with litestream-tui replicate"
            ) from None
        if isinstance(error, OSError):
            raise _no_permission(path, error) from None
        raise
    return connected


def _connect(made: socket.socket, path: str, deadline: float) -> None:
    """Connect, waiting for room in the listener's queue."""
    while True:
        made.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            made.connect(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_FULL_SECONDS)
        else:
            return


def _no_permission(path: Path, error: OSError) -> NoEngineError:
    if isinstance(error, TimeoutError | BlockingIOError):
        return NoEngineError(f"the engine at {path} takes no connection; it may hang: look at its log")
    return NoEngineError(
        f"the engine at {path} cannot be reached: {error.strerror or error}; ask as the user who replicates"
    )

"""The socket in the file system: made so that only those it is for can reach it, and never over what is not ours.

Its promise: nobody can connect before its permissions are set; the socket of an engine that lives is left alone, one
that an ended engine left is replaced, and anything else in its place never. A lock decides who may replace it: that on
a file beside it, which goes with the process that has it.
"""

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from replication.config.socket_section import SOCKET_PATH_BYTES_MAX
from replication.control.peer import fits
from replication.errors import LocalFileError
from replication.nofollow import kind, make_folder, open_nearest, open_plain

PERMISSIONS_DEFAULT = 0o600
BACKLOG = 512
_LOCK_SUFFIX = ".lock"
_FOLDER_MODE = 0o755


class TakenError(LocalFileError):
    """Another engine listens there."""


class Listener:
    """A socket that listens. `accept` blocks until a client connects, and raises OSError after `close`."""

    def __init__(self, path: Path, permissions: int = PERMISSIONS_DEFAULT) -> None:
        """Raises TakenError, or LocalFileError in words."""
        self.path = path
        if not fits(path):
            raise LocalFileError(
                f"there is no control socket: {path} is longer than the {SOCKET_PATH_BYTES_MAX} bytes that the path of "
                "one may have; name a shorter one with socket: path"
            )
        folder = -1
        try:
            folder = _folder_of(path)
            self._lock = _lock(folder, path)
            try:
                self._socket = _listen(folder, path, permissions)
            except BaseException:
                os.close(self._lock)
                raise
            found = path.lstat()
        except OSError as error:
            raise LocalFileError(
                f"there is no control socket: {path} cannot be made ({error.strerror}); name another path with "
                "socket: path, or switch it off with socket: enabled: false"
            ) from None
        finally:
            if folder >= 0:
                os.close(folder)
        self._identity = found.st_dev, found.st_ino

    def accept(self) -> socket.socket:
        """The next connection."""
        return self._socket.accept()[0]

    def close(self) -> None:
        """Listen no more, and remove the socket, if it is still this one."""
        with suppress(OSError):
            # Wakes who waits in accept.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()
                # While the lock is ours: else another engine might lock the file just before it loses its name.
                Path(f"{self.path}{_LOCK_SUFFIX}").unlink()
        os.close(self._lock)


def _folder_of(path: Path) -> int:
    """A descriptor of the folder that the socket lies in, which is made if need be.

    As root, it is reached through no link that another user made.
    """
    folder, missing = open_nearest(path.parent)
    for name in missing:
        above = folder
        try:
            folder, _ = make_folder(above, name, _FOLDER_MODE)
        finally:
            os.close(above)
    found = os.fstat(folder)
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        os.close(folder)
        raise OSError(errno.EPERM, f"everybody may remove what is in {path.parent}", str(path))
    return folder


def _lock(folder: int, path: Path) -> int:
    """Lock the path of the socket for as long as this process lives. Raises TakenError."""
    name = f"{path.name}{_LOCK_SUFFIX}"
    while True:
        lock = open_plain(folder, name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise TakenError(f"another engine listens at {path}, so this one has no control socket") from None
        with suppress(FileNotFoundError):
            found, ours = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(lock)
            if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                return lock
        # The process that had it has removed it since it was opened here.
        os.close(lock)


def _listen(folder: int, path: Path, permissions: int) -> socket.socket:
    with suppress(FileNotFoundError):
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.EEXIST, f"there is {kind(found)}, which is left alone", str(path))
        if found.st_uid != os.geteuid():
            raise OSError(errno.EEXIST, f"there is a socket of user {found.st_uid}, which is left alone", str(path))
        if _answers(path):
            # Another program's, which knows nothing of our lock.
            raise TakenError(f"another program listens at {path}, so this engine has no control socket")
        os.unlink(path.name, dir_fd=folder)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        # Before it listens nobody can connect.
        os.chmod(path.name, permissions, dir_fd=folder)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True

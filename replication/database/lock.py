"""One engine per database: a lock file in the local folder, held for as long as the engine lives.

The lock is the kernel's (flock), so a crash lets go of it; the text in it only names the holder.
The file lies at the top of the local folder, where Litestream leaves files it does not know alone.
"""

import errno
import fcntl
import os
import time
from pathlib import Path

from replication.database import handover
from replication.errors import DatabaseLockedError, LocalFileError
from replication.local.files import LOCK_NAME
from replication.local.folder import LocalFolder
from replication.steps import reached

LOOK_SECONDS_MAX = 0.1
"""A process that only asks for the holder has the lock for less than this."""
_TEXT_SIZE_MAX = 800
_READER_LOOK_SECONDS = 0.005
"""Between two looks whether the successor has begun to read."""


class EngineLock:
    """The lock while it is held. What begins with `previous` was written down by the last holder, or is None."""

    def __init__(self, path: Path, descriptor: int, fields: dict[str, str]) -> None:
        self._where = str(path)
        self._descriptor = descriptor
        ours = os.fstat(descriptor)
        self._identity = (ours.st_dev, ours.st_ino)
        self.previous_inode = _number(fields.get("inode", ""))
        self.previous_wal_inode = _number(fields.get("wal", ""))
        size, modified_ns = _number(fields.get("size", "")), _number(fields.get("written", ""))
        self.previous_written = (size, modified_ns) if size is not None and modified_ns is not None else None
        """Bytes of the database file, and when it was written to, in nanoseconds."""
        self.previous_end = fields.get("end", "")
        """The position of the copy at an orderly end; "" after any other end."""
        self.handed_to = _number(fields.get("handed", ""))
        """The token of the reader that was there before the last holder copied for the last time, or None."""
        self.ends = False
        """True once `announce_end` was called."""
        self._control = ""
        """The path of this holder's control socket; "" if there is none."""

    @classmethod
    def take(cls, meta_path: Path, database_path: Path, control: str = "") -> "EngineLock":
        """Lock `meta_path`, which exists; raise DatabaseLockedError, naming the holder, if it is taken.

        `control` is the path of the socket where its holder can be asked.
        """
        path = meta_path / LOCK_NAME
        try:
            descriptor = LocalFolder(meta_path).open_private(LOCK_NAME, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            advice = ""
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                advice = f"; give this user write permission on {meta_path}, or name another folder with meta-path"
            raise LocalFileError(f"cannot open the lock file {path}: {error.strerror}{advice}") from None
        if not _lock(descriptor):
            fields = _read(descriptor)
            os.close(descriptor)
            raise DatabaseLockedError(database_path, fields.get("pid", "unknown"))
        lock = cls(path, descriptor, _read(descriptor))
        lock._control = control if "\n" not in control else ""
        lock._write()
        return lock

    @property
    def is_in_place(self) -> bool:
        """False once the lock file was removed or replaced, so that it keeps nobody away any more."""
        try:
            found = os.stat(self._where)  # noqa: PTH116 (called for every database again and again)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return (found.st_dev, found.st_ino) == self._identity

    def describe(
        self, inode: int, wal_inode: int, written: tuple[int, int], end: str = "", handed_to: int | None = None
    ) -> None:
        """Write down which file of that path, as last written to, and which WAL beside it the generation belongs to.

        `end` is where copying has come to, at an orderly end, and `handed_to` who was reading before that.
        """
        self.previous_inode, self.previous_wal_inode, self.previous_written = inode, wal_inode, written
        self.previous_end = end
        self._write(handed_to)

    def announce_end(self) -> None:
        """Say that we are about to let go, to the engine that waits for that."""
        self.ends = True
        handover.announce_end(self._descriptor)

    def wait_for_reader(self, deadline: float) -> int | None:
        """The token of the successor once it reads the database; None if none waits, or not by `deadline`
        (time.monotonic)."""
        while self.ends and handover.successor_waits(self._descriptor):
            token = handover.token_of_reader(self._descriptor)
            if token is not None or time.monotonic() >= deadline:
                return token
            time.sleep(_READER_LOOK_SECONDS)
        return None

    def release(self) -> None:
        """Let go of the lock. The file stays, since removing it would race with the next holder."""
        os.close(self._descriptor)

    def _write(self, handed_to: int | None = None) -> None:
        lines = [f"pid {os.getpid()}\n"]
        if self.previous_inode is not None:
            lines.append(f"inode {self.previous_inode}\n")
        if self.previous_wal_inode is not None:
            lines.append(f"wal {self.previous_wal_inode}\n")
        if self.previous_written is not None:
            lines.append("size {}\nwritten {}\n".format(*self.previous_written))
        if self.previous_end:
            lines.append(f"end {self.previous_end}\n")
        if handed_to is not None:
            lines.append(f"handed {handed_to}\n")
        if self._control:
            lines.append(f"control {self._control}\n")
        text = "".join(lines).encode()
        os.pwrite(self._descriptor, text, 0)
        reached("lock: written")
        os.ftruncate(self._descriptor, len(text))


def holder(meta_path: Path) -> int | None:
    """The id of the process that replicates the database of a local folder: 0 if it is not named, None if none does.

    Raises LocalFileError if that cannot be found out.
    """
    fields = _held(meta_path)
    if fields is None:
        return None
    pid = fields.get("pid", "")
    return int(pid) if pid.isdigit() else 0


def socket_of(meta_path: Path) -> Path | None:
    """The control socket of the engine that replicates the database of a local folder, or None if there is none.

    Raises LocalFileError if that cannot be found out.
    """
    control = (_held(meta_path) or {}).get("control", "")
    return Path(control) if control.startswith("/") else None


def _held(meta_path: Path) -> dict[str, str] | None:
    """What the holder of a lock has written into it, or None if it is free. Raises LocalFileError."""
    path = meta_path / LOCK_NAME
    try:
        descriptor = LocalFolder(meta_path).open_private(LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalFileError(
            f"{path} cannot be read: {error.strerror}; ask as the user who replicates, or as root"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    """Lock the file.

    Return False if another engine has it. A process that only looks has it for a moment: that is waited for.
    """
    deadline = time.monotonic() + LOOK_SECONDS_MAX
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS_MAX / 20)
        else:
            return True


def _read(descriptor: int) -> dict[str, str]:
    text = os.pread(descriptor, _TEXT_SIZE_MAX, 0).decode(errors="replace")
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None

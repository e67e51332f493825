"""The file that a restore makes: hidden and locked until it is whole, then put in place without replacing
anything.

Its promise: the output path either holds the complete, synced file or is as it was before, with nothing left
beside it but what was asked to be kept; what a killed restore left behind is removed by the next one to the same path.
"""

import errno
import fcntl
import filecmp
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from replication.errors import LocalFileError, OutputExistsError
from replication.steps import reached

_SIDE_FILES = {
    "-wal": "SQLite would apply that WAL to the restored file",
    "-journal": "SQLite would roll the restored file back with that journal",
    "-shm": "it belongs to another database, which a program may have open",
}
_NAME_BYTES_MAX = 200
"""A longer file name goes into the temporary name as a hash, for names end at 255 bytes."""
KEPT_SUFFIX = ".failed-check"
"""After the name of an output that fails SQLite's check, and is kept."""
KEPT_ASIDE_MAX = 3
"""As many are kept: who restores in a loop shall not fill the disk."""
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""What file systems without hard links answer."""
_TRIES_MAX = 10


class Output:
    """A context: the descriptor of an empty file at entry, and no file left at exit unless `put_in_place`
    returned.

    Raises OutputExistsError at entry if the path, or a WAL or journal beside it, is taken; LocalFileError for
    whatever the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.descriptor = -1
        self.temporary = self.path
        self._made: list[Path] = []
        self._placed = False

    def __enter__(self) -> "Output":
        check_free(self.path)
        try:
            with local_errors(self.path):
                self._make_folder()
                self._sweep()
                self._create()
        except BaseException:
            self._clean()
            raise
        reached("output: begun")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()

    def sync(self, mode: int | None) -> None:
        """Make the content durable and set the permission bits (0600 unless given)."""
        with local_errors(self.path):
            os.fchmod(self.descriptor, _FILE_MODE if mode is None else mode)
            os.fsync(self.descriptor)
        reached("output: durable")

    @contextmanager
    def syncing(self, mode: int | None) -> Iterator[None]:
        """As `sync`, while the block reads the file: one waits for the disk and the other for the processor."""
        with ThreadPoolExecutor(1, thread_name_prefix="restore-sync") as pool:
            synced = pool.submit(self.sync, mode)
            yield
            synced.result()

    def put_in_place(self) -> None:
        """Give the file its name, which must still be free, and make that durable."""
        check_free(self.path)
        with local_errors(self.path):
            try:
                os.link(self.temporary, self.path, follow_symlinks=False)
            except FileExistsError:
                check_free(self.path)
                raise
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                # No hard links here: a look and a rename are the best there is.
                check_free(self.path)
                self.temporary.rename(self.path)
            self._placed = True
            reached("output: named")
            with suppress(FileNotFoundError):
                self.temporary.unlink()
            reached("output: hidden name removed")
            sync_folder(self.path.parent)
            for folder in self._made:
                sync_folder(folder.parent)
        reached("output: in place")

    def keep_aside(self) -> Path:
        """Give the synced file a name beside the output that says what it is, replacing nothing; the name.

        One with the same bytes is there already if the same was restored before: then this one goes. Raises
        LocalFileError if there are as many as are kept.
        """
        for number in range(1, KEPT_ASIDE_MAX + 1):
            kept = self.path.with_name(self.path.name + KEPT_SUFFIX + (f"-{number}" if number > 1 else ""))
            if os.path.lexists(kept):
                with local_errors(kept):
                    if kept.is_file() and not kept.is_symlink() and filecmp.cmp(kept, self.temporary, shallow=False):
                        return kept
                continue
            place, self.path = self.path, kept
            try:
                self.put_in_place()
            finally:
                self.path = place
            return kept
        raise LocalFileError(
            f"{self.path} was restored and fails SQLite's check, and {KEPT_ASIDE_MAX} others that do are kept beside "
            f"it as {self.path.name}{KEPT_SUFFIX} already, so this one was removed. Look at them, and move them away."
        )

    def _make_folder(self) -> None:
        missing = []
        folder = self.path.parent
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            try:
                folder.mkdir(_FOLDER_MODE)
            except FileExistsError:
                continue
            self._made.append(folder)

    def _prefix(self) -> str:
        name = self.path.name
        if len(os.fsencode(name)) > _NAME_BYTES_MAX:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()
        return f".{name}.restoring-"

    def _sweep(self) -> None:
        """Remove what killed restores to this path left: their locks are free."""
        pattern = re.compile(re.escape(self._prefix()) + r"[0-9a-f]{16}")
        for stale in self.path.parent.iterdir():
            if pattern.fullmatch(stale.name) is None:
                continue
            with suppress(OSError):
                descriptor = os.open(stale, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if stat.S_ISREG(os.fstat(descriptor).st_mode):
                        stale.unlink()
                finally:
                    os.close(descriptor)

    def _create(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_TRIES_MAX):
            self.temporary = self.path.parent / f"{self._prefix()}{secrets.token_hex(8)}"
            self.descriptor = os.open(self.temporary, flags, _FILE_MODE)
            with suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            # Another restore may have taken the new file for a stale one before the lock was held.
            with suppress(FileNotFoundError):
                if self.temporary.stat().st_ino == os.fstat(self.descriptor).st_ino:
                    return
            os.close(self.descriptor)
            self.descriptor = -1
        raise LocalFileError(f"{self.path.parent}: other restores to {self.path} keep removing the file of this one.")

    def _clean(self) -> None:
        if self.descriptor >= 0 and not self._placed:
            with suppress(OSError):
                self.temporary.unlink()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if not self._placed:
            for folder in reversed(self._made):
                with suppress(OSError):
                    folder.rmdir()
        self._made = []


def check_free(path: Path) -> None:
    """Raise OutputExistsError if `path` is taken, or if a WAL, shared memory or journal lies beside it."""
    with local_errors(path):
        if os.path.lexists(path):
            raise OutputExistsError(
                f"{path} exists already and is not overwritten. Move it away first, or name another output with -o."
            )
        for suffix, reason in _SIDE_FILES.items():
            side = f"{path}{suffix}"
            if os.path.lexists(side):
                raise OutputExistsError(
                    f"{side} exists: {reason}. Make sure that no program uses it, move it away, and try again."
                )


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into LocalFileError, naming the path."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise LocalFileError(f"{path}: a file is where a folder should be ({error.filename}).") from None
        advice = {
            errno.ENOSPC: " Free some space or choose another output.",
            errno.EDQUOT: " Free some space or choose another output.",
            errno.EACCES: " Choose an output that you may write to.",
            errno.EROFS: " Choose an output on a writable file system.",
        }.get(error.errno or 0, "")
        raise LocalFileError(f"{path} cannot be written: {error.strerror or error}.{advice}") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

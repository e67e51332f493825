"""The file that a restore makes: hidden and locked until it is whole, then put in place without replacing
anything.

Its promise: the output path either holds the complete, synced file or is as it was before, with nothing left
beside it but what was asked to be kept; what a killed restore left behind is removed by the next one to the same path.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from replication.errors import LocalFileError, OutputExistsError
from replication.nofollow import is_same, make_folder, open_folder, open_plain, opened
from replication.steps import reached

_SIDE_FILES = {
    "-wal": "SQLite would apply that WAL to the restored file",
    "-journal": "SQLite would roll the restored file back with that journal",
    "-shm": "it belongs to another database, which a program may have open",
}
_NAME_BYTES_MAX = 200
"""A longer file name goes into the temporary name as a hash, for names end at 255 bytes."""
KEPT_SUFFIX = ".failed-check"
"""Put after the name of an output that fails SQLite's check and is kept."""
KEPT_ASIDE_MAX = 3
"""Files of this kind that are kept at most, so that restores in a loop do not fill the disk."""
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""The error numbers of file systems without hard links."""
_TRIES_MAX = 10
_COMPARED_BYTES = 1 << 20


class Output:
    """A context with the descriptor of an empty file. No file is left at exit unless `put_in_place`
    returned.

    Raises OutputExistsError at entry if the path, or a WAL or journal beside it, is taken; LocalFileError for
    whatever the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.descriptor = -1
        self.temporary = self.path
        self._folder = -1
        """Descriptor of the folder: its owner may put a link in its place, and we may be root."""
        self._made: list[tuple[int, str]] = []
        """Folders that were made: the descriptor of the one above each, and its name."""
        self._placed = False

    @property
    def folder(self) -> Path:
        """The folder of the file, for other files that need no name, wherever its path leads by now."""
        by_descriptor = Path(f"/proc/self/fd/{self._folder}")
        return by_descriptor if by_descriptor.exists() else self.path.parent

    def __enter__(self) -> "Output":
        check_free(self.path)
        try:
            with local_errors(self.path):
                self._open_folder()
                sweep_unfinished(self._folder, self.path.name)
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
            self._check_folder()
            names, folder = (self.temporary.name, self.path.name), self._folder
            try:
                os.link(*names, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                check_free(self.path)
                raise
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                # No hard links here: a look and a rename are the best there is.
                check_free(self.path)
                os.rename(*names, src_dir_fd=folder, dst_dir_fd=folder)
            if not is_same(folder, self.path.name, self.descriptor):
                raise LocalFileError(f"{self.path} was exchanged by another program while it got its name. Try again.")
            self._placed = True
            reached("output: named")
            with suppress(FileNotFoundError):
                os.unlink(self.temporary.name, dir_fd=folder)
            reached("output: hidden name removed")
            os.fsync(folder)
            for above, _ in self._made:
                os.fsync(above)
        reached("output: in place")

    def keep_aside(self) -> Path:
        """Give the synced file a name beside the output that says what it is, replacing nothing. Return that name.

        One with the same bytes is there already if the same was restored before: then this one goes. Raises
        LocalFileError if there are as many as are kept.
        """
        for number in range(1, KEPT_ASIDE_MAX + 1):
            kept = self.path.with_name(self.path.name + KEPT_SUFFIX + (f"-{number}" if number > 1 else ""))
            if os.path.lexists(kept):
                if self._holds_the_same(kept.name):
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

    def _holds_the_same(self, name: str) -> bool:
        """True if a plain file of that name has the bytes of this one."""
        with suppress(OSError), opened(open_plain(self._folder, name)) as other:
            size = os.fstat(self.descriptor).st_size
            return os.fstat(other).st_size == size and all(
                os.pread(other, _COMPARED_BYTES, at) == os.pread(self.descriptor, _COMPARED_BYTES, at)
                for at in range(0, size, _COMPARED_BYTES)
            )
        return False

    def _check_folder(self) -> None:
        """Raise LocalFileError if the path leads to another folder than the one that the file is in."""
        with opened(open_folder(self.path.parent)) as there:
            if not os.path.samestat(os.fstat(there), os.fstat(self._folder)):
                raise LocalFileError(
                    f"{self.path.parent} became another folder during the restore, so that nothing was put there. "
                    "Name an output in a folder that nobody exchanges."
                )

    def _open_folder(self) -> None:
        missing: list[str] = []
        path = self.path.parent
        while True:
            try:
                self._folder = open_folder(path)
                break
            except FileNotFoundError:
                if os.path.lexists(path):
                    # A link that leads nowhere.
                    raise
                missing.append(path.name)
                path = path.parent
        while missing:
            name, above = missing.pop(), self._folder
            self._folder, made = make_folder(above, name, _FOLDER_MODE)
            if made:
                self._made.append((above, name))
            else:
                os.close(above)

    def _create(self) -> None:
        for _ in range(_TRIES_MAX):
            name = f"{_prefix(self.path.name)}{secrets.token_hex(8)}"
            self.temporary = self.path.parent / name
            self.descriptor = open_plain(self._folder, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            # Another restore may have taken the new file for a stale one before the lock was held.
            if is_same(self._folder, name, self.descriptor):
                return
            os.close(self.descriptor)
            self.descriptor = -1
        raise LocalFileError(f"{self.path.parent}: other restores to {self.path} keep removing the file of this one.")

    def _clean(self) -> None:
        if self.descriptor >= 0:
            if not self._placed:
                with suppress(OSError):
                    os.unlink(self.temporary.name, dir_fd=self._folder)
            os.close(self.descriptor)
            self.descriptor = -1
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        for above, name in reversed(self._made):
            if not self._placed:
                with suppress(OSError):
                    os.rmdir(name, dir_fd=above)
            os.close(above)
        self._made = []


def sweep_unfinished(folder: int, name: str) -> None:
    """Remove from an open folder what killed restores to a file of that name left: their locks are free."""
    pattern = re.compile(re.escape(_prefix(name)) + r"[0-9a-f]{16}")
    for found in os.listdir(folder):
        if pattern.fullmatch(found):
            with suppress(OSError), opened(open_plain(folder, found)) as stale:
                fcntl.flock(stale, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(found, dir_fd=folder)


def _prefix(name: str) -> str:
    if len(os.fsencode(name)) > _NAME_BYTES_MAX:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}.restoring-"


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
        if error.errno == errno.ELOOP:
            raise LocalFileError(
                f"{path} cannot be written: {error.strerror}. Name an output in a folder without it."
            ) from None
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise LocalFileError(f"{path}: a file is where a folder should be ({error.filename}).") from None
        advice = {
            errno.ENOSPC: " Free some space or choose another output.",
            errno.EDQUOT: " Free some space or choose another output.",
            errno.EACCES: " Choose an output that you may write to.",
            errno.EROFS: " Choose an output on a writable file system.",
        }.get(error.errno or 0, "")
        raise LocalFileError(f"{path} cannot be written: {error.strerror or error}.{advice}") from None

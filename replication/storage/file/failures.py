"""What the operating system answers about a folder, as the errors of a store.

Its promise: whatever goes wrong with the folder, a full disk included, is a StorageError that says which file and why.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replication.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied; give this user read and write access",
    errno.EPERM: "permission denied; give this user read and write access",
    errno.ELOOP: "a symbolic link stands in the way, and none is followed inside a replica",
    errno.ENOTDIR: "a file or symbolic link stands where a folder should be",
    errno.EMFILE: "too many open files in this process",
}


@contextmanager
def mapped(verb: str, root: Path, name: str) -> Iterator[None]:
    """Raise StorageError for an OSError inside the block: that it cannot read, write, list or remove what is there."""
    try:
        yield
    except OSError as error:
        reason = error.strerror
        if reason == os.strerror(error.errno or 0):
            # The error says no more than its number.
            reason = _REASONS.get(error.errno or 0, reason)
        raise StorageError(f"cannot {verb} {root / name}: {reason or type(error).__name__}") from None

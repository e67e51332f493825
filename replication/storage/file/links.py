"""Giving a written file its name in a folder only if nothing has that name: what `put` of a folder creates with.

Its promise: of several who do so at once one succeeds, and nothing is replaced. Where a file system has no hard
links that holds among the programs of one machine only, for a lock on the folder stands in.
"""

import errno
import fcntl
import os
from contextlib import suppress

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""What file systems without hard links answer."""


def name_new(temporary: str, name: str, folder: int) -> None:
    """Call the file `temporary` of an open folder `name` as well, or only so where no file has two names.

    Raises FileExistsError if something has that name, and other OSErrors.
    """
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _rename_new(temporary, name, folder)


def _rename_new(temporary: str, name: str, folder: int) -> None:
    with suppress(OSError):
        # The lock goes with the descriptor, which the caller closes. Some network folders have no locks.
        fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)

"""A folder for what is restored only to be looked at: private, locked while it is used, and gone afterwards.

What a killed process left of these is removed by the next one: a folder whose lock is free belongs to nobody. The lock
is the kernel's, so that it goes with its process, even if another process gets the same number later. Every folder is
reached from the open one above it, through no link.
"""

import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replication.errors import LocalFileError
from replication.nofollow import is_same, open_below, open_folder, opened, remove_tree

_TRIES_MAX = 10
_SUFFIX = "[a-z0-9_]{8}"


def temporary_folder(instead: str = "") -> Path:
    """The folder for temporary files. Raises LocalFileError that says where was looked, and what to do `instead`."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        looked = error.strerror or str(error)
        raise LocalFileError(
            f"There is no folder for temporary files that can be written to ({looked}). Set TMPDIR to a folder that "
            f"can be, with room for the whole database{instead}"
        ) from None


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent`, removed at the end of the block with all that is in it. Raises OSError."""
    with opened(open_folder(parent)) as above:
        _sweep(above, prefix)
        name, folder = _make(above, prefix)
        try:
            yield parent / name
        finally:
            # Another user who may rename it may have put something else there.
            with suppress(OSError):
                if is_same(above, name, folder):
                    remove_tree(above, name)
            os.close(folder)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of that prefix that nobody uses, as far as this user may."""
    with suppress(OSError), opened(open_folder(parent)) as above:
        _sweep(above, prefix)


def sweep_temporary(prefix: str) -> None:
    """The same among temporary files, if there is a place for them."""
    with suppress(LocalFileError):
        sweep(temporary_folder(), prefix)


def _sweep(above: int, prefix: str) -> None:
    pattern = re.compile(re.escape(prefix) + _SUFFIX)
    with suppress(OSError):
        for name in os.listdir(above):
            if pattern.fullmatch(name):
                with suppress(OSError), opened(open_below(above, name)) as left:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Another user's is not ours to remove, even where we could.
                    if os.fstat(left).st_uid == os.geteuid() and is_same(above, name, left):
                        remove_tree(above, name)


def _make(above: int, prefix: str) -> tuple[str, int]:
    """Name and descriptor of a new locked folder."""
    for _ in range(_TRIES_MAX):
        name = prefix + secrets.token_hex(4)
        with suppress(FileExistsError, FileNotFoundError):
            os.mkdir(name, 0o700, dir_fd=above)
            folder = open_below(above, name)
            try:
                with suppress(OSError):
                    fcntl.flock(folder, fcntl.LOCK_EX)
                # Another process may have taken the new folder for a left one before the lock was held.
                if os.fstat(folder).st_uid == os.geteuid() and is_same(above, name, folder):
                    return name, folder
            except BaseException:
                os.close(folder)
                raise
            os.close(folder)
    raise FileNotFoundError("other processes keep removing new folders there")

"""A folder for what is restored only to be looked at: private, locked while it is used, and gone afterwards.

What a killed process left of these is removed by the next one: a folder whose lock is free belongs to nobody.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TRIES_MAX = 10
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent`, removed at the end of the block with all that is in it. Raises OSError."""
    sweep(parent, prefix)
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of that prefix that nobody uses, as far as this user may."""
    pattern = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}")
    with suppress(OSError):
        for left in parent.iterdir():
            if pattern.fullmatch(left.name):
                with suppress(OSError):
                    lock = os.open(left, _FLAGS)
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        # Another user's is not ours to remove, even where we could.
                        if os.fstat(lock).st_uid == os.geteuid():
                            shutil.rmtree(left, ignore_errors=True)
                    finally:
                        os.close(lock)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    for _ in range(_TRIES_MAX):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        # Another process may have taken the new folder for a left one before the lock was held.
        with suppress(FileNotFoundError):
            lock = os.open(folder, _FLAGS)
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if os.path.samestat(folder.stat(), os.fstat(lock)):
                    return folder, lock
            except FileNotFoundError:
                os.close(lock)
                raise
            os.close(lock)
    raise FileNotFoundError(f"other processes keep removing folders of {parent}")

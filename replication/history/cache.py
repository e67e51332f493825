"""Tables of the blocks of Litestream's snapshots, kept in files of this user, so that each is read through once.

Its promise: what it keeps is bounded, and none of it decides what is read: a block has to have the checksum of its
table. It gives up in silence; without it a look only takes longer.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from replication.nofollow import make_folder, open_nearest, opened, read_plain, unlink, write_whole
from replication.storage.blocks import BlockTable, pack, unpack

FILES_MAX = 64
FILE_BYTES_MAX = 4 << 20
"""A longer table (of more than 680 GB with Litestream's blocks) is not kept."""
_MODE = 0o700
_SUFFIX = ".blocks"


class TableCache(Protocol):
    """Keeps tables of snapshots that bring none, from one run of the program to the next."""

    def load(self, sign: str) -> BlockTable | None:
        """The table of a snapshot, if it is kept."""

    def save(self, sign: str, table: BlockTable) -> None:
        """Keep it."""


class Tables:
    """Keeps tables in a folder, which is made when there is something to keep; without one it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, sign: str) -> BlockTable | None:
        """The table of a snapshot, if it is kept and whole."""
        if self._folder is None:
            return None
        with suppress(OSError):
            folder, missing = open_nearest(self._folder)
            with opened(folder):
                return unpack(read_plain(folder, _name(sign), FILE_BYTES_MAX)) if not missing else None
        return None

    def save(self, sign: str, table: BlockTable) -> None:
        """Keep it, and no more than so many others."""
        data = pack(table)
        if self._folder is None or len(data) > FILE_BYTES_MAX:
            return
        with suppress(OSError):
            folder = _made(self._folder)
            with opened(folder):
                os.close(write_whole(folder, temporary := f".{_name(sign)}", data, 0o600))
                os.replace(temporary, _name(sign), src_dir_fd=folder, dst_dir_fd=folder)
                _clean(folder)


def cache_folder(environ: "os._Environ[str]") -> Path | None:
    """$XDG_CACHE_HOME/litestream-tui/snapshots, by default below ~/.cache; None where there is no home."""
    base = environ.get("XDG_CACHE_HOME") or ""
    home = environ.get("HOME") or ""
    if not base.startswith("/"):
        base = f"{home}/.cache" if home.startswith("/") else ""
    return Path(base) / "litestream-tui" / "snapshots" if base else None


def _made(path: Path) -> int:
    folder, missing = open_nearest(path)
    for name in missing:
        above = folder
        try:
            folder, _ = make_folder(above, name, _MODE)
        finally:
            os.close(above)
    return folder


def _clean(folder: int) -> None:
    """Remove the oldest."""
    names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX)]
    if len(names) > FILES_MAX:
        names.sort(key=lambda name: os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns)
        for name in names[:-FILES_MAX]:
            unlink(folder, name)


def _name(sign: str) -> str:
    return hashlib.sha256(sign.encode()).hexdigest()[:40] + _SUFFIX

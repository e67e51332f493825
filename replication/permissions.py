"""Who may read a file that is made beside another, where that other may have an access control list (ACL).

Its promise: the mode gives nobody more than the file beside it does. With an ACL the group bits of a file's mode are
the ACL's mask, the most that any group or named user gets; taken for the group's own permission they would let in
a group that the list keeps out. Pure but for the one question to the file system.
"""

import errno
import os
import stat
import struct
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path

ACL = "system.posix_acl_access"
"""The extended attribute that Linux keeps a list in."""
_VERSION, _HEADER, _ENTRY = 2, struct.Struct("<I"), struct.Struct("<HHI")
_USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x02, 0x04, 0x08, 0x10, 0x20
"""Whom an entry is for: a named user, the file's group, a named group, the most for these three, everybody else."""
_ALL = 0o7
_NONE = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What is answered where there is no list."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Mode and owner of what Litestream shares with us: files as the database, folders as the folder it is in."""

    file_mode: int = 0o600
    folder_mode: int = 0o700
    uid: int = -1
    gid: int = -1

    @classmethod
    def of(cls, database: Path) -> "Ownership":
        """The ownership that fits beside `database`, which exists."""
        file = database.stat()
        return cls(mode_beside(database) & 0o777, mode_beside(database.parent), file.st_uid, file.st_gid)


def acl_of(file: Path | int) -> bytes | None:
    """The list of a file as the kernel has it, or None. Raises OSError if that cannot be known."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(file, ACL)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise


def mode_beside(file: Path) -> int:
    """The permission bits, set-id bits included, for what is made beside `file` without its list."""
    mode = stat.S_IMODE(os.stat(file).st_mode)  # noqa: PTH116 (one question)
    try:
        acl = acl_of(file)
    except OSError:
        return mode & ~0o077
    return mode if acl is None else mode & ~0o077 | others_bits(acl)


def others_bits(acl: bytes) -> int:
    """The bits of group and others that let in nobody beyond the list. None are set if the list is not understood."""
    if len(acl) < _HEADER.size or _HEADER.unpack_from(acl)[0] != _VERSION or (len(acl) - _HEADER.size) % _ENTRY.size:
        return 0
    entries = [(tag, permission) for tag, permission, _ in _ENTRY.iter_unpack(acl[_HEADER.size :])]

    def least(*tags: int) -> int:
        return reduce(and_, (permission for tag, permission in entries if tag in tags), _ALL)

    mask = least(_MASK)
    group = least(_GROUP_OBJ, _USER) & mask
    named = least(_USER, _GROUP) & (mask if any(tag in (_USER, _GROUP) for tag, _ in entries) else _ALL)
    return group << 3 | least(_OTHER) & named

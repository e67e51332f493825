"""Files and folders reached by descriptors, through no link that another user made.

Its promise: below an open folder nothing but plain files and folders is opened, whatever another user puts there in the
same instant, and nothing waits for the other end of a pipe. As root a path leads through a link of another user only
to that user's own folders. It leaves to the caller what the files mean, and what becomes of an OSError; those that
are raised here say in words what stands in the way.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""For a file that may be anything: a pipe makes nobody wait, and a terminal becomes nobody's."""
_LINKS_MAX = 40
_TRIES_MAX = 10


def open_folder(path: Path) -> int:
    """A descriptor of the folder at `path`. As root a link of another user may lead only to that user's folders."""
    if os.geteuid() != 0 or not hasattr(os, "O_PATH"):
        return os.open(path, FOLDER_FLAGS)
    # A disk that is mounted by its first use is not mounted by the walk.
    os.close(os.open(path, FOLDER_FLAGS))
    with _walked(path) as end:
        strangers = end.strangers
        try:
            folder = os.open(".", FOLDER_FLAGS, dir_fd=end.at)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        _check_strangers(strangers, os.fstat(folder).st_uid, path)
    except BaseException:
        os.close(folder)
        raise
    return folder


def check_path(path: Path) -> None:
    """As root: raise OSError if links of another user lead `path` to what is not that user's. It must be there."""
    if os.geteuid() != 0 or not hasattr(os, "O_PATH"):
        return
    with _walked(path) as end:
        _check_strangers(end.strangers, os.fstat(end.at).st_uid, path)


def open_beside(path: Path) -> tuple[int, str, os.stat_result]:
    """The folder of the plain file that `path` leads to, the file's name in it, and its status. Linux only.

    As `check_path`, for root and any other user. Nothing of the file is opened: closing it would drop the locks of this
    process.
    """
    with _walked(path) as end:
        status = os.fstat(end.at)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"{kind(status)} is no plain file", str(path))
        _check_strangers(end.strangers, status.st_uid, path)
        return os.open(".", FOLDER_FLAGS, dir_fd=end.folder), end.name, status


def open_nearest(path: Path) -> tuple[int, list[str]]:
    """As `open_folder`, of what there is of a path: the folder, and the names that are missing below it."""
    missing: list[str] = []
    # The working directory may be gone, which is nothing to a path that is whole.
    at = path if path.is_absolute() else Path.cwd() / path
    while True:
        try:
            return open_folder(at), missing[::-1]
        except FileNotFoundError:
            if at.parent == at or os.path.lexists(at):
                # A link that leads nowhere.
                raise
            missing.append(at.name)
            at = at.parent


def without_links(path: Path) -> Path:
    """As os.path.realpath, also while another user exchanges a link on the way for a folder and back."""
    for _ in range(_TRIES_MAX):
        try:
            return Path(os.path.realpath(path))
        except OSError as error:
            # The name was a link when it was looked at, and none when it was read.
            if error.errno != errno.EINVAL:
                raise
    raise OSError(errno.ELOOP, "somebody exchanges links on the way again and again", str(path))


def open_below(folder: int, name: str) -> int:
    """A descriptor of the folder `name` of an open folder, which stays open."""
    try:
        return os.open(name, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _in_the_way(name, folder, "a folder") from None
        raise


@contextmanager
def opened(folder: int) -> Iterator[int]:
    """Close a descriptor at the end of a block."""
    try:
        yield folder
    finally:
        os.close(folder)


def make_folder(folder: int, name: str, mode: int, uid: int = -1, gid: int = -1) -> tuple[int, bool]:
    """The folder `name` of an open folder, made if need be: a descriptor, and whether it was made."""
    for _ in range(_TRIES_MAX):
        try:
            os.mkdir(name, mode, dir_fd=folder)
        except FileExistsError:
            made = False
        else:
            made = True
        try:
            below = open_below(folder, name)
        except FileNotFoundError:
            continue
        # What another user exchanged for it in this instant is not given away.
        if made and os.fstat(below).st_uid == os.geteuid() and not os.listdir(below):  # noqa: PTH208 (a descriptor)
            give(below, uid, gid)
        return below, made
    raise FileNotFoundError(errno.ENOENT, "it is removed again and again", name)


def give(descriptor: int, uid: int, gid: int) -> None:
    """Set the owner of what is open, if we may; -1 leaves it."""
    # Without the right to give files away they stay ours, as with Litestream, and where a file system has no owners.
    with suppress(OSError):
        os.fchown(descriptor, uid, gid)


def open_plain(folder: int, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open a plain file of an open folder; one that is written to must have no other name."""
    try:
        file = os.open(name, flags | FILE_FLAGS, mode, dir_fd=folder)
    except OSError as error:
        # A pipe without reader, a socket and a link are told apart by looking.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.EEXIST, errno.EOPNOTSUPP):
            if error.errno == errno.EEXIST and flags & os.O_EXCL:
                raise
            raise _in_the_way(name, folder, "a plain file") from None
        raise
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f"{kind(status)} stands where a plain file should be; remove it", name)
    if status.st_nlink > 1 and flags & os.O_ACCMODE != os.O_RDONLY:
        os.close(file)
        raise OSError(
            errno.EMLINK, "it has another name (a hard link), and may be somebody else's file; remove this name", name
        )
    return file


def read_plain(folder: int, name: str, size_max: int) -> bytes:
    """The start of a plain file, at most so many bytes."""
    with opened(open_plain(folder, name)) as file, os.fdopen(os.dup(file), "rb") as stream:
        return stream.read(size_max)


def write_whole(folder: int, temporary: str, data: bytes, mode: int, uid: int = -1, gid: int = -1) -> int:
    """A descriptor of a new file with this content in an open folder. The caller renames it."""
    for _ in range(_TRIES_MAX):
        try:
            file = open_plain(folder, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            break
        except FileExistsError:
            # A name of ours, which a killed process or another user left there.
            with suppress(FileNotFoundError):
                unlink(folder, temporary)
    else:
        raise FileExistsError(errno.EEXIST, "somebody puts it there again and again", temporary)
    try:
        give(file, uid, gid)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
    except BaseException:
        os.close(file)
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return file


def unlink(folder: int, name: str) -> None:
    """Remove a name of an open folder that is no folder itself."""
    try:
        os.unlink(name, dir_fd=folder)
    except (IsADirectoryError, PermissionError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.EISDIR, "a folder stands where a plain file should be; remove it", name) from None
        raise


def remove_tree(folder: int, name: str) -> None:
    """Remove a folder of an open folder with all that is below it, through no link. Raises OSError."""
    shutil.rmtree(name, dir_fd=folder)


def is_same(folder: int, name: str, descriptor: int) -> bool:
    """True if `name` of an open folder is the file that is open."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def kind(status: os.stat_result) -> str:
    """What a name stands for, in words."""
    for test, words in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISREG, "a plain file"),
    ):
        if test(status.st_mode):
            return words
    return "a device"


def _in_the_way(name: str, folder: int, wanted: str) -> OSError:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        return error
    return OSError(
        errno.ELOOP if stat.S_ISLNK(status.st_mode) else errno.EINVAL,
        f"{kind(status)} stands where {wanted} should be, and is not followed or written to; remove it",
        name,
    )


def _check_strangers(strangers: list[tuple[int, Path]], owner: int, path: Path) -> None:
    """Raise OSError if these users' links led to what is another's."""
    others = [(stranger, link) for stranger, link in strangers if stranger != owner]
    if others:
        raise OSError(
            errno.ELOOP,
            "user {} has put the symbolic link {} there to what belongs to user {}, and it is not followed; remove it, "
            "or name what it leads to".format(*others[0], owner),
            str(path),
        )


def _device_of_processes() -> int:
    """The device of /proc, where nobody but the kernel makes links, or -1 where it is not mounted."""
    try:
        return Path("/proc").stat().st_dev
    except OSError:
        return -1


@dataclass(slots=True)
class _Walk:
    """A walk along a path, name by name, through its links."""

    at: int
    """Where it has come to: a descriptor without rights."""
    folder: int
    """The folder in which that is."""
    name: str = ""
    """And its name there."""
    where: Path = Path("/")
    strangers: list[tuple[int, Path]] = field(default_factory=list)
    """The other users whose links lead there."""

    @classmethod
    def begin(cls) -> "_Walk":
        at = os.open("/", _WALK_FLAGS | os.O_DIRECTORY)
        try:
            return cls(at, os.dup(at))
        except BaseException:
            os.close(at)
            raise

    def go(self, name: str, found: int, where: Path) -> None:
        """On to what was found by a name."""
        os.close(self.folder)
        self.folder, self.at, self.name, self.where = self.at, found, name, where

    def back_to_the_root(self) -> None:
        self.go("", os.open("/", _WALK_FLAGS | os.O_DIRECTORY), Path("/"))

    def end(self) -> None:
        os.close(self.at)
        os.close(self.folder)


_WALK_FLAGS = (os.O_PATH if hasattr(os, "O_PATH") else 0) | os.O_CLOEXEC


@contextmanager
def _walked(path: Path) -> Iterator[_Walk]:
    """Where a path leads, for the length of a block. Raises OSError that names the path."""
    walk = _Walk.begin()
    try:
        try:
            _go_along(walk, path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        yield walk
    finally:
        walk.end()


def _go_along(walk: _Walk, path: Path) -> None:
    # The working directory may be gone, which is nothing to a path that is whole.
    whole = path if path.is_absolute() else Path.cwd() / path
    pending = list(reversed(whole.parts[1:]))
    links = 0
    while pending:
        name = pending.pop()
        found = os.open(name, _WALK_FLAGS | os.O_NOFOLLOW, dir_fd=walk.at)
        status = os.fstat(found)
        if not stat.S_ISLNK(status.st_mode):
            walk.go(name, found, walk.where.parent if name == ".." else walk.where / name)
            continue
        with opened(found):
            if status.st_size == 0 and status.st_dev == _device_of_processes():
                # What the kernel calls a link in /proc leads where its text does not, as into another's root.
                walk.go(name, os.open(name, _WALK_FLAGS, dir_fd=walk.at), walk.where / name)
                continue
            target = os.readlink("", dir_fd=found)
        links += 1
        if links > _LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if status.st_uid not in (0, os.geteuid()):
            walk.strangers.append((status.st_uid, walk.where / name))
        if target.startswith("/"):
            walk.back_to_the_root()
        pending.extend(part for part in reversed(target.split("/")) if part not in ("", "."))

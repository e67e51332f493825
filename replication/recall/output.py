"""A new file for rows that are written down: private, whole or not there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replication import space
from replication.errors import OutputExistsError
from replication.nofollow import open_folder, opened
from replication.reserved import refuse_output
from replication.restore.output import local_errors

_MODE = 0o600


@contextmanager
def written_new(path: Path) -> Iterator[Callable[[str], None]]:
    """A block that writes texts to a file that is not there yet; it is removed again if the block raises.

    Raises UsageError for a name that is SQLite's or ours, OutputExistsError, LocalFileError, NoRoomError.
    """
    refuse_output(path)
    guard = space.guard(path.parent, "Writing rows down", ", or name a file on another disk; nothing was changed.")
    with local_errors(path), opened(open_folder(path.parent)) as folder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path.name, flags, _MODE, dir_fd=folder)
        except FileExistsError:
            raise OutputExistsError(f"{path} is there already: name another file for the rows.") from None

        def write(text: str) -> None:
            data = memoryview(text.encode("utf-8", "surrogateescape"))
            guard(len(data))
            while data:
                data = data[os.write(descriptor, data) :]

        try:
            yield write
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(path.name, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)

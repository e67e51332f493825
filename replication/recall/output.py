"""A new file for rows that are written down: private, and whole before it has its name."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from replication import space
from replication.errors import OutputExistsError
from replication.reserved import refuse_output
from replication.restore.output import Output, local_errors


@contextmanager
def written_new(path: Path) -> Iterator[Callable[[str], None]]:
    """A block that writes texts to a file that is not there yet, and is not if the block raises, or is killed.

    Raises UsageError for a name that is SQLite's or ours, OutputExistsError, LocalFileError, NoRoomError.
    """
    refuse_output(path)
    guard = space.guard(path.parent, "Writing rows down", ", or name a file on another disk; nothing was changed.")
    if os.path.lexists(path):
        raise OutputExistsError(f"{path} is there already: name another file for the rows.")
    with Output(path) as output:

        def write(text: str) -> None:
            data = memoryview(text.encode("utf-8", "surrogateescape"))
            guard(len(data))
            with local_errors(path):
                while data:
                    data = data[os.write(output.descriptor, data) :]

        yield write
        output.sync(None)
        output.put_in_place()

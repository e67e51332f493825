"""The temporary folder of a demo: removed at its end, and swept at a later start if it could not be."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from replication.errors import LocalFileError
from replication.restore.scratch import scratch, temporary_folder

SCRATCH_PREFIX = "litestream-tui-demo-"


@contextmanager
def temporary() -> Iterator[Path]:
    """A block in which the folder is there. Raises LocalFileError if none can be made."""
    parent = temporary_folder(", or name a folder with -dir")
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch(parent, SCRATCH_PREFIX))
        except OSError as error:
            raise LocalFileError(
                f"cannot make a temporary folder in {parent}: {error.strerror}; name a folder with -dir"
            ) from None
        yield folder

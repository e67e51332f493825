"""From a Location to the Storage that reaches it. Opening touches nothing: the first call of a verb does."""

from replication.storage.base import Storage
from replication.storage.file import FilePermissions, FileStorage
from replication.storage.location import FileLocation, Location


def open_storage(location: Location, permissions: FilePermissions | None = None) -> Storage:
    """The store of a replica; `permissions` are for the files and folders of a file replica."""
    if isinstance(location, FileLocation):
        return FileStorage(location.path, permissions or FilePermissions())
    # A folder needs nothing of what an S3 store takes to load.
    from replication.storage.s3.storage import S3Storage

    return S3Storage(location)

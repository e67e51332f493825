"""From a Location to the Storage that reaches it. Opening touches nothing: the first call of a verb does."""

from replication.storage.base import Storage
from replication.storage.location import DEFAULT_PERMISSIONS, FilePermissions, Location


def open_storage(location: Location, permissions: FilePermissions = DEFAULT_PERMISSIONS) -> Storage:
    """The store of a replica; `permissions` are for the files and folders of a replica on this machine."""
    return location.open(permissions)

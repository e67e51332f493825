"""Where a replica is: frozen values that name a store. Secrets are kept out of every `repr`."""

from dataclasses import dataclass, field
from pathlib import Path

from replication.storage.mounts import mount_point


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A folder on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a path in it, on AWS or an S3-compatible server.

    `endpoint` is a whole URL with scheme, or None for AWS. `region` None means: ask. `force_path_style` None means:
    path style with an endpoint, else as boto3 does. Without a key pair, boto3's own chain finds credentials.
    """

    bucket: str
    path: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    force_path_style: bool | None = None
    skip_verify: bool = False


Location = FileLocation | S3Location


def store_of(location: Location) -> str:
    """What fails together: one server, or one file system of this machine."""
    if isinstance(location, S3Location):
        return f"s3 {location.endpoint or 'aws'}"
    return f"file {mount_point(location.path)}"

"""Where an S3 replica is. What speaks the protocol is not loaded for it."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from replication.storage.base import Storage
from replication.storage.location import FilePermissions, Location
from replication.storage.url_parts import clean_path


@dataclass(frozen=True, slots=True)
class S3Location(Location):
    """A bucket and a path in it, on AWS or an S3-compatible server.

    `endpoint` is a whole URL with scheme, or None for AWS. `region` None means: ask. `force_path_style` None means:
    path style with an endpoint, else as boto3 does. Without a key pair, boto3's own chain finds credentials.
    """

    kind: ClassVar[str] = "s3"
    is_on_a_server: ClassVar[bool] = True

    bucket: str
    path: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    force_path_style: bool | None = None
    skip_verify: bool = False

    @property
    def address(self) -> str:
        path = clean_path(self.path)
        address = f"s3://{self.bucket}/{path}" if path else f"s3://{self.bucket}"
        return f"{address} at {self.endpoint}" if self.endpoint else address

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.kind, (self.endpoint or "").lower(), self.bucket, clean_path(self.path))

    @property
    def store(self) -> str:
        return f"{self.kind} {self.endpoint or 'aws'}"

    @property
    def bucket_host(self) -> str:
        """The name to which requests go, if the bucket is part of it; else nothing."""
        from replication.storage.s3.address import bucket_address, parse_server

        if self.endpoint is None or self.force_path_style is not False:
            return ""
        host, before = bucket_address(parse_server(self.endpoint), self.bucket, path_style=False)
        return "" if before else host

    def below(self, name: str) -> "S3Location":
        path = clean_path(self.path)
        return replace(self, path=f"{path}/{name}" if path else name)

    def open(self, permissions: FilePermissions) -> Storage:
        # A folder needs nothing of what an S3 store takes to load.
        from replication.storage.s3.storage import S3Storage

        return S3Storage(self)

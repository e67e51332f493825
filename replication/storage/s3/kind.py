"""S3 as a kind of store: its keys, and how a bucket and a path in it are written in a URL and in the configuration.

s3://BUCKET/PATH                          AWS, the region is asked for
s3://BUCKET.s3.REGION.amazonaws.com/PATH  AWS in that region
s3://BUCKET.HOST:PORT/PATH                any server: http for a local host, else https
s3://BUCKET.localhost/PATH                a server on this machine
s3://BUCKET.s3.REGION.backblazeb2.com/PATH and other providers, see host.py
s3://BUCKET/PATH?endpoint=HOST:PORT&region=R&force-path-style=true&skip-verify=true
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from replication.errors import ConfigError
from replication.key_rows import Key
from replication.scrub import quoted, register_secret
from replication.storage.kind import Kind, Note, Settings
from replication.storage.s3.host import DEFAULT_REGION, check_bucket, is_region, parse_endpoint, parse_s3_host
from replication.storage.s3.location import S3Location
from replication.storage.s3.shared import KEY_VARIABLES
from replication.storage.url_parts import ReplicaURL, clean_path, decode

_NOT_KEPT_SO = "remove it: objects are stored without it"


class S3Kind(Kind[S3Location]):
    """A bucket on AWS or on any S3 server."""

    name: ClassVar[str] = S3Location.kind
    url_form: ClassVar[str] = "s3://BUCKET/PATH"
    secret_variables: ClassVar[tuple[str, ...]] = KEY_VARIABLES

    keys: ClassVar[tuple[Key, ...]] = (
        Key(name="bucket", why="The bucket.", example="litestream-bucket", is_set=True, is_place=True),
        Key(
            name="endpoint",
            why="The server. Leave it out for AWS.",
            otherwise="AWS",
            example="http://localhost:9000",
            is_set=True,
            is_option=True,
        ),
        Key(
            name="region",
            why="The region of the bucket.",
            otherwise=f"{DEFAULT_REGION} with an endpoint, else the bucket is asked for it",
            example=DEFAULT_REGION,
            is_option=True,
        ),
        Key(
            name="force-path-style",
            why="Put the bucket in the path of a request and not in the host name.",
            reader="flag",
            otherwise="true with an endpoint",
            example="true",
            is_option=True,
        ),
        Key(
            name="skip-verify",
            why="Accept any TLS certificate. Only for a test on your own network.",
            reader="flag",
            default=False,
            is_option=True,
        ),
        Key(
            name="access-key-id",
            why="The key pair. Set both or neither: without them the environment is asked.",
            otherwise="that at the top, else that of the environment",
            example="minioadmin",
            is_set=True,
            is_secret=True,
            is_for_all=True,
        ),
        Key(
            name="secret-access-key",
            why="Its other half. Keep real ones in the environment.",
            otherwise="that at the top, else that of the environment",
            example="minioadmin",
            is_set=True,
            is_secret=True,
            is_for_all=True,
        ),
    )

    idle_keys: ClassVar[Mapping[str, str]] = {
        "concurrency": "parts of an upload go two at a time",
        "part-size": "large objects go in parts of 8 MiB",
        "require-content-md5": "it is always sent",
        "sign-accept-encoding": "it is not signed",
        "sign-payload": "what is sent is proven by its MD5, which is signed",
    }

    refused_keys: ClassVar[Mapping[str, str]] = {
        "sse-customer-algorithm": _NOT_KEPT_SO,
        "sse-customer-key": _NOT_KEPT_SO,
        "sse-customer-key-path": _NOT_KEPT_SO,
        "sse-kms-key-id": _NOT_KEPT_SO,
        "storage-class": _NOT_KEPT_SO,
    }

    def from_url(self, url: ReplicaURL, note: Note) -> S3Location:
        options = self.options(url, note)
        found = parse_s3_host(decode(url.host))
        region = options.get("region")
        if region is not None and not is_region(region):
            raise ConfigError(f"{quoted(region)!r} in the replica URL is not a region such as {DEFAULT_REGION}")
        endpoint = parse_endpoint(options["endpoint"]) if "endpoint" in options else found.endpoint
        return S3Location(
            bucket=check_bucket(found.bucket),
            path=clean_path(decode(url.path)),
            endpoint=endpoint,
            region=region or found.region,
            force_path_style=url.flag(options, "force-path-style"),
            skip_verify=url.flag(options, "skip-verify") or False,
        )

    def from_keys(self, settings: Settings) -> S3Location:
        bucket = settings.text("bucket")
        if bucket is None:
            raise settings.refusal(None, "has no bucket: bucket required for s3 replica; add bucket: and its name")
        path = settings.pattern_free("path")
        try:
            return S3Location(bucket=check_bucket(bucket), path=clean_path(path or ""))
        except ConfigError as error:
            raise settings.refusal("bucket", f"cannot be used: {error}") from None

    def with_keys(self, location: S3Location, settings: Settings) -> S3Location:
        access_key_id, secret_access_key = settings.text("access-key-id"), settings.text("secret-access-key")
        register_secret(access_key_id)
        register_secret(secret_access_key)
        if (access_key_id is None) != (secret_access_key is None):
            here, missing = "access-key-id", "secret-access-key"
            if access_key_id is None:
                here, missing = missing, here
            raise settings.refusal(
                None, f"has {here} without {missing}; set both, or neither to take them from the environment"
            )
        region = settings.text("region")
        if region is not None and not is_region(region):
            raise settings.refusal("region", f"is {quoted(region)!r}, which is no region; write one such as us-east-1")
        force_path_style, skip_verify = settings.flag("force-path-style"), settings.flag("skip-verify")
        return replace(
            location,
            endpoint=_endpoint(settings) or location.endpoint,
            region=region or location.region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            force_path_style=location.force_path_style if force_path_style is None else force_path_style,
            skip_verify=location.skip_verify if skip_verify is None else skip_verify,
        )


def _endpoint(settings: Settings) -> str | None:
    text = settings.text("endpoint")
    try:
        return parse_endpoint(text) if text is not None else None
    except ConfigError as error:
        raise settings.refusal("endpoint", f"cannot be used: {error}") from None


KIND = S3Kind()

"""What only boto3 knows: where AWS is, and its keys in all the places where people keep them.

Nothing else imports boto3, and here it is loaded only if the configuration and the environment name no endpoint
or no keys, for that costs as much as hundreds of requests.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replication.storage.s3.sign import Keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def find_keys() -> Callable[[], Keys]:
    """What gives the keys of boto3's chain: profiles, SSO, roles; those that expire are renewed in time.

    Raises what botocore does: NoCredentialsError and others, which s3/errors.py says in words.
    """
    import boto3.session
    import botocore.exceptions

    credentials = boto3.session.Session().get_credentials()
    if credentials is None:
        raise botocore.exceptions.NoCredentialsError

    def keys() -> Keys:
        frozen = credentials.get_frozen_credentials()
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token)

    return keys


@functools.cache
def endpoint_of(region: str) -> str:
    """The URL of S3 in a region: partitions such as China, dual-stack and FIPS are as ~/.aws and environment say."""
    import boto3.session
    import botocore.config

    config = botocore.config.Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        # The place is what the configuration says, not what AWS_ENDPOINT_URL says.
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]
    )
    # These keys sign nothing that is sent: they keep the client from a search for others.
    client: S3Client = boto3.session.Session("unused", "unused").client("s3", region_name=region, config=config)
    try:
        # The rules for endpoints are applied to requests: client.meta.endpoint_url names hosts that do not exist.
        url = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": "bucket"}))
    finally:
        client.close()
    return f"{url.scheme}://{url.netloc}"

"""One replica of the configuration, read into the place it names.

Its promise: a type, key or encryption that this program does not have is refused, so that data never goes to
another place, or in another form, than the file says.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

from replication.config.document import Section
from replication.config.keys import FOREIGN_KEYS, S3_KEYS
from replication.errors import ConfigError, UsageError
from replication.scrub import quoted, register_secret
from replication.storage.location import FileLocation, Location, S3Location
from replication.storage.s3.host import check_bucket, parse_endpoint
from replication.storage.url import NEAREST_WAY, clean_path, is_replica_url, parse_replica_url

_REGION = re.compile(r"[a-zA-Z0-9-]{1,64}")


def check_type(replica: Section) -> None:
    """Raise RefusedError for a type that this program does not have, with the nearest way there is."""
    kind = replica.text("type") or ""
    if replica.has("url"):
        scheme = (replica.text("url") or "").partition("://")[0].lower()
        if scheme in NEAREST_WAY:
            raise replica.refusal(
                "url", f"is of type {scheme}, which this program does not have; {NEAREST_WAY[scheme]}"
            )
    elif kind in NEAREST_WAY:
        raise replica.refusal("type", f"is {kind}, which this program does not have; {NEAREST_WAY[kind]}")
    elif kind and kind not in ("s3", "file"):
        raise replica.refusal("type", f"is {quoted(kind)!r}, an unknown replica type; use s3 or file")


def plain_path(section: Section, key: str, text: str) -> Path:
    """A path on this machine; raise RefusedError for a pattern, which is not expanded."""
    check_pattern(section, key, text)
    return local_path(text)


def check_pattern(section: Section, key: str, text: str) -> None:
    """Raise RefusedError for what holds a *: it would be a file or folder of that very name."""
    if "*" in text:
        raise section.refusal(key, "holds a *, and patterns are not expanded; write one entry for each, by its name")


def read_location(replica: Section, access_key_id: str | None, secret_access_key: str | None) -> Location:
    """The place of `replica`; the key pair is that at the top of the file, for a replica that has none."""
    if replica.has("age"):
        raise replica.refusal(
            "age",
            "asks for encryption, which this program does not have: it would store the data readable. "
            "Go on with Litestream 0.3 for this database, or remove age",
        )
    location = _from_url(replica) if replica.has("url") else _from_keys(replica)
    _refuse_keys_of_other_types(replica, location)
    if isinstance(location, FileLocation):
        return location
    return _with_s3_settings(replica, location, access_key_id, secret_access_key)


def location_type(location: Location) -> str:
    """The word of the configuration for a kind of place."""
    return "file" if isinstance(location, FileLocation) else "s3"


def location_identity(location: Location) -> tuple[str, ...]:
    """Equal for two locations that are one place, whatever links or slashes they are written with."""
    if isinstance(location, FileLocation):
        return ("file", os.path.realpath(location.path))
    return ("s3", (location.endpoint or "").lower(), location.bucket, clean_path(location.path))


def local_path(text: str) -> Path:
    """An absolute, clean path; "~" alone or before a slash is the home folder. Links are kept.

    Raises UsageError for a relative path where there is no working directory.
    """
    if text == "~" or text.startswith("~/"):
        text = str(Path(text).expanduser())
    try:
        return Path(os.path.abspath(text))  # noqa: PTH100  Path.absolute() would keep "..".
    except FileNotFoundError:
        raise UsageError(
            f"{text} is relative to the working directory, which was removed: go to another one, or give a whole path"
        ) from None


def output_path(text: str) -> Path:
    """Where a restored database goes, as `local_path`; raise UsageError for the name of a folder."""
    if text.endswith("/"):
        raise UsageError(f"{text} names a folder: give the path of the file to restore to, such as {text}app.db")
    return local_path(text)


def _from_url(replica: Section) -> Location:
    url = replica.text("url") or ""
    try:
        location = parse_replica_url(url)
    except ConfigError as error:
        raise replica.refusal("url", f"cannot be used: {error}") from None
    check_pattern(replica, "url", str(location.path))
    kind = location_type(location)
    for key in ("path", "bucket"):
        if replica.has(key) and (key == "path" or kind == "s3"):
            raise replica.refusal(key, f"stands beside url: cannot specify url & {key} for {kind} replica")
    return location


def _from_keys(replica: Section) -> Location:
    kind = replica.text("type") or "file"
    path = replica.text("path")
    if path is not None and is_replica_url(path):
        raise replica.refusal("path", "cannot be a URL; use the url key instead")
    return _s3(replica, path) if kind == "s3" else _file(replica, path)


def _file(replica: Section, path: str | None) -> FileLocation:
    given = [key for key in S3_KEYS if replica.has(key)]
    if given and not replica.has("type"):
        raise replica.refusal(given[0], "belongs to type s3, and a replica without type is of type file; add type: s3")
    if path is None:
        raise replica.refusal(None, "has no path: file replica path required; add path: and a folder")
    return FileLocation(plain_path(replica, "path", path))


def _s3(replica: Section, path: str | None) -> S3Location:
    bucket = replica.text("bucket")
    if bucket is None:
        raise replica.refusal(None, "has no bucket: bucket required for s3 replica; add bucket: and its name")
    check_pattern(replica, "path", path or "")
    return S3Location(bucket=_checked(replica, "bucket", bucket), path=clean_path(path or ""))


def _refuse_keys_of_other_types(replica: Section, location: Location) -> None:
    kind = location_type(location)
    for key, home in FOREIGN_KEYS.items():
        if replica.has(key):
            raise replica.refusal(key, f"belongs to type {home}, and this replica is of type {kind}; remove it")
    if kind == "file":
        for key in S3_KEYS:
            if replica.has(key):
                raise replica.refusal(key, "belongs to type s3, and this replica is of type file; remove it")


def _with_s3_settings(
    replica: Section, location: S3Location, access_key_id: str | None, secret_access_key: str | None
) -> S3Location:
    """`location` with the keys of the section, which win over what a URL says."""
    access_key_id = replica.text("access-key-id") or access_key_id
    secret_access_key = replica.text("secret-access-key") or secret_access_key
    register_secret(access_key_id)
    register_secret(secret_access_key)
    if (access_key_id is None) != (secret_access_key is None):
        here, missing = "access-key-id", "secret-access-key"
        if access_key_id is None:
            here, missing = missing, here
        raise replica.refusal(
            None, f"has {here} without {missing}; set both, or neither to take them from the environment"
        )
    endpoint, region = replica.text("endpoint"), replica.text("region")
    if region is not None and _REGION.fullmatch(region) is None:
        raise replica.refusal("region", f"is {quoted(region)!r}, which is no region; write one such as us-east-1")
    force_path_style = replica.flag("force-path-style")
    return replace(
        location,
        endpoint=_checked(replica, "endpoint", endpoint) if endpoint is not None else location.endpoint,
        region=region or location.region,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        force_path_style=location.force_path_style if force_path_style is None else force_path_style,
        skip_verify=location.skip_verify if (skip := replica.flag("skip-verify")) is None else skip,
    )


def _checked(replica: Section, key: str, text: str) -> str:
    try:
        return check_bucket(text) if key == "bucket" else parse_endpoint(text)
    except ConfigError as error:
        raise replica.refusal(key, f"cannot be used: {error}") from None

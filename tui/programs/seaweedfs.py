"""The words that start SeaweedFS as one S3 server on this machine."""

import json
from pathlib import Path

ADMIN_PORT_DISTANCE = 10_000
"""A worker of the server dials its admin port plus this, whatever the flags say."""
_PORT_FLAGS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "metricsPort",
)
PORTS = len(_PORT_FLAGS) + 1
"""How many it listens on."""


def command(weed: Path, folder: Path, access_key: str, secret_key: str, ports: list[int]) -> list[str]:
    """The words that start the server in `folder`, which gets a file with its keys and a folder for its data.

    `ports` are ten free ones: first the admin port, of which the one ADMIN_PORT_DISTANCE above must be free too,
    then the S3 port and eight more.
    """
    keys = [{"accessKey": access_key, "secretKey": secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    settings = folder / "s3.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps({"identities": [{"name": "admin", "credentials": keys, "actions": actions}]}))
    (folder / "data").mkdir(exist_ok=True)
    admin, *others = ports
    return [
        str(weed),
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={settings}",
        *(f"-{name}={port}" for name, port in zip(_PORT_FLAGS, others, strict=True)),
        f"-admin.port={admin}",
        f"-admin.port.grpc={admin + ADMIN_PORT_DISTANCE}",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]

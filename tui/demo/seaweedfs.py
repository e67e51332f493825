"""A real S3 server for the demo: SeaweedFS on free ports of this machine, with keys of its own.

Its promise: the server is gone when the context ends, and with the process that started it. Its data stays in
the folder given; what becomes of that is left to the caller.
"""

import ctypes
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType

from replication.errors import LocalFileError, ReplicationError, StorageError, UsageError
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location

FETCHED = Path(__file__).parents[2] / ".peers" / "servers" / "bin" / "weed"
"""Where `make peers` puts SeaweedFS."""
START_SECONDS_MAX = 30.0
START_TRIES_MAX = 3
"""Another program may take one of the ports between our look at it and the server's."""
BUCKET = "litestream-bucket"
ADMIN_PORT_DISTANCE = 10_000
"""A worker of the server dials its admin port plus this, whatever the flags say."""

_POLL_SECONDS = 0.02
_PORTS = range(20_000, 32_000)
"""Below the ports of outgoing connections, so that none of these takes one that is about to be used."""
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
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here, since little may be done between fork and exec


def find_weed() -> Path:
    """The SeaweedFS program: what `make peers` fetched, else one on PATH. Raises UsageError, saying what to do."""
    if os.access(FETCHED, os.X_OK):
        return FETCHED
    found = shutil.which("weed")
    if found is None:
        raise UsageError(
            f"demo -s3 needs SeaweedFS, and neither {FETCHED} nor a weed on PATH is there; "
            "run make peers, which fetches it, or leave out -s3"
        )
    return Path(found)


def free_ports(count: int, pair_distance: int = 0) -> list[int]:
    """Ports nobody listens on; with a distance, the first of them has a free partner so far above it."""
    found: list[int] = []
    while len(found) < count:
        # The partner must be in the range too, and nobody else's.
        distance = 0 if found else pair_distance
        port = random.choice(_PORTS[: len(_PORTS) - distance])
        taken = {*found, *(found[:1] and [found[0] + pair_distance])}
        if port not in taken and _is_free(port) and _is_free(port + distance):
            found.append(port)
    return found


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


def die_with_parent() -> None:
    """For `preexec_fn`: on Linux the kernel ends the process when the thread that started it ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class SeaweedFS:
    """A server that answers once the context is entered; `location` is a place on it, with keys."""

    def __init__(self, weed: Path, folder: Path) -> None:
        self._weed = weed
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def location(self, path: str) -> S3Location:
        """The place `path` in the bucket of this server."""
        return S3Location(BUCKET, path, self.endpoint, "us-east-1", self._access_key, self._secret_key)

    def __enter__(self) -> "SeaweedFS":
        self._access_key, self._secret_key = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
        self._folder.mkdir(parents=True)
        try:
            for _ in range(START_TRIES_MAX):
                self._start()
                if self._wait_until_ready():
                    return self
                self._end()
        except BaseException:
            self._end()
            raise
        tail = (self._folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise ReplicationError(f"SeaweedFS ({self._weed}) did not start; the last it said: {' '.join(tail)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        ports = free_ports(len(_PORT_FLAGS) + 1, pair_distance=ADMIN_PORT_DISTANCE)
        self.endpoint = f"http://127.0.0.1:{ports[1]}"
        words = command(self._weed, self._folder, self._access_key, self._secret_key, ports)
        with (self._folder / "log").open("ab") as log:
            try:
                # A session of its own, so that Ctrl-C reaches only the demo, which then ends the server.
                self._process = subprocess.Popen(
                    words,
                    cwd=self._folder,
                    # Nothing of the user's settings reaches it.
                    env={"HOME": str(self._folder), "PATH": os.defpath},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                raise LocalFileError(f"cannot run {self._weed}: {error.strerror}; run make peers again") from None

    def _wait_until_ready(self) -> bool:
        """True when an object could be written; false if the server ended, or takes too long."""
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while process.poll() is None and time.monotonic() < deadline:
            if self._listens():
                with closing(open_storage(self.location("ready"))) as storage:
                    try:
                        storage.put("ready", [b"yes"])
                        return True
                    except StorageError:
                        pass  # It answers before it can store anything.
            time.sleep(_POLL_SECONDS)
        return False

    def _listens(self) -> bool:
        host, port = self.endpoint.removeprefix("http://").split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # At once: its data is of no use after the demo.
            process.kill()
            process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""A real S3 server for the demo: SeaweedFS on free ports of this machine, with keys of its own.

Its promise: the server is gone when the context ends, and with the process that started it. Its data stays in
the folder given; what becomes of that is left to the caller.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType

from replication.errors import LocalFileError, ReplicationError, StorageError, UsageError
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from tui.programs.processes import die_with_parent, free_ports
from tui.programs.seaweedfs import ADMIN_PORT_DISTANCE, PORTS, command

FETCHED = Path(__file__).parents[2] / ".peers" / "servers" / "bin" / "weed"
"""Where `make peers` puts SeaweedFS."""
START_SECONDS_MAX = 30.0
START_TRIES_MAX = 3
"""Another program may take one of the ports between our look at it and the server's."""
BUCKET = "litestream-bucket"

_POLL_SECONDS = 0.02


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
        ports = free_ports(PORTS, pair_distance=ADMIN_PORT_DISTANCE)
        self.endpoint = f"http://127.0.0.1:{ports[1]}"
        words = command(self._weed, self._folder, self._access_key, self._secret_key, ports)
        with (self._folder / "log").open("ab") as log:
            try:
                # A session of its own, so that Ctrl-C reaches only the demo, which then ends the server.
                self._process = subprocess.Popen(
                    words,
                    cwd=self._folder,
                    # None of the user's settings reaches the server.
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

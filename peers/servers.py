"""Real S3 servers, each a process of its own that never outlives us.

A server keeps its port and its data across `stop` and `start`, so that an outage can be played.
"""

import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.config
import botocore.exceptions

from peers.binaries import clean_environment, peer
from replication.storage.s3.location import S3Location
from tui.programs.processes import die_with_parent, free_ports
from tui.programs.seaweedfs import ADMIN_PORT_DISTANCE
from tui.programs.seaweedfs import PORTS as WEED_PORTS
from tui.programs.seaweedfs import command as weed_command

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0


class S3Server:
    """One S3 server: `endpoint`, `access_key`, `secret_key`, and how to start and stop it."""

    name: str
    access_key = "PEERACCESSKEYCANARY"
    secret_key = "peer/secret+key=canary0123456789"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server and return when a PUT succeeds."""
        assert self._process is None, f"{self.name} runs already"
        arguments, environment = self._command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                env=clean_environment(**environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop(kill=True)
            raise

    def stop(self, *, kill: bool = False) -> None:
        """End the server; with `kill` at once, as a power cut does. Data and port are kept."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self) -> "S3Client":
        """A boto3 client of the tests' own, to look behind the program's back."""
        return _session(self.access_key, self.secret_key).client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            config=botocore.config.Config(
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=20,
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={},
            ),
        )

    def make_bucket(self, name: str | None = None) -> str:
        """Make a bucket, with a name of its own if none is given; return its name."""
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def location(self, path: str | None = None, bucket: str = "tests") -> S3Location:
        """A place on this server with the right keys; a fresh path if none is given."""
        return S3Location(
            bucket=bucket,
            path=uuid.uuid4().hex if path is None else path,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
        )

    def litestream_environment(self) -> dict[str, str]:
        """What Litestream needs to reach this server."""
        return clean_environment(LITESTREAM_ACCESS_KEY_ID=self.access_key, LITESTREAM_SECRET_ACCESS_KEY=self.secret_key)

    def _prepare(self) -> None:
        raise NotImplementedError

    def _command(self) -> tuple[Sequence[str | Path], dict[str, str]]:
        raise NotImplementedError

    def _wait_until_ready(self) -> None:
        client = self.client()
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            # The bucket "tests" is always there.
            with suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                client.create_bucket(Bucket="tests")
            try:
                client.put_object(Bucket="tests", Key="ready", Body=b"yes")
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                if not self.running or time.monotonic() > deadline:
                    tail = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"{self.name} did not start: {error}\n{tail}") from None
                threading.Event().wait(0.02)
                continue
            client.close()
            return


class SeaweedServer(S3Server):
    """SeaweedFS: `weed mini`. A PUT into a missing bucket makes it."""

    name = "weed"

    def _prepare(self) -> None:
        self._binary = peer("servers", "weed")
        self._ports = free_ports(WEED_PORTS, pair_distance=ADMIN_PORT_DISTANCE)
        self.port = self._ports[1]

    def _command(self) -> tuple[Sequence[str | Path], dict[str, str]]:
        return weed_command(self._binary, self.folder, self.access_key, self.secret_key, self._ports), {}


class JuiceServer(S3Server):
    """The JuiceFS gateway, which answers with MinIO's own code."""

    name = "juicefs"

    def _prepare(self) -> None:
        self._binary = peer("servers", "juicefs")
        [self.port] = free_ports(1)
        meta = f"sqlite3://{self.folder / 'meta.db'}"
        self._meta = meta
        if (self.folder / "meta.db").exists():
            return
        subprocess.run(
            [
                self._binary,
                "format",
                *("--storage", "file"),
                *("--bucket", f"{self.folder / 'data'}/"),
                *("--trash-days", "0"),
                meta,
                "tests",
            ],
            env=clean_environment(),
            check=True,
            capture_output=True,
            timeout=START_SECONDS_MAX,
        )

    def _command(self) -> tuple[Sequence[str | Path], dict[str, str]]:
        return [
            self._binary,
            "gateway",
            self._meta,
            f"127.0.0.1:{self.port}",
            "--multi-buckets",
            "--keep-etag",
            "--no-usage-report",
            *("--cache-dir", str(self.folder / "cache")),
        ], {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key}


@cache
def _session(access_key: str, secret_key: str) -> boto3.session.Session:
    """One for all clients: what it reads of AWS takes most of the time of a client."""
    return boto3.session.Session(access_key, secret_key)


@contextmanager
def running(server: S3Server) -> Iterator[S3Server]:
    """A started server that is gone, with its data, afterwards."""
    try:
        server.start()
        yield server
    finally:
        server.stop(kill=True)
        shutil.rmtree(server.folder, ignore_errors=True)

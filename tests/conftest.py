"""Fixtures for all tests: real servers, started once for each test process when first asked for."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

import peers
from replication.storage.s3.location import S3Location
from tests import scratch


def pytest_configure() -> None:
    """Keep this machine's own settings, keys and proxies out of every test, and chance out of all but torture."""
    memory = scratch.in_memory()
    if memory is not None:
        os.environ.setdefault(scratch.ROOT_VARIABLE, str(memory))
    # A container that sets these would have each of a thousand processes compile the whole program, and none of them
    # write as it does for people.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("PYTHONUNBUFFERED", None)
    sys.dont_write_bytecode = False
    # New cases are looked for by `make torture`; what fails in `make test` fails for everybody.
    # No test is failed for the time that it took: the machine may be busy.
    settings.register_profile("same", derandomize=True, deadline=None)
    settings.register_profile("new", deadline=None)
    settings.load_profile("new" if os.environ.get("TORTURE_MINUTES") else "same")
    for name in list(os.environ):
        if name.startswith(("AWS_", "LITESTREAM_", "MINIO_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    if _RUNTIME_VARIABLE not in os.environ or not os.environ[_RUNTIME_VARIABLE].startswith(_RUNTIME_PREFIX):
        # Control sockets, whose paths must be short, for programs of every user that a test may run.
        os.environ[_RUNTIME_VARIABLE] = folder = tempfile.mkdtemp(prefix="lt-", dir="/tmp")
        Path(folder).chmod(0o1777)
        _made.append(folder)
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    # Started in the background or under nohup we were told to ignore these, and every program we start would be too.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)


_RUNTIME_VARIABLE, _RUNTIME_PREFIX = "RUNTIME_DIRECTORY", "/tmp/lt-"
_made: list[str] = []
_EXPLORING_SECONDS_MAX = 600
_SERVERS = {"weed", "juicefs", "outage_server", "ssh_hosts", "s3_location", "litestream03", "litestream05"}
"""Fixtures that are a real program of .peers."""
_PLACES = {
    "torture": "torture",
    "interchange": "server",
    "test_litestream.py": "server",
    "test_peers.py": "server",
    "test_whole_run.py": "server",
    # A process of the program, an engine under way, or a terminal, for each of them.
    "cli": "long",
    "engine": "long",
    "service": "long",
    "work": "long",
    "test_benchmarks.py": "long",
    "test_security.py": "long",
    "test_shell.py": "long",
    "test_terminal.py": "long",
    "test_walkthrough.py": "long",
    # root and what a user does to it, mostly through the program.
    "test_hostile_home.py": "long",
    "test_screen_log.py": "long",
    "test_secrets.py": "long",
    "test_source.py": "long",
    "test_program.py": "long",
    "test_by_engine.py": "long",
    "test_frozen_disk.py": "long",
    # A file that takes more than 3 seconds of a processor; others test the same room.
    "test_any_order.py": "long",
    "test_copied_back_by_others.py": "long",
    "test_every_commit.py": "long",
    "test_interrupted_commit.py": "long",
    "test_kept_pages.py": "long",
    "test_left_behind.py": "long",
    "test_lost.py": "long",
    "test_one_writer.py": "long",
    "test_picked.py": "long",
    "test_property.py": "long",
    "test_together.py": "long",
    "test_picked_program.py": "long",
    "test_replace_inode.py": "long",
    "test_restoring.py": "long",
    "test_slow_snapshot.py": "long",
    "test_source_files.py": "long",
    "test_uploads.py": "long",
    "test_window.py": "long",
}
"""What a folder or a file has only tests of."""


_SHORT = {
    "test_flags.py",
    "test_lifecycle.py",
    "test_lookout.py",
    "test_notebook.py",
    "test_refusals.py",
}
"""What `make quick` has of the folders that are long: each of them is tested by a little there."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make quick` leaves out, where it is told by a fixture or by the place."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    names = {*getattr(item, "fixturenames", ()), *(str(value).removeprefix("s3-") for value in parameters.values())}
    if names & _SERVERS:
        item.add_marker("server")
    for place in (item.path.parent.name, item.path.name):
        mark = _PLACES.get(place)
        if mark is not None and not (mark == "long" and item.path.name in _SHORT):
            item.add_marker(mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make torture` what proves the same once more, with other numbers."""
    if os.environ.get("TORTURE_MINUTES"):
        for item in items:
            if item.get_closest_marker("explores") and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(_EXPLORING_SECONDS_MAX))
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("explores")])
    items[:] = [item for item in items if not item.get_closest_marker("explores")]


def pytest_report_header() -> str:
    return f"temporary files: {os.environ.get(scratch.ROOT_VARIABLE, tempfile.gettempdir())}"


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """As pytest's, but on a disk for tests that are about disks."""
    if not {request.path.name, request.path.parent.name} & scratch.ON_DISK:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="test-on-disk-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.S3Server]:
    """SeaweedFS with a bucket "tests", shared: take a fresh `location()` each, and leave it running."""
    with peers.running(peers.SeaweedServer(tmp_path_factory.mktemp("weed"))) as server:
        yield server


@pytest.fixture(scope="session")
def juicefs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.S3Server]:
    """MinIO's code with a bucket "tests", shared: take a fresh `location()` each, and leave it running."""
    with peers.running(peers.JuiceServer(tmp_path_factory.mktemp("juicefs"))) as server:
        yield server


@pytest.fixture
def ssh_hosts(tmp_path: Path) -> Iterator[Callable[..., peers.SSHServer]]:
    """Starts a host by this name, a real sshd on loopback, whose sessions have the variables that are given besides.

    All are gone afterwards, with what runs in them.
    """
    with ExitStack() as stack:

        def start(name: str, **environment: str) -> peers.SSHServer:
            try:
                server = peers.SSHServer(tmp_path / f"ssh-{name}", name, environment)
            except peers.NoOpenSSHError as error:
                pytest.skip(str(error))
            return stack.enter_context(peers.running_ssh(server))

        yield start


@pytest.fixture
def outage_server(tmp_path: Path) -> Iterator[peers.S3Server]:
    """A server of the test's own, to stop and start as it likes."""
    with peers.running(peers.JuiceServer(tmp_path / "outage-server")) as server:
        yield server


@pytest.fixture
def s3_location(weed: peers.S3Server) -> S3Location:
    """A fresh place on a real S3 server."""
    return weed.location()


@pytest.fixture(scope="session")
def litestream03() -> Path:
    """The binary of Litestream 0.3.13."""
    return peers.litestream03()


@pytest.fixture(scope="session")
def litestream05() -> Path:
    """The binary of Litestream 0.5."""
    return peers.litestream05()

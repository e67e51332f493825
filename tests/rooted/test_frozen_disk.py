"""A disk that hangs, as a dead server's does: a file system on a loop device, frozen by the kernel."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from replication.config import Config
from replication.engine.disks import THREADS_MAX
from tests.engine.running import client_of, config_of, restored, running, until
from tests.foreign import Shell


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=False).returncode:
        pytest.skip("no loop devices here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def frozen(disk: Path) -> Iterator[None]:
    """Whoever writes to the disk waits while the block runs; a minute at most, should it be the test itself."""
    thaw = ["fsfreeze", "-u", str(disk)]
    watchdog = subprocess.Popen(["sh", "-c", 'sleep 60; exec "$@"', "sh", *thaw])
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    try:
        yield
    finally:
        watchdog.kill()
        watchdog.wait()
        subprocess.run(thaw, check=True)


def test_promise_6_databases_of_a_disk_that_hangs_hold_up_no_other(disk: Path, tmp_path: Path) -> None:
    names = ["a", "b", "c", "good"]
    databases = []
    for name in names:
        database = config_of(tmp_path / f"{name}.db", tmp_path / name).databases[0]
        databases.append(database if name == "good" else replace(database, meta_path=disk / name))
    with ExitStack() as stack:
        apps = [stack.enter_context(Shell(item.path).open(autocheckpoint=False)) for item in databases]
        for app in apps:
            app.execute("PRAGMA journal_mode=wal")
            app.execute("CREATE TABLE t(a)")
        with running(Config(None, tuple(databases))) as engine:

            def arrived(number: int) -> bool:
                """Its newest commit is stored."""
                status = engine.status().databases[number]
                return status.position is not None and status.replicas[0].position == status.position

            def arrives(number: int) -> None:
                before = engine.status().databases[number].position
                apps[number].execute("INSERT INTO t VALUES(1)")
                until(lambda: engine.status().databases[number].position != before and arrived(number))

            for number in range(4):
                until(lambda number=number: arrived(number))  # type: ignore[misc]
            with frozen(disk):
                for app in apps[:3]:
                    app.execute("INSERT INTO t VALUES(0)")
                until(lambda: len(engine.copying()) == THREADS_MAX)
                for _ in range(3):
                    arrives(3)
                until(engine.makes_progress)
                assert len(engine.copying()) >= THREADS_MAX, "some still hang"
            for number in range(3):
                arrives(number)
        for app, name in zip(apps, names, strict=True):
            assert restored(client_of(tmp_path / name), tmp_path / f"{name}.out") == app.sha256()

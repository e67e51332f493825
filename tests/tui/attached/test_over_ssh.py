"""The whole of it: a service, the screen on a terminal over a real sshd, a restore, and the line cut in its middle."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, succeeds
from tests.cli.slow_proxy import SlowProxy, slow_proxy
from tests.engine.running import sha256
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui.attached.test_attach import asked, service
from tests.tui.window import Window

pytestmark = pytest.mark.server

ENTER = "\r"
BLOB_BYTES = 4_000_000
SIZE = (120, 30)


@dataclass(frozen=True, slots=True)
class Machine:
    """A host with a database, whose replica is in a store that holds back the middle of its snapshot."""

    folder: Path
    config: Path
    shell: Shell
    other: Shell
    """A database that is not restored."""
    store: SlowProxy
    server: peers.SSHServer
    ssh: Path
    number: Iterator[int] = field(default_factory=count)

    def screen(self) -> Window:
        """The screen there, on a terminal here: what a person types, `ssh -t HOST litestream-tui`."""
        command = f"exec litestream-tui -config {self.config}"
        return Window("-t", self.server.name, command, program=self.ssh, home=self.folder, size=SIZE)

    @contextmanager
    def replicating(self) -> Iterator[Replicating]:
        with service(self.config, self.folder / "service", snapshots=3) as process:
            yield process


@pytest.fixture
def machine(ssh_hosts: Callable[..., peers.SSHServer], weed: peers.S3Server, tmp_path: Path) -> Iterator[Machine]:
    shell, config, place = Shell(tmp_path / "app.db"), tmp_path / "litestream.yml", weed.location().path
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE TABLE big(x)")
    shell.run(f"INSERT INTO big VALUES(randomblob({BLOB_BYTES}))")
    other = Shell(tmp_path / "other.db")
    other.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    server = ssh_hosts("web1", HOME=str(tmp_path))
    with slow_proxy(weed.endpoint, BLOB_BYTES // 2) as store:
        config.write_text(
            f"access-key-id: {weed.access_key}\nsecret-access-key: {weed.secret_key}\n"
            f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n"
            f"  - type: s3\n    bucket: tests\n    path: {place}\n    endpoint: {store.endpoint}\n    name: far\n"
            f"  - path: {tmp_path}/app-replica\n    name: near\n"
            f"- path: {other.path}\n  replicas:\n  - path: {tmp_path}/other-replica\n"
        )
        ssh = peers.client_folder(tmp_path / "bin", server) / "ssh"
        yield Machine(tmp_path, config, shell, other, store, server, ssh)


def where(machine: Machine, name: str) -> tuple[str, str]:
    """Where a database stands, and its replica in the folder, as the engine says."""
    with closing(asked(machine.config)) as client:
        [found] = [item for item in client.status().databases if item.path.endswith(f"/{name}")]
    return str(found.position), str(found.replicas[-1].position)


def goes_on(machine: Machine, shell: Shell) -> None:
    """What is committed now is in the replica, by its position and by what is restored from it."""
    before = where(machine, shell.path.name)[0]
    shell.run("INSERT INTO t SELECT max(a) + 1 FROM t")
    wait_until("it is copied", lambda: where(machine, shell.path.name)[0] != before)
    wait_until("it is uploaded", lambda: len(set(where(machine, shell.path.name))) == 1)
    output = machine.folder / f"restored-{next(machine.number)}.db"
    succeeds("restore", "-o", output, f"file://{machine.folder}/{shell.path.stem}-replica")
    assert Shell(output).rows("SELECT a FROM t") == shell.rows("SELECT a FROM t")


def cut_off(machine: Machine, window: Window) -> None:
    """The connection is gone, as when a laptop is closed; what ran in it ends."""
    assert machine.server.drop()
    window.end()
    wait_until("the screen there has ended", lambda: not machine.server.sessions())


def restores(machine: Machine) -> list[str]:
    """The restores that the engine has, as they stand."""
    with closing(asked(machine.config)) as client:
        return [job.state for job in client.jobs() if job.do in ("restore", "restore-over")]


@pytest.mark.parametrize("over", [False, True], ids=["to a path", "over the live database"])
def test_a_restore_and_replication_go_on_when_the_line_is_cut(machine: Machine, over: bool) -> None:
    folder = machine.folder
    with machine.replicating() as process:
        position = where(machine, "app.db")[0]
        with machine.screen() as window:
            window.shows("engine: service", f"pid {process.pid}, up ")
            window.shows(">● ok", "app.db")
            window.press("r")
            window.shows("Restore ", "s3:")
            window.shows("fetch", "snapshot 00000000")
            if over:
                window.press("W")
                window.shows("IN PLACE OF THE LIVE DATABASE")
            window.press(ENTER)
            if over:
                window.shows("Stop the application first")
                window.press(f"app.db{ENTER}")
            wait_until("the restore is in the middle", machine.store.stalled.is_set)
            cut_off(machine, window)
        assert restores(machine) == ["running"]
        # The database itself is not replicated while another content is put into it.
        goes_on(machine, machine.other)
        if not over:
            goes_on(machine, machine.shell)
        with machine.screen() as window:
            window.shows("app.db: running since ")
            machine.store.go_on()
            window.press("J")
            window.shows("✔ restore", "app.db")
            window.press("q")
            assert window.end() == 0
        assert restores(machine) == ["done"]
        # Byte for byte what a command restores by that position.
        want = folder / "want.db"
        succeeds("restore", "-o", want, "-position", position, f"file://{folder}/app-replica")
        pattern = "app.db.before-restore-*Z" if over else "app.db.restore-*Z"
        [output] = folder.glob(pattern)
        assert Shell(output).rows("SELECT * FROM t, big") == Shell(want).rows("SELECT * FROM t, big")
        assert over or sha256(output) == sha256(want)
        goes_on(machine, machine.shell)
        with machine.screen() as window:
            window.shows("app.db: done at ")
            window.press("q")
            assert window.end() == 0

"""A service and screens on terminals of their own: attach, detach by whichever way, and what goes on without them."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import peers
from replication.config import load_config
from replication.control.client import Client
from replication.control.place import find
from replication.control.values import JobStatus
from replication.errors import ReplicationError
from tests.cli.program import Replicating, succeeds
from tests.cli.slow_proxy import SlowProxy, slow_proxy
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui.window import Window

ENTER, ESCAPE = "\r", "\x1b"
SNAPSHOT_BYTES = 4_000_000


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    return shell


@pytest.fixture
def config(tmp_path: Path, shell: Shell) -> Path:
    file = tmp_path / "litestream.yml"
    file.write_text(
        f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n  - path: {tmp_path}/replica\n"
    )
    return file


@contextmanager
def service(config: Path, folder: Path, snapshots: int = 1) -> Iterator[Replicating]:
    """`replicate`, in step."""
    with Replicating(folder, "-config", config) as process:
        wait_until("a snapshot", lambda: process.out.count("snapshot written") == snapshots, lambda: process.out)
        yield process


def asked(config: Path) -> Client:
    path = find(load_config(str(config)))
    assert path is not None
    return Client(path)


def jobs(config: Path) -> list[JobStatus]:
    with closing(asked(config)) as client:
        return [client.job(job.id) for job in client.jobs() if job.do == "restore"]


def engine_of(config: Path) -> int:
    """The process that answers, 0 while none does."""
    try:
        with closing(asked(config)) as client:
            return client.info().pid
    except (ReplicationError, AssertionError):
        return 0


def in_the_replica(tmp_path: Path, shell: Shell) -> None:
    """What the database holds is restorable: of the replica alone, by a command."""
    want = shell.rows("SELECT a FROM t ORDER BY rowid")
    number = iter(range(1000))

    def same() -> bool:
        output = tmp_path / f"restored-{next(number)}.db"
        succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
        return Shell(output).rows("SELECT a FROM t ORDER BY rowid") == want

    wait_until("all is in the replica", same)


def test_the_screen_attaches_to_a_service_and_q_detaches(config: Path, shell: Shell, tmp_path: Path) -> None:
    with service(config, tmp_path / "service") as process:
        with Window("-config", config, home=tmp_path) as window:
            window.shows("engine: service", f"pid {process.pid}, up ")
            window.shows("● ok", "app.db")
            window.press("s")
            window.shows("snapshot")
            window.press("v")
            window.shows("verified ✓")
            window.press("P")
            window.shows("◌ paused", "app.db")
            window.press("P")
            window.shows("● ok", "app.db", without="◌ paused")
            window.press("q")
            assert window.end() == 0
        assert f"detached from the engine, pid {process.pid}, which goes on" in window.text
        shell.run("INSERT INTO t VALUES(2)")
        in_the_replica(tmp_path, shell)
        assert engine_of(config) == process.pid


def test_attach_only_attaches(config: Path, tmp_path: Path) -> None:
    with Window("attach", "-config", config, home=tmp_path) as window:
        assert window.end() == 20
    assert "no running engine" in " ".join(window.text.split())
    with (
        service(config, tmp_path / "service") as process,
        Window("attach", "-socket", tmp_path / "s.sock", home=tmp_path) as window,
    ):
        # It has no configuration, and what it shows is the engine's.
        window.shows("engine: service", f"pid {process.pid}")
        window.press(ENTER)
        window.shows("1 generation in file")
        window.press(ESCAPE)
        window.shows("─ events ─")
        window.press("r")
        window.shows("output", "(new file)")
        window.shows("fetch", "snapshot 00000000")
        window.press(" ")
        window.shows("t", "1", "same number")
        window.press(ESCAPE)
        window.shows("output", "(new file)")
        window.press(ENTER)
        window.shows("✔ ok")
        [output] = tmp_path.glob("app.db.restore-*Z")
        window.press(ENTER)
        window.press("q")
        assert window.end() == 0
    assert Shell(output).rows("SELECT a FROM t") == [[1]]


@pytest.fixture
def far(weed: peers.S3Server, tmp_path: Path) -> Iterator[SlowProxy]:
    """A store that holds back the middle of the snapshot, until it is told to go on."""
    place = weed.location().path
    with slow_proxy(weed.endpoint, SNAPSHOT_BYTES // 2) as proxy:
        (tmp_path / "litestream.yml").write_text(
            f"access-key-id: {weed.access_key}\nsecret-access-key: {weed.secret_key}\n"
            f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {tmp_path}/app.db\n  replicas:\n"
            f"  - path: {tmp_path}/replica\n    name: near\n"
            f"  - type: s3\n    bucket: tests\n    path: {place}\n    endpoint: {proxy.endpoint}\n    name: far\n"
        )
        yield proxy


@pytest.mark.parametrize("way", ["SIGKILL", "SIGHUP", "hang up", "q"])
def test_a_restore_survives_its_screen_and_is_there_after_the_next_attach(
    way: str, config: Path, shell: Shell, far: SlowProxy, tmp_path: Path
) -> None:
    shell.run(f"CREATE TABLE big(x); INSERT INTO big VALUES(randomblob({SNAPSHOT_BYTES}))")
    with service(config, tmp_path / "service", snapshots=2) as process:
        with Window("-config", config, home=tmp_path) as window:
            window.shows("● ok", "app.db")
            window.press("r")
            window.shows("fetch", "snapshot 00000000")
            if "s3:" not in window.row("Restore "):
                window.press("\t")
                window.shows("Restore ", "s3:")
                window.shows("fetch", "snapshot 00000000")
            window.press(ENTER)
            wait_until("the restore is in the middle", far.stalled.is_set)
            if way == "hang up":
                window.hang_up()
            elif way == "q":
                window.press("q")
            else:
                window.send(signal.SIGKILL if way == "SIGKILL" else signal.SIGHUP)
            assert window.wait() == (-signal.SIGKILL if way == "SIGKILL" else 0)
        assert [job.state for job in jobs(config)] == ["running"]
        # Replication goes on as well, and who attaches now is told of the restore.
        shell.run("INSERT INTO t VALUES(2)")
        in_the_replica(tmp_path, shell)
        with Window("-config", config, home=tmp_path, size=(120, 30)) as window:
            window.shows("restore of app.db: running since ")
            window.press("J")
            window.shows("◐ restore", "app.db")
            window.press(ENTER)
            window.shows("begun at", "app.db")
            window.shows("esc goes back, and it goes on; c cancels it")
            far.go_on()
            window.shows("✔ ok, in")
            window.shows("path", ".restore-")
            window.press(ENTER)
            window.shows("✔ restore", "app.db", ".restore-")
            window.press("q")
            assert window.end() == 0
        [job] = jobs(config)
        assert job.state == "done"
        [output] = tmp_path.glob("app.db.restore-*Z")
        assert Shell(output).rows("SELECT a FROM t") == [[1]]
        assert Shell(output).rows("SELECT length(x) FROM big") == [[SNAPSHOT_BYTES]]
        with Window("-config", config, home=tmp_path, size=(120, 30)) as window:
            window.shows("restore of app.db: done at ")
        assert engine_of(config) == process.pid


def test_two_screens_show_the_same(config: Path, shell: Shell, tmp_path: Path) -> None:
    with service(config, tmp_path / "service"), ExitStack() as stack:
        first, second = (stack.enter_context(Window("-config", config, home=tmp_path)) for _ in range(2))
        for window in (first, second):
            window.shows("engine: service")
            window.shows("● ok", "app.db")
        first.press("P")
        second.shows("◌ paused", "app.db")
        second.press("P")
        first.shows("● ok", "app.db", without="◌ paused")
        first.press("q")
        assert first.end() == 0
        second.press("v")
        second.shows("verified ✓")


def test_a_second_screen_is_on_the_engine_of_the_first(config: Path, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as first:
        first.shows("engine: here, ends with this screen")
        first.shows("● ok", "app.db")
        with Window("-config", config, home=tmp_path) as second:
            second.shows("engine: in another screen, ends with that")
            second.press("q")
            assert second.end() == 0
        first.shows("● ok", "app.db")
        first.press("q")
        first.shows("n ends it now")
        first.press("n")
        assert first.end() == 0


def test_an_engine_that_goes_is_shown_as_gone_and_one_that_is_back_is_attached_to(config: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        with service(config, tmp_path / "first") as process:
            window = stack.enter_context(Window("-config", config, home=tmp_path))
            window.shows("engine: service", f"pid {process.pid}")
            window.shows("● ok", "app.db")
            process.send(signal.SIGKILL)
            window.shows("engine: gone for", f"was pid {process.pid}")
            window.shows("? unknown", "app.db")
        with Replicating(tmp_path / "second", "-config", config) as process:
            window.shows("engine: service", f"pid {process.pid}")
            window.shows("● ok", "app.db", without="? unknown")
            window.press("q")
            assert window.end() == 0


def test_an_engine_that_hangs_does_not_stop_the_screen(config: Path, tmp_path: Path) -> None:
    with service(config, tmp_path / "service") as process, Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        process.send(signal.SIGSTOP)
        try:
            window.press("?")
            window.shows("keys: dashboard", seconds=3.0)
            window.press(ESCAPE)
            window.shows("─ events ─")
            window.press("q")
            assert window.end() == 0
        finally:
            process.send(signal.SIGCONT)


def test_read_only_sends_no_command(config: Path, shell: Shell, tmp_path: Path) -> None:
    with service(config, tmp_path / "service"), Window("-read-only", "-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        for key in "svyPR":
            window.press(key)
        window.press("r")
        window.shows("fetch", "snapshot 00000000")
        window.press(ENTER)
        window.shows("-read-only writes nothing")
        window.press("q")
        assert window.end() == 0
        with closing(asked(config)) as client:
            looks = {"points", "commits", "plan-point", "generations", "history", "entries"}
            assert {job.do for job in client.jobs()} <= looks
            assert client.status().databases[0].state == "ok"
    assert not list(tmp_path.glob("app.db.restore-*"))

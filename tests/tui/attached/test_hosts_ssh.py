"""One screen over three hosts: three real sshd on loopback, three engines, and the program on a terminal."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM, wait_until
from tests.tui.window import Window

pytestmark = pytest.mark.server

ENTER, ESCAPE, END = "\r", "\x1b", "\x1b[F"
NAMES = ("web1", "web2", "web3")
QUICK_SECONDS = 5.0
"""On a busy machine; a screen that waits for a host takes longer than that."""

StartHost = Callable[..., peers.SSHServer]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of its own, but for its processes: an sshd, a configuration, an engine."""

    name: str
    server: peers.SSHServer
    engine: Replicating
    config: Path
    shell: Shell


@dataclass(frozen=True, slots=True)
class Fleet:
    """The hosts, and what a screen that shows them needs."""

    hosts: dict[str, Host]
    file: Path
    environment: dict[str, str]

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]


@contextmanager
def host(name: str, start: StartHost, folder: Path) -> Iterator[Host]:
    folder.mkdir()
    shell = Shell(folder / f"{name}.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    config = folder / "litestream.yml"
    config.write_text(
        f"socket:\n  path: {folder}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n  - path: {folder}/replica\n"
    )
    server = start(name)
    with Replicating(folder / "service", "-config", config) as engine:
        wait_until("a snapshot", lambda: engine.out.count("snapshot written") == 1, lambda: engine.out)
        yield Host(name, server, engine, config, shell)


@pytest.fixture
def fleet(ssh_hosts: StartHost, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        hosts = {name: stack.enter_context(host(name, ssh_hosts, tmp_path / name)) for name in NAMES}
        folder = peers.client_folder(tmp_path / "bin", *(item.server for item in hosts.values()))
        file = tmp_path / "hosts.yml"
        file.write_text("hosts:\n" + "".join(f"- name: {name}\n  config: {hosts[name].config}\n" for name in NAMES))
        yield Fleet(hosts, file, {"PATH": f"{folder}:{os.environ['PATH']}"})


def test_one_screen_shows_all_and_commands_go_to_the_right_one(fleet: Fleet, tmp_path: Path) -> None:
    size = (140, 30)
    with Window("-config", fleet.file, home=tmp_path, environment=fleet.environment, size=size) as window:
        window.shows("HOST", "DATABASE")
        for name in NAMES:
            window.shows("● ok", name, f"{name}.db")
        window.shows("3 hosts answering")
        window.press("j")
        window.shows(">● ok", "web2")
        window.press("P")
        window.shows("◌ paused", "web2")
        window.press("P")
        window.shows("● ok", "web2", without="◌ paused")
        window.press(ENTER)
        window.shows("1 generation in file")
        window.press("r")
        window.shows("output", "web2:", "(new file)")
        window.shows("fetch", "snapshot 00000000")
        window.press(ENTER)
        window.shows("✔ ok")
        [output] = (tmp_path / "web2").glob("web2.db.restore-*Z")
        window.press(ENTER)
        window.press("q")
        assert window.end() == 0
    assert "detached from web1, web2, web3; replication goes on there" in window.text
    assert Shell(output).rows("SELECT a FROM t") == [[1]]
    for name in ("web1", "web3"):
        assert "paused" not in fleet[name].engine.out
        assert not list((tmp_path / name).glob("*.restore-*"))
    assert "paused" in fleet["web2"].engine.out
    # No relay is left behind.
    for item in fleet.hosts.values():
        wait_until("its sessions end", lambda item=item: not item.server.sessions())  # type: ignore[misc]


def test_a_host_that_hangs_is_named_and_one_that_was_cut_off_is_back_by_itself(fleet: Fleet, tmp_path: Path) -> None:
    hung = fleet["web2"]
    with Window("-config", fleet.file, home=tmp_path, environment=fleet.environment) as window:
        for name in NAMES:
            window.shows("● ok", name, f"{name}.db")
        hung.engine.send(signal.SIGSTOP)
        hung.server.send(signal.SIGSTOP)
        try:
            window.press("?")
            window.shows("keys: dashboard", seconds=QUICK_SECONDS)
            window.press(ESCAPE)
            window.shows("✖ silent", "web2", "for ", "nothing comes from there")
            window.shows("web2 silent for", "2 hosts answering")
            window.shows("? unknown", "web2.db")
            window.press("n")
            window.shows(">✖ silent", "web2")
            # What is done to others is done at once.
            window.press(END)
            window.shows(">● ok", "web3")
            window.press("P")
            window.shows("◌ paused", "web3", seconds=QUICK_SECONDS)
            window.press("P")
            window.shows("● ok", "web3", without="◌ paused", seconds=QUICK_SECONDS)
        finally:
            hung.engine.send(signal.SIGCONT)
            hung.server.send(signal.SIGCONT)
        window.shows("● ok", "web2", without="✖ silent")
        window.shows("3 hosts answering")
        # The line is cut: it is laid again, and shows what came meanwhile.
        dropped = hung.server.drop()
        assert dropped
        wait_until("it is connected again", lambda: bool(set(hung.server.sessions()) - set(dropped)))
        hung.shell.run("INSERT INTO t VALUES(2)")
        window.shows("web2", ":4152", without="✖ silent")
        hung.server.stop()
        window.shows("✖ silent", "web2", "Connection refused")
        window.press("n")
        window.shows(">✖ silent", "web2")
        hung.server.start()
        # At once, without waiting for the next try.
        window.press("y")
        window.shows("● ok", "web2", without="✖ silent")
        window.press("q")
        assert window.end() == 0


def test_status_asks_all_at_once_and_tells_of_one_that_does_not_answer(fleet: Fleet) -> None:
    words = ("status", "-host", "web1", "-host", "nowhere", "-config", fleet["web1"].config)
    environment = peers.clean_environment(**fleet.environment)
    said = subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert said.returncode == 20
    assert f"web1:{fleet['web1'].shell.path} " in said.stdout
    assert "nowhere: Could not resolve hostname" in said.stderr
    shown = subprocess.run(
        [PROGRAM, "status", "-json", "-config", fleet.file],
        env=environment,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert shown.returncode == 0
    assert [item["path"] for item in json.loads(shown.stdout)] == [f"{name}:{fleet[name].shell.path}" for name in NAMES]


def test_flags_name_hosts_and_what_is_wrong_is_said_in_words(fleet: Fleet, tmp_path: Path) -> None:
    with Window(
        *("-host", "web1", "-host", "nowhere", "-config", fleet["web1"].config, "-read-only"),
        home=tmp_path,
        size=(160, 30),
        environment=fleet.environment,
    ) as window:
        window.shows("● ok", "web1")
        window.shows("✖ silent", "nowhere", "Could not resolve hostname")
        # The cursor begins on the worst.
        window.shows(">✖ silent", "nowhere")
        window.press(END)
        window.shows(">● ok", "web1")
        window.press("r")
        window.shows("fetch", "snapshot 00000000")
        window.press(ENTER)
        window.shows("-read-only writes nothing")
        window.press("q")
        assert window.end() == 0

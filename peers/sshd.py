"""A real sshd on loopback: OpenSSH's own, with a configuration, a host key and a user's key made for it.

A server keeps its port, its keys and its name across `stop` and `start`. It and whatever it started are gone when the
context of `running_ssh` ends.
"""

import getpass
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from peers.binaries import PEERS, clean_environment
from tui.programs.processes import die_with_parent, free_ports

START_SECONDS_MAX = 20.0


class NoOpenSSHError(Exception):
    """This machine has no OpenSSH server and none could be fetched; the words say why."""


_FOLDER = PEERS / "openssh"
_PROGRAM = Path(__file__).parent.parent / ".venv" / "bin"
_CHROOT = Path("/run/sshd")
_OPTIONS = """\
ListenAddress 127.0.0.1
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AllowTcpForwarding no
MaxStartups 200
MaxSessions 100
LogLevel VERBOSE
"""
_CLIENT = """\
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile "{folder}/user-key"
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile "{folder}/known_hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


class SSHServer:
    """One host: `name` is what a client of `client_folder` calls it. Who logs in is the user of this process.

    A session finds litestream-tui on its PATH, and has `environment` besides.
    """

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Raises NoOpenSSHError."""
        self.folder = folder
        self.name = name
        self._sshd = _binary("sshd")
        folder.mkdir(parents=True, exist_ok=True)
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        for key in ("host-key", "user-key"):
            words: list[str | Path] = [_binary("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / key]
            subprocess.run(words, env=_environment(), check=True, stdin=subprocess.DEVNULL, timeout=START_SECONDS_MAX)
        public = (folder / "host-key.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
        path = f"{_PROGRAM}:/usr/local/bin:/usr/bin:/bin"
        session = {"PATH": path, "LANG": "C.UTF-8"} | dict(environment or {})
        settings = " ".join(f'"{key}={value}"' for key, value in session.items())
        (folder / "sshd_config").write_text(
            f'{_OPTIONS}Port {self.port}\nHostKey "{folder}/host-key"\n'
            f'AuthorizedKeysFile "{folder}/user-key.pub"\nSetEnv {settings}\n{_helpers(self._sshd)}'
        )

    @property
    def client_config(self) -> str:
        """What a client's configuration has to say of this host."""
        return _CLIENT.format(name=self.name, port=self.port, user=getpass.getuser(), folder=self.folder)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it takes connections."""
        assert self._process is None, f"{self.name} runs already"
        words = [str(self._sshd), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_root(words) if os.geteuid() == 0 else words,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and all of its connections at once. Port and keys are kept."""
        process, self._process = self._process, None
        if process is None:
            return
        pids = descendants(process.pid)
        process.kill()
        process.wait()
        _signal_all(pids, signal.SIGKILL)

    def drop(self) -> list[int]:
        """Cut all connections, as a line that breaks does; the server goes on. Which processes that were."""
        assert self._process is not None
        pids = [pid for pid in descendants(self._process.pid) if _name(pid).startswith("sshd")]
        _signal_all(pids, signal.SIGKILL)
        return pids

    def send(self, number: signal.Signals) -> None:
        """A signal to the server, its connections and whatever runs in them: with SIGSTOP it is a host that hangs."""
        assert self._process is not None
        pids = [self._process.pid, *descendants(self._process.pid)]
        _signal_all(pids, number)

    def sessions(self) -> list[int]:
        """The processes of connections, and what they run."""
        return descendants(self._process.pid) if self._process is not None else []

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as connected:
                if connected.recv(8).startswith(b"SSH-"):
                    return
            if not self.running or time.monotonic() > deadline:
                tail = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"sshd {self.name} did not start:\n{tail}")
            threading.Event().wait(0.02)

    def _as_root(self, words: Sequence[str]) -> Sequence[str]:
        """As root sshd wants a folder and a user of its own: the user is made up in a mount namespace of its own."""
        _CHROOT.mkdir(mode=0o755, exist_ok=True)
        with suppress(KeyError):
            pwd.getpwnam("sshd")
            return words
        users = self.folder / "passwd"
        users.write_text(Path("/etc/passwd").read_text() + "sshd:x:74:65534::/run/sshd:/usr/sbin/nologin\n")
        mounted = f'mount --bind {shlex.quote(str(users))} /etc/passwd && exec "$@"'
        return ["unshare", "-m", "sh", "-c", mounted, "sh", *words]


@contextmanager
def running_ssh(server: SSHServer) -> Iterator[SSHServer]:
    """A started server that is gone, with its keys, afterwards."""
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def client_folder(folder: Path, *servers: SSHServer) -> Path:
    """A folder for the front of PATH, whose `ssh` knows these hosts by name, and nothing of this user's own."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "ssh_config"
    config.write_text("\n".join(server.client_config for server in servers))
    libraries = shlex.quote(_environment().get("LD_LIBRARY_PATH", ""))
    script = folder / "ssh"
    script.write_text(
        f"#!/bin/sh\n[ -z {libraries} ] || export LD_LIBRARY_PATH={libraries}\n"
        f'exec {shlex.quote(str(_binary("ssh")))} -F {shlex.quote(str(config))} "$@"\n'
    )
    script.chmod(0o755)
    return folder


def descendants(pid: int) -> list[int]:
    """The processes that this one started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _binary(name: str) -> Path:
    if os.environ.get("NO_PEERS"):
        raise AssertionError(f"{name} is asked for in a test that is not marked: use @pytest.mark.server")
    for folder in (_FOLDER / "usr" / "sbin", _FOLDER / "usr" / "bin"):
        if os.access(folder / name, os.X_OK):
            return folder / name
    if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return Path(found)
    missing = _FOLDER / "missing"
    if missing.exists():
        raise NoOpenSSHError(missing.read_text().strip())
    raise AssertionError(f"{name} is not there: run make peers")


def _environment() -> dict[str, str]:
    """Libraries that were fetched with OpenSSH are found by it, and by nobody else."""
    libraries = [str(path) for path in _FOLDER.glob("usr/lib/*-linux-*")]
    return clean_environment(**({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}))


def _helpers(sshd: Path) -> str:
    """Newer servers are several programs, and look for the others where they were built to be."""
    if not sshd.is_relative_to(_FOLDER):
        return ""
    library = _FOLDER / "usr" / "lib" / "openssh"
    names = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    return "".join(f'{key} "{library / name}"\n' for key, name in names.items() if (library / name).exists())

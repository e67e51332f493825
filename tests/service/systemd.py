"""A real systemd for one test: process 1 of name spaces of its own, with the unit of contrib/ and nothing else."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import peers
from tests.interchange.program import wait_until

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "contrib/systemd/litestream-tui.service"
NAME = UNIT.name
PROGRAMS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
_CGROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup"))
TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user")
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--cgroup", "--kill-child")


class Systemd:
    """`pid` is that of process 1, as the machine counts."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self._log, self._journal = folder / "log", folder / "systemd.log"

    @property
    def log(self) -> str:
        """What the unit said."""
        return self._log.read_text(errors="replace")

    @property
    def journal(self) -> str:
        """What systemd said."""
        return self._journal.read_text(errors="replace")

    def run(self, *command: str | Path, user: str = "", code: int = 0) -> str:
        """Run a command beside the unit, outside its walls."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--"]
        if user:
            inside += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        done = subprocess.run([*inside, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr, self.log[-4000:])
        return done.stdout

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.run("systemctl", "show", "--value", "--property", name, NAME).strip()

    def wait(self, name: str, value: str) -> None:
        """Wait until a property has this value."""
        wait_until(f"{name} {value}", lambda: self.show(name) == value, lambda: self.log)

    def wait_for_words(self, words: str) -> None:
        """Wait until the unit says this of itself."""
        wait_until(words, lambda: words in self.show("StatusText"), lambda: f"{self.show('StatusText')}\n{self.log}")


def cannot() -> str:
    """Why no systemd can be run here; "" if one can."""
    if os.getuid() != 0:
        return "only root can run a systemd of its own"
    if not any(Path(name).exists() for name in PROGRAMS) or shutil.which("nsenter") is None:
        return "systemd is not installed"
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /mnt"], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else "no name spaces may be made here"


@contextmanager
def running(folder: Path, config: str, override: str = "") -> Iterator[Systemd]:
    """It, with the unit started; `override` is a drop-in, as `systemctl edit` makes one."""
    units = folder / "units"
    units.mkdir()
    shutil.copy(UNIT, units)
    for target in TARGETS:
        (units / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "test.target").write_text(f"[Unit]\nDefaultDependencies=no\nWants={NAME}\n")
    drop_in = units / f"{NAME}.d"
    drop_in.mkdir()
    # Its lines go where ours go.
    (drop_in / "test.conf").write_text(
        f"[Service]\nStandardOutput=append:{folder}/log\nStandardError=append:{folder}/log\n"
    )
    (drop_in / "override.conf").write_text(override)
    (folder / "litestream.yml").write_text(config)
    (folder / "log").touch()
    group = next(path for path in _CGROUPS if (path / "cgroup.procs").exists()) / f"litestream-tui-test-{os.getpid()}"
    group.mkdir()
    packages = sysconfig.get_path("purelib")
    with (folder / "systemd.log").open("wb") as log:
        process = subprocess.Popen(
            [*UNSHARE, "sh", Path(__file__).parent / "boot.sh", units, folder, sys.base_prefix, packages, ROOT],
            env={**peers.clean_environment(), "SYSTEMD": next(name for name in PROGRAMS if Path(name).exists())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: _enter(group),
        )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until("a process 1", lambda: bool(children.read_text().split()))
        machine = Systemd(int(children.read_text().split()[0]), folder)
        private = Path(f"/proc/{machine.pid}/root/run/systemd/private")
        wait_until("systemd", private.exists, lambda: machine.journal)
        yield machine
    finally:
        process.kill()
        process.wait()
        wait_until("an empty group", lambda: _removed(group))


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text("0")
    peers.die_with_parent()


def _removed(group: Path) -> bool:
    for path in sorted(group.rglob("*/"), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        group.rmdir()
    return not group.exists()

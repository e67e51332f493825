"""Commands of the program that cost a twentieth of a start: forked from a process that has everything loaded.

Each is a process of its own with the arguments, streams, folder, umask and environment that it was given, and runs what
the script `litestream-tui` runs. What the interpreter reads when it starts is the same for all of them: a command with
another locale or other settings of Python is none for this.
"""

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

import peers
from tests.torture.nursery import Nursery

_AT_START = ("LANG", "LC_", "PYTHON", "TZ", "VIRTUAL_ENV")
_nursery: list[Nursery] = []
"""The one of this process, once a command was run."""


def fits(environment: Mapping[str, str]) -> bool:
    """True where an interpreter that started with `environment` is like the one that is there."""
    return _at_start(environment) == _at_start(os.environ)


def command(
    arguments: list[str], cwd: Path | None, environment: Mapping[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run the program to its end: its exit code, and what it said on either stream."""
    if not _nursery:
        _nursery.append(Nursery(peers.clean_environment()))
        atexit.register(_nursery[0].close)
    with TemporaryDirectory(prefix="litestream-tui-said-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        life = _nursery[0].command(arguments, out, err, cwd or Path.cwd(), dict(environment))
        late = threading.Event()

        def end() -> None:
            late.set()
            life.kill_now()

        timer = threading.Timer(timeout, end)
        timer.start()
        try:
            code = life.wait()
        finally:
            timer.cancel()
        said = out.read_text(errors="replace"), err.read_text(errors="replace")
        if late.is_set():
            raise TimeoutExpired(arguments, timeout, *said)
        return code, *said


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}

"""The program at a twentieth of the cost of a start: forked from a process that has everything loaded.

Each is a process of its own with the arguments, streams, folder, umask and environment that it was given, and runs what
the script `litestream-tui` runs. What the interpreter reads when it starts is the same for all of them: a command with
another locale or other settings of Python is none for this, nor one that must be alone with its open files or limits.
"""

import atexit
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
from tests.torture.nursery import Life, Nursery

_AT_START = ("LANG", "LC_", "PYTHON", "TEXTUAL", "TZ", "VIRTUAL_ENV")


def fits(environment: Mapping[str, str]) -> bool:
    """True where an interpreter that started with `environment` is like the one that is there."""
    return _at_start(environment) == _at_start(os.environ)


def command(
    arguments: list[str], cwd: Path | None, environment: Mapping[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run the program to its end: its exit code, and what it said on either stream."""
    with TemporaryDirectory(prefix="litestream-tui-said-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        life = start(arguments, out, err, cwd, environment)
        try:
            code = life.wait(timeout)
        finally:
            life.kill()
        return code, out.read_text(errors="replace"), err.read_text(errors="replace")


def start(
    arguments: list[str],
    out: Path,
    err: Path,
    cwd: Path | None,
    environment: Mapping[str, str],
    session: bool = False,
) -> Life:
    """The program under way, with its two streams in files; in a session of its own if asked."""
    return _nursery(False).command(arguments, out, err, cwd or Path.cwd(), environment, session)


def start_on_terminal(arguments: list[str], terminal: str, environment: Mapping[str, str]) -> Life:
    """The program under way on a terminal."""
    return _nursery(True).on_terminal(arguments, terminal, Path.cwd(), environment)


@cache
def _nursery(screen: bool) -> Nursery:
    """The one of this process, from its first command on."""
    nursery = Nursery(peers.clean_environment(), screen)
    atexit.register(nursery.close)
    return nursery


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}

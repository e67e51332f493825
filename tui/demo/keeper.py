"""The demo's other process: it has the folder, the writers and the disk that comes and goes, while screens come and go.

Its promise: nothing is left, whatever happens to the screen. It ends when the screen that began it has ended by
whichever way, unless that has left an engine running; then with that engine, and after HOURS_MAX ends both.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from replication.errors import ReplicationError
from replication.restore.scratch import temporary_folder
from tui.demo.crowd import CONFIG_NAME, Crowd, config_text
from tui.demo.temporary import SCRATCH_PREFIX, temporary

HOURS_MAX = 1.0
_LOOK_SECONDS = 0.5
_END_SECONDS_MAX = 15.0
_STAY = b"stay "


class Keeper:
    """The other process, from the side of the one that shows the screen. `folder` has all that the demo has."""

    def __init__(self, folder: Path | None) -> None:
        """With None it works in a temporary folder, which it removes. Raises ReplicationError."""
        words = [sys.executable, "-m", "tui.demo.keeper", *([str(folder)] if folder is not None else [])]
        # A session of its own: a key of this terminal does not end it, and it may outlive the terminal.
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate()
            last = (said.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise ReplicationError(f"the demo's writers did not start: {last}")
        self.folder = Path(json.loads(line))

    @property
    def config_path(self) -> Path:
        return self.folder / CONFIG_NAME

    def stay(self, engine: int) -> None:
        """Go on for as long as that process does."""
        assert self._process.stdin is not None
        self._process.stdin.write(_STAY + str(engine).encode() + b"\n")
        self._process.stdin.close()

    def close(self) -> None:
        """End it, and wait until nothing is left; one that stays is let go."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS_MAX)


def running() -> Iterator[Path]:
    """The configurations of demos of this user that somebody has left, newest first."""
    place = temporary_folder()
    found = [path for path in place.glob(f"{SCRATCH_PREFIX}*/{CONFIG_NAME}") if path.lstat().st_uid == os.geteuid()]
    yield from sorted(found, key=lambda path: -path.lstat().st_mtime)


def main(arguments: list[str]) -> int:
    """Keep the demo until it is not wanted any more."""
    with ExitStack() as stack:
        folder = Path(arguments[0]) if arguments else stack.enter_context(temporary())
        (folder / CONFIG_NAME).write_text(config_text(folder))
        with Crowd(folder):
            print(json.dumps(str(folder)), flush=True)
            _wait()
            # It closes its databases before the folder goes.
    return 0


def _wait() -> None:
    """Until who began this has ended, or else the engine that goes on."""
    wanted = b""
    while True:
        piece = os.read(0, 100)
        wanted += piece
        if not piece or wanted.endswith(b"\n"):
            break
    if not wanted.startswith(_STAY):
        return
    engine, deadline = int(wanted[len(_STAY) :]), time.monotonic() + HOURS_MAX * 3600
    with _opened_process(engine) as process:
        while time.monotonic() < deadline:
            if select.select([process], [], [], _LOOK_SECONDS)[0]:
                return
        signal.pidfd_send_signal(process, signal.SIGTERM)
        select.select([process], [], [], _END_SECONDS_MAX)


@contextmanager
def _opened_process(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        code = main(sys.argv[1:])
    except ReplicationError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    sys.exit(code)

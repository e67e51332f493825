"""Leaving the engine running: another process stands by, takes over when this one lets go, and has no screen.

Its promise: this engine goes on until the other one stands by for every database that it has; so there is no moment in
which nobody reads, and the generation goes on (replication/database/handover.py).
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from replication.config import Config
from replication.control.place import find, path_of
from replication.database import handover
from replication.database.lock import holder
from replication.errors import ReplicationError

STAND_BY_SECONDS_MAX = 15.0
"""How long the start of the other process may take; this engine replicates meanwhile."""
TAKE_OVER_SECONDS_MAX = 10.0
_LOOK_SECONDS = 0.02
_WORDS_BYTES_MAX = 4000


class Background:
    """`begin` starts the other process and returns when it stands by; `took_over` when it has what this one had."""

    def __init__(self, config: Config, expand_env: bool) -> None:
        self._config = config
        self._expand_env = expand_env

    @property
    def config_path(self) -> Path | None:
        """The configuration file that the other process reads, and by which that process is found."""
        return self._config.path

    @property
    def possible(self) -> bool:
        """False where no screen could find it again, or where nothing says that it stands by."""
        config = self._config
        return handover.WORKS and config.path is not None and path_of(config) is not None and not config.exec_command

    def begin(self, now: Config | None = None, registered: Sequence[str] = ()) -> int:
        """Start another process with the engine, and return its number once it stands by. Raises ReplicationError.

        Nothing is changed then. `now` is what this engine replicates, if the file was read anew since; `registered` are
        databases that it has and the file has not.
        """
        if registered:
            raise ReplicationError(
                f"the process that goes on reads the configuration, and {', '.join(registered)} is not in it but was "
                "registered since: add it to the file, or unregister it"
            )
        process = self._start()
        # Loaded when it is needed: the first paint does not wait for it.
        from replication.database.together import all_databases

        deadline = time.monotonic() + STAND_BY_SECONDS_MAX
        ours = [item.meta_path for item in all_databases(now or self._config) if _is_ours(item.meta_path)]
        while not all(map(handover.is_awaited, ours)):
            if process.poll() is not None:
                raise ReplicationError(f"the process that was to go on ended at once: {_last_words(process)}")
            if time.monotonic() >= deadline:
                process.kill()
                raise ReplicationError(
                    f"the process that was to go on did not stand by within {STAND_BY_SECONDS_MAX:.0f} seconds, and "
                    "was ended; replication goes on here"
                )
            time.sleep(_LOOK_SECONDS)
        return process.pid

    def took_over(self, pid: int) -> bool:
        """Wait until it answers as the engine of the configuration. Return False if it does not in time."""
        # Loaded when it is needed: the first paint does not wait for it.
        from replication.control.client import Client

        deadline = time.monotonic() + TAKE_OVER_SECONDS_MAX
        while time.monotonic() < deadline:
            with suppress(ReplicationError):
                path = find(self._config)
                if path is not None:
                    with closing(Client(path)) as client:
                        if client.info().pid == pid:
                            return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _start(self) -> "subprocess.Popen[bytes]":
        assert self._config.path is not None
        words = [sys.executable, "-m", "tui.cli", "replicate", "-wait", "-config", str(self._config.path.absolute())]
        if not self._expand_env:
            words.append("-no-expand-env")
        # What happens is in the engine's events. Its complaints are heard until the end of this process; later ones
        # go nowhere, as nobody is there.
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def _is_ours(meta_path: Path) -> bool:
    with suppress(ReplicationError):
        return holder(meta_path) == os.getpid()
    return False


def _last_words(process: "subprocess.Popen[bytes]") -> str:
    assert process.stderr is not None
    lines = process.stderr.read(_WORDS_BYTES_MAX).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"

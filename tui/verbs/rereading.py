"""The configuration read anew while replication goes on, as a service is asked to by SIGHUP.

Its promise: a file with an error changes nothing, and each of its errors is logged with its line. What only a start can
change is logged as well.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from replication.config import Config
from replication.engine import Engine
from replication.errors import ReplicationError

_ONLY_AT_A_START = {
    "addr": "addr",
    "exec_command": "exec",
    "exec_inherits_keys": "exec-inherit-keys",
    "heartbeat_url": "heartbeat-url",
    "heartbeat_interval": "heartbeat-interval",
    "logging": "logging",
}
"""Fields of a configuration that are heeded at the start alone, by their keys."""


class Rereading:
    """`read` reads the configuration. `ask` may be called by any thread, and waits for nothing."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        read: Callable[[], Config],
        reloading: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`reloading` is a block in which a supervisor knows that we read it."""
        self.config = config
        """The one that was used last."""
        self._engine = engine
        self._read = read
        self._reloading = reloading
        self._asked = threading.Event()

    def start(self) -> None:
        """Heed what is asked, and was asked before."""
        threading.Thread(target=self._work, name="reload", daemon=True).start()

    def ask(self) -> None:
        """Read it anew soon; once more after that, if it is being read now."""
        self._asked.set()

    def _work(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            emit = self._engine.events.emit
            try:
                with self._reloading():
                    self._again()
            except ReplicationError as error:
                for line in str(error).splitlines():
                    emit("error", "the configuration has an error, and nothing is changed", error=line)
            except Exception as error:  # a defect of ours: replication goes on, and so does the next try
                words = f"{type(error).__name__}: {error}"
                emit("error", "the configuration could not be read anew", error=words)

    def _again(self) -> None:
        emit = self._engine.events.emit
        if self.config.path is None:
            emit("warning", "there is no configuration file to read anew: it came from the command line")
            return
        config = self._read()
        if not config.databases and not config.directories:
            emit("error", "the configuration has no databases, and nothing is changed", error=str(config.path))
            return
        for field, key in _ONLY_AT_A_START.items():
            if getattr(config, field) != getattr(self.config, field):
                emit("warning", f"{key} has changed, which takes effect at the next start")
        self._engine.reload(config)
        self.config = config


def has_terminal() -> bool:
    """Whether a terminal controls this process, and would send SIGHUP when it hangs up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

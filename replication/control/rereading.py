"""The configuration read anew while replication goes on, as SIGHUP and the job `reload` ask for it.

Its promise: a file with an error changes nothing, and each of its errors is told with its line. What only a start can
change is told as well.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from replication.config import Config
from replication.control.values import Reloaded
from replication.engine import Engine
from replication.errors import ConfigError, ReplicationError, UsageError

_ONLY_AT_A_START = {
    "exec_command": "exec",
    "exec_inherits_keys": "exec-inherit-keys",
    "logging": "logging",
    "socket": "socket",
}
"""Fields of a configuration that are heeded at the start alone, by their keys."""


class Rereading:
    """`ask` may be called by any thread, and waits for nothing; `again` waits for the end."""

    def __init__(
        self,
        engine: Engine,
        read: Callable[[], Config],
        reloading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`reloading` is a block in which a supervisor knows that we read it."""
        self._engine = engine
        self._config = engine.config
        """The one that was used last."""
        self._read = read
        self._reloading = reloading
        self._asked = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to read the configuration when asked, also if it was asked before."""
        threading.Thread(target=self._work, name="reload", daemon=True).start()

    def ask(self) -> None:
        """Read it anew soon; once more after that, if it is being read now."""
        self._asked.set()

    def again(self) -> Reloaded:
        """Read it anew now. Raises ConfigError with all that is wrong with it, and then nothing is changed."""
        emit = self._engine.events.emit
        with self._lock, self._reloading():
            try:
                return self._again()
            except UsageError as error:
                emit("warning", str(error))
                raise
            except ReplicationError as error:
                for line in str(error).splitlines():
                    emit("error", "the configuration has an error, and nothing is changed", error=line)
                raise
            except Exception as error:  # a defect of ours: replication goes on, and so does the next try
                words = f"{type(error).__name__}: {error}"
                emit("error", "the configuration could not be read anew", error=words)
                raise

    def _work(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            try:
                self.again()
            except Exception:
                # The error was logged already.
                continue

    def _again(self) -> Reloaded:
        if self._config.path is None:
            raise UsageError("there is no configuration file to read anew: it came from the command line")
        config = self._read()
        if not config.databases and not config.directories:
            raise ConfigError(f"{self._config.path}: the configuration has no databases, and nothing is changed")
        later = [
            f"{key} has changed, which takes effect at the next start"
            for field, key in _ONLY_AT_A_START.items()
            if getattr(config, field) != getattr(self._config, field)
        ]
        notes = (*(note for note in config.warnings if note not in self._config.warnings), *later)
        for note in notes:
            self._engine.events.emit("warning", note)
        steps = self._engine.reload(config)
        self._config = config
        return Reloaded(
            added=tuple(str(database.path) for database in steps.added),
            removed=tuple(str(database.path) for database in steps.removed),
            changed=tuple(str(change.after.path) for change in steps.changed),
            notes=notes,
        )

"""replicate: the engine without a screen, until a signal or the end of a command that it runs."""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from replication.config import Config, config_for
from replication.engine import CLOSE_SECONDS_MAX, Engine
from replication.errors import ConfigError, UsageError
from replication.events import Event
from replication.logs import attrs, set_up_logging
from replication.scrub import holds_secret, quoted
from replication.storage.open import open_storage
from replication.storage.s3.shared import KEY_VARIABLES
from replication.storage.url import is_replica_url
from tui.console import complain
from tui.process import settle
from tui.sources import config_of
from tui.version import version

_WAIT_SECONDS = 0.5
_BATCH_SECONDS = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

logger = logging.getLogger(__name__)


def run(args: Namespace) -> int:
    """Replicate; the exit code, which is the command's own with -exec."""
    config = _config(args)
    command = config.exec_command if args.exec is None else args.exec
    if command is not None:
        _words(command)
    logging_to = config.logging
    set_up_logging(logging_to.level, logging_to.type, logging_to.stderr or config.path is None)
    if not config.databases:
        raise ConfigError(f"{config.path}: no databases specified in configuration; add one under dbs:")
    logger.info("litestream-tui", extra=attrs(version=version()))
    _announce(config)
    settle()
    engine = Engine(config)
    run = _Run(engine, command, config.exec_inherits_keys)
    with run.signals():
        engine.start()
        try:
            engine.check()
            return run.until_the_end()
        finally:
            engine.close(0.5)


def _config(args: Namespace) -> Config:
    if not args.arguments:
        return config_of(args)
    if args.config is not None:
        raise UsageError("cannot specify a database path and the -config flag; leave one of them out")
    path, *urls = args.arguments
    if not path:
        raise UsageError("the path of the database is empty")
    if not urls:
        raise UsageError(f"must specify at least one replica URL for {path}")
    for url in urls:
        if not is_replica_url(url) and "@" in url:
            # It may be a mangled URL that holds a password.
            raise UsageError("replica url scheme required; write s3://BUCKET/PATH or file:///ABSOLUTE/PATH")
        if not is_replica_url(url):
            folder = Path(url).absolute() if quoted(url) == url else "/ABSOLUTE/PATH"
            raise UsageError(f"replica url scheme required: {quoted(url)!r}; for a folder write file://{folder}")
    return config_for(path, urls)


def _announce(config: Config) -> None:
    for words in config.information:
        logger.info(words)
    for database in config.databases:
        logger.info("initialized db", extra=attrs(path=database.path))
        for replica in database.replicas:
            storage = open_storage(replica.location)
            values = attrs(
                name=replica.name, type=storage.type, sync_interval=f"{replica.sync_interval:g}s", to=storage.address
            )
            logger.info("replicating to", extra=values)
    if config.addr:
        logger.warning("addr is set, but the metrics server is not built yet: nothing listens there")


class _Run:
    """Logs events, minds signals and the child, and brings the engine to its end."""

    def __init__(self, engine: Engine, command: str | None, inherits_keys: bool) -> None:
        self._inherits_keys = inherits_keys
        self._engine = engine
        self._seen = 0
        self._signal: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._command = command

    @contextmanager
    def signals(self) -> Iterator[None]:
        """A block in which signals end the run in good order, from the first moment that there is one."""
        # A signal that is ignored on purpose, as nohup does with SIGHUP, stays ignored.
        numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._signalled) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def until_the_end(self) -> int:
        """Wait for a signal or the end of the command; the exit code."""
        if self._command is not None and self._signal is None:
            self._child = _start(self._command, self._inherits_keys)
        while not self._ended():
            if self._log(_WAIT_SECONDS):
                # What many databases tell is written in one go.
                time.sleep(_BATCH_SECONDS)
        return self._close()

    def _ended(self) -> bool:
        if self._child is not None:
            return self._child.poll() is not None
        return self._signal is not None

    def _close(self) -> int:
        self._log(0.0)
        if self._child is not None:
            logger.info("subprocess exited, litestream-tui shutting down")
        left = self._engine.close(CLOSE_SECONDS_MAX)
        self._log(0.0)
        for name in left:
            logger.error("did not end in time", extra=attrs(thread=name))
        pending = [
            (database.path, replica.name)
            for database in self._engine.status().databases
            for replica in database.replicas
            if replica.pending_bytes or (replica.position is None and database.position is not None)
        ]
        for path, name in pending:
            values = attrs(db=path, replica=name)
            logger.warning("not all is uploaded; what is pending goes with the next start", extra=values)
        logger.info("litestream-tui shut down")
        if self._child is None:
            return 0
        code = self._child.returncode
        return code if code >= 0 else 128 - code

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            complain("second signal: ending at once")
            if self._child is not None:
                self._child.kill()
            os._exit(128 + number)
        self._signal = number
        self._engine.events.emit("info", "signal received, litestream-tui shutting down")
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _log(self, wait_seconds: float) -> bool:
        """Log what happened since the last time; True if anything did."""
        events = self._engine.events.wait(self._seen, wait_seconds)
        for event in events:
            self._seen = event.number
            _log_event(event)
        return bool(events)


def _log_event(event: Event) -> None:
    values: dict[str, object] = {}
    if event.database:
        values["db"] = event.database
    if event.replica:
        values["replica"] = event.replica
    values.update(event.attributes)
    logger.log(_LEVELS[event.level], event.message, extra={"attrs": values})


def _start(command: str, inherits_keys: bool) -> subprocess.Popen[bytes]:
    """Start the command of -exec, without a shell; raise UsageError if that cannot be done."""
    words = _words(command)
    try:
        return subprocess.Popen(words, stdin=sys.stdin, env=None if inherits_keys else _without_keys())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot run {words[0]}, the command to run beside replication: {reason}") from None


def _without_keys() -> dict[str, str]:
    """The environment but for the store's keys: those that are looked for, and whatever else holds one of them."""
    return {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES and not holds_secret(value)}


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command to run beside replication cannot be read: {error}; look at its quotes") from None
    if not words:
        raise UsageError("the command to run beside replication is empty; leave -exec out to run none")
    return words

"""How replicate runs: what is logged, how signals and the command are minded, and how it ends."""

import logging
import os
import signal
import time
from argparse import Namespace
from pathlib import Path

from replication.config import Config, config_for, load_config
from replication.control.rereading import Rereading
from replication.control.service import ControlService
from replication.engine import CLOSE_SECONDS_MAX, Engine
from replication.errors import ConfigError, UsageError
from replication.events import Event
from replication.logs import attrs, set_up_logging
from replication.scrub import quoted
from replication.storage.kinds import URL_FORMS
from replication.storage.open import open_storage
from replication.storage.url import is_replica_url
from tui.verbs.child_process import ONLY_PASSED_ON, Command, words_of
from tui.verbs.console import complain, warn
from tui.verbs.named import config_of
from tui.verbs.notify import Notifier
from tui.verbs.process import settle
from tui.verbs.service import Service
from tui.verbs.signals import Signals, Wish, Wishes, has_terminal
from tui.version import version

_WAIT_SECONDS = 0.5
_BATCH_SECONDS = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECOND_SIGNAL_SECONDS_MAX = 0.5
"""How long to wait for the reader of stderr, to tell of a second signal."""
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

logger = logging.getLogger(__name__)


def replicate(args: Namespace) -> int:
    """Replicate, and return the exit code, which is the command's own with -exec.

    Signals are kept back by the caller.
    """
    notifier = Notifier.from_environment()
    config = _config(args)
    command = config.exec_command if args.exec is None else args.exec
    if command is not None:
        words_of(command)
    logging_to = config.logging
    set_up_logging(logging_to.level, logging_to.type, logging_to.stderr or config.path is None)
    if not config.databases and not config.directories:
        raise ConfigError(f"{config.path}: no databases specified in configuration; add one under dbs:")
    settle()
    engine = Engine(config)
    service = Service(engine, notifier)
    rereading = Rereading(engine, lambda: load_config(args.config, not args.no_expand_env), service.reloading)
    control = ControlService(engine, config, version(), rereading=rereading)
    run = _Run(engine, service, control, command, rereading, config.exec_inherits_keys)
    # Before the first line is logged, by a thread that must not take a signal either.
    with run.signals.taken():
        logger.info("litestream-tui", extra=attrs(version=version()))
        _announce(config)
        engine.start(wait=args.wait or command is not None)
        try:
            control.start()
            engine.check()
            return run.until_the_end()
        finally:
            # After an orderly run it is closed already. After an error nothing is waited for any more.
            engine.close(0.5)
            control.close()


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
            # The argument may be a mangled URL that holds a password.
            raise UsageError("replica url scheme required; write " + URL_FORMS)
        if not is_replica_url(url):
            folder = Path(url).absolute() if quoted(url) == url else "/ABSOLUTE/PATH"
            raise UsageError(f"replica url scheme required: {quoted(url)!r}; for a folder write file://{folder}")
    config = config_for(path, urls)
    for note in config.warnings:
        warn(note)
    return config


def _announce(config: Config) -> None:
    for words in config.information:
        logger.info(words)
    for directory in config.directories:
        values = attrs(path=directory.path, pattern=directory.pattern, watch=directory.watch)
        logger.info("initialized dir", extra=values)
    for database in config.databases:
        logger.info("initialized db", extra=attrs(path=database.path))
        for replica in database.replicas:
            storage = open_storage(replica.location)
            values = attrs(
                name=replica.name, type=storage.type, sync_interval=f"{replica.sync_interval:g}s", to=storage.address
            )
            logger.info("replicating to", extra=values)


class _Run:
    """Logs events, minds signals and the command, and brings the engine to its end."""

    def __init__(
        self,
        engine: Engine,
        service: Service,
        control: ControlService,
        command: str | None,
        rereading: Rereading,
        inherits_keys: bool,
    ) -> None:
        self._engine = engine
        self._service = service
        self._control = control
        self._rereading = rereading
        self._has_terminal = has_terminal()
        """Asked at the start: once the terminal has hung up it would seem that there never was one."""
        self._seen = 0
        self._wishes = Wishes()
        self._command = Command(command, self._command_ended, inherits_keys) if command is not None else None
        more = ONLY_PASSED_ON if self._command is not None else ()
        self.signals = Signals(dict.fromkeys((*_SIGNALS, *more)), self._signalled)
        """The signals that are taken, from before the engine is started on."""

    def until_the_end(self) -> int:
        """Wait for a signal or the end of the command, and return the exit code."""
        if self._command is not None:
            if self._wishes.any:
                # The signal came before there was a command to pass it on to.
                self._command = None
            else:
                self._command.start(self.signals)
        self._rereading.start()
        news = True
        while not self._ended():
            self._service.tick(news)
            if news := self._log(_WAIT_SECONDS):
                # What many databases tell is written in one go.
                time.sleep(_BATCH_SECONDS)
        return self._close()

    def _ended(self) -> bool:
        return self._wishes.any if self._command is None else self._command.exit_code() is not None

    def _close(self) -> int:
        self._service.stopping("ending: what is pending is uploaded")
        self._log(0.0)
        left = self._control.control.close()
        left += self._engine.close(CLOSE_SECONDS_MAX)
        self._control.close()
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
        return (self._command.exit_code() or 0) if self._command is not None else 0

    def _command_ended(self) -> None:
        self._engine.events.emit("info", "subprocess exited, litestream-tui shutting down")

    def _signalled(self, number: int, from_terminal: bool) -> None:
        command = self._command
        if number == signal.SIGHUP and not self._has_terminal:
            self._rereading.ask()
            if command is None:
                return
        if command is not None and number in ONLY_PASSED_ON:
            command.signal(number, from_terminal)
            return
        wish = self._wishes.add(number)
        if wish is Wish.AT_ONCE:
            complain("second signal: ending at once", SECOND_SIGNAL_SECONDS_MAX)
            if command is not None:
                command.kill()
            os._exit(128 + number)
        if wish is Wish.SAME:
            return
        self._engine.events.emit("info", "signal received, litestream-tui shutting down")
        if command is not None:
            command.signal(number, from_terminal)
            # At once, and not when the command has ended: that may take long, and docker stop kills after ten seconds.
            self._engine.sync_now()

    def _log(self, wait_seconds: float) -> bool:
        """Log what happened since the last time. Return True if anything did."""
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

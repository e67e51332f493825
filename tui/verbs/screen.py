"""No verb: the screen, on the engine of the configuration that runs, or on one in threads of this process.

`attach` shows one that runs, and starts none.
"""

import io
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from replication.config import Config, HostConfig, default_config_path
from replication.config.location import local_path
from replication.control.peer import connect
from replication.control.place import find, found
from replication.errors import ConfigError, DatabaseLockedError, UsageError
from tui.keys.keyfile import key_path, read_keys
from tui.session.background import Background
from tui.session.ending import Ending, end_process
from tui.session.late_engine import LateEngine
from tui.session.place import Place
from tui.session.screen_log import log_path, open_log
from tui.verbs.console import say, silence, warn
from tui.verbs.hosts import hosts_of
from tui.verbs.named import config_of
from tui.verbs.process import settle
from tui.view import Options

if TYPE_CHECKING:
    from tui.app import LitestreamApp

CLOSE_SECONDS_MAX = 6.0
"""How long the last sync and upload may take at the end: as without a screen."""
HURRIED_CLOSE_SECONDS_MAX = 1.0
"""How long the engine may take to end when the user does not want to wait."""
JOBS_SECONDS_MAX = 2.0
"""How long restores and verifications under way may take to clean up after themselves."""
LOOK_SECONDS, LOOK_SECONDS_SLOW = 3.0, 8.0
"""So often a host says that it lives, while nothing happens there."""
DETACH_SECONDS_MAX = 1.0
"""How long questions to an engine that goes on are waited for."""

SMALLEST_CONFIG = """\
dbs:
  - path: /path/to/app.db
    replicas:
      - url: s3://bucket/app.db
"""


def run(args: Namespace) -> int:
    """Replicate with the screen open until the user quits, and return the exit code."""
    if problem := terminal_problem():
        raise UsageError(problem)
    if args.hosts or args.host_command is not None:
        return _several(hosts_of(args), options_of(args)).end()
    config = _config(args)
    if config.hosts:
        return _several(config.hosts, options_of(args)).end()
    if not config.databases and not config.directories:
        raise ConfigError(f"{config.path}: no databases specified in configuration; add one under dbs:")
    options = options_of(args, again=_again(args))
    if (path := find(config)) is not None:
        return attach_to(path, config, options).end()
    if options.read_only:
        return _look(config, options).end()
    try:
        return show(config, options, Background(config, not args.no_expand_env), not args.no_expand_env).end()
    except DatabaseLockedError:
        # An engine has begun meanwhile, or has some of the databases.
        path = find(config)
        if path is None:
            raise
        return attach_to(path, config, options).end()


def attach(args: Namespace) -> int:
    """Show the screen on an engine that runs. Return the exit code."""
    if problem := terminal_problem("litestream-tui status, or events"):
        raise UsageError(problem)
    options = options_of(args, again=_again(args, "attach"))
    if args.socket is None:
        config = _config(args)
        return attach_to(found(config), config, options).end()
    if not args.socket:
        raise UsageError("-socket needs a path; leave it out to look for the engine of the configuration")
    path = local_path(args.socket)
    connect(path).close()
    return attach_to(path, Config(None, ()), options).end()


def _again(args: Namespace, *verb: str) -> str:
    """The command that shows the same engine in the same way."""
    words = ["litestream-tui", *verb]
    for name in ("config", "socket"):
        if value := getattr(args, name, None):
            words += [f"-{name}", value]
    words += [flag for flag in ("-no-expand-env", "-read-only") if getattr(args, flag[1:].replace("-", "_"))]
    return shlex.join(words)


def options_of(args: Namespace, welcome: str = "", again: str = "litestream-tui") -> Options:
    """The options that the flags and the user's own keys make. Raises ConfigError."""
    log = open_log(log_path(os.environ))
    return Options(
        read_only=args.read_only,
        refresh_seconds=args.refresh,
        slow=args.slow,
        ascii=args.ascii or not _can_show_marks(),
        mouse=not args.no_mouse,
        keys=read_keys(key_path(os.environ)),
        log_path=log.path,
        log_problem=log.problem,
        welcome=welcome,
        again=again,
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """How the screen ended: its exit code, and whether threads are left that hang."""

    code: int
    hung: bool
    successor: int = 0
    """The process in the background that goes on with what this one replicated, if there is one."""

    def end(self) -> int:
        """Return the exit code. With threads that hang the process ends here instead, as they must not keep it."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                # The terminal has gone, and Python would end with 120 for what it did not take.
                silence(stream)
        if self.hung:
            end_process(self.code)
        return self.code


def show(config: Config, options: Options, background: Background | None = None, expand_env: bool = True) -> Shown:
    """Open the screen on an engine of its own, and close both, or leave the engine to `background`."""
    # Imported here, so that an error of the terminal or the configuration is shown at once.
    from tui.app import LitestreamApp

    _settle_the_terminal()
    engine = LateEngine(config, expand_env=expand_env)
    possible = background is not None and background.possible
    app = LitestreamApp(engine, config, options, lambda: Place("here", can_be_left=possible))
    app.painted = engine.start
    if background is not None and possible:
        app.background = lambda: background.begin(engine.config(), engine.registered())
    engine.refused = app.leave_from_outside

    def close() -> None:
        engine.close(CLOSE_SECONDS_MAX)
        end_process(1)

    code = _run(app, close)
    app.wait_for_jobs(JOBS_SECONDS_MAX)
    left = engine.close(HURRIED_CLOSE_SECONDS_MAX if app.hurried else CLOSE_SECONDS_MAX)
    if engine.error is not None:
        # An engine that refused to start, as another one has the database.
        raise engine.error
    if app.successor and background is not None:
        _tell_of_the_successor(background, app.successor, options.again)
    else:
        _tell_the_end(engine, left, app.crash)
    return Shown(code, bool(left), app.successor)


def attach_to(path: Path, config: Config, options: Options) -> Shown:
    """Open the screen on an engine of another process, which goes on when the screen ends by whichever way."""
    from replication.control.client import Client
    from tui.app import LitestreamApp
    from tui.session.attached import Attached

    _settle_the_terminal()
    engine = Attached(Client(path, options.read_only), options.refresh_seconds)
    app = LitestreamApp(engine, config, options, lambda: engine.place)
    app.painted = engine.start
    engine.changed = app.poll_from_outside
    code = _run(app, lambda: end_process(0))
    gone = engine.place.gone
    engine.close()
    hung = not app.wait_for_jobs(DETACH_SECONDS_MAX)
    with suppress(Exception):  # There may be no terminal left to tell it to.
        if app.crash:
            warn(app.crash)
        goes_on = "which does not answer" if gone else "which goes on"
        say(f"detached from the engine, pid {engine.place.pid}, {goes_on}; {options.again} attaches again")
    return Shown(code, hung)


def _look(config: Config, options: Options) -> Shown:
    """Open the screen on what can be found out from outside, while no engine runs. Nothing is replicated or written."""
    from tui.app import LitestreamApp
    from tui.session.look_only import LookOnly

    _settle_the_terminal()
    look = LookOnly(config, options.refresh_seconds)
    app = LitestreamApp(look, config, options, lambda: look.place)
    app.painted = look.start
    look.changed = app.poll_from_outside
    code = _run(app, lambda: end_process(0))
    left = look.close(DETACH_SECONDS_MAX)
    hung = not app.wait_for_jobs(DETACH_SECONDS_MAX)
    with suppress(Exception):  # There may be no terminal left to tell it to.
        if app.crash:
            warn(app.crash)
        if look.place.attached:
            say(f"detached from the engine, pid {look.place.pid}")
        else:
            say("looked only, as -read-only says: nothing was replicated")
    return Shown(code, hung or bool(left))


def _several(hosts: Sequence[HostConfig], options: Options) -> Shown:
    """Open the screen on the engines of several hosts, which go on when it ends."""
    from replication.control.far import FarClient
    from tui.app import LitestreamApp
    from tui.session.attached import Attached
    from tui.session.hosts import Hosts
    from tui.session.ssh import route

    _settle_the_terminal()
    wait = LOOK_SECONDS_SLOW if options.slow else LOOK_SECONDS
    engines = {
        host.name: Attached(
            FarClient(route(host, options.read_only), options.read_only, options.refresh_seconds, wait), 0.0
        )
        for host in hosts
    }
    engine = Hosts(engines)
    app = LitestreamApp(engine, Config(None, ()), options, lambda: engine.place)
    app.painted = engine.start
    engine.changed = app.poll_from_outside
    code = _run(app, lambda: end_process(0))
    engine.close()
    hung = not app.wait_for_jobs(DETACH_SECONDS_MAX)
    with suppress(Exception):  # There may be no terminal left to tell it to.
        if app.crash:
            warn(app.crash)
        say(f"detached from {', '.join(engines)}; replication goes on there")
    return Shown(code, hung)


def _run(app: "LitestreamApp", close: Callable[[], None]) -> int:
    """Run the application until it ends, or `close` if it does not."""
    ending = Ending(app.leave_from_outside, close)
    with ending.watching(sys.stdin.fileno()):
        try:
            return app.run(mouse=app.options.mouse) or 0
        finally:
            app.leaving.set()


def _settle_the_terminal() -> None:
    settle()
    for name in ("COLUMNS", "LINES"):
        # What somebody has exported would be believed over the terminal itself, also after that changes its size.
        os.environ.pop(name, None)
    if isinstance(sys.__stderr__, io.TextIOWrapper):
        # What the terminal has no letter for takes one cell, as the letter would.
        sys.__stderr__.reconfigure(errors="replace")


def _tell_of_the_successor(background: Background, pid: int, again: str) -> None:
    with suppress(Exception):  # There may be no terminal left to tell it to.
        if background.took_over(pid):
            ends = f"litestream-tui stop -config {shlex.quote(str(background.config_path))}"
            say(f"replication goes on in the background, pid {pid}: {again} shows it, {ends} ends it")
        else:
            warn(f"pid {pid} was started to go on with replication, and does not answer yet; see litestream-tui status")


def _tell_the_end(engine: LateEngine, left: list[str], crash: str) -> None:
    try:
        if crash:
            warn(crash)
        for name in left:
            warn(f"{name} did not end in time")
        status = engine.status()
        pending = [
            f"{database.path} ({replica.name})"
            for database in status.databases
            for replica in database.replicas
            if replica.pending_bytes
        ]
        if pending:
            warn(f"not all is uploaded; it goes with the next start: {', '.join(pending)}")
        say("litestream-tui ended")
    except Exception:
        pass  # There may be no terminal left to tell it to.


def terminal_problem(instead: str = "litestream-tui replicate") -> str | None:
    """Why the screen cannot open here, in words, and what to use `instead`; None if it can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        return f"the screen needs a terminal; without one use: {instead}"
    term = os.environ.get("TERM", "")
    if term in ("dumb", "unknown", ""):
        return f"this terminal (TERM={term}) cannot show the screen; use: {instead}"
    return None


def _config(args: Namespace) -> Config:
    path = args.config or default_config_path()
    if args.config is None and not os.path.lexists(path):
        where = "$LITESTREAM_CONFIG" if os.environ.get("LITESTREAM_CONFIG") else "the default"
        raise ConfigError(_without_config(path, where))
    return config_of(args)


def _without_config(path: str, where: str) -> str:
    say(f"There is no configuration at {path} ({where}). To see the screen at once, without any:\n")
    say("    litestream-tui demo\n")
    say(f"To replicate a database of yours, put this into {path}, or into any file for -config:\n")
    say("".join(f"    {line}\n" for line in SMALLEST_CONFIG.splitlines()))
    return f"no configuration at {shlex.quote(path)}; name one with -config PATH, or try: litestream-tui demo"


def _can_show_marks() -> bool:
    """False where the terminal's encoding has no letters for the marks."""
    try:
        "●◐▲✖◌─▁█⏎".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True

"""No verb: the engine in threads of this process, and the screen on top of it."""

import os
import sys
from argparse import Namespace

from replication.engine import CLOSE_SECONDS_MAX, Engine
from replication.errors import ConfigError, UsageError
from tui.console import say, warn
from tui.crashlog import log_path, open_log
from tui.sources import config_of

HURRIED_CLOSE_SECONDS_MAX = 1.0


def run(args: Namespace) -> int:
    """Replicate with the screen open until the user quits; the exit code."""
    config = config_of(args)
    if not config.databases:
        raise ConfigError(f"{config.path}: no databases specified in configuration; add one under dbs:")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("the screen needs a terminal; without one use: litestream-tui replicate")
    if os.environ.get("TERM") == "dumb":
        raise UsageError("this terminal (TERM=dumb) cannot show the screen; use: litestream-tui replicate")
    from tui.app import LitestreamApp
    from tui.view import Options

    options = Options(
        read_only=args.read_only,
        refresh_seconds=args.refresh,
        slow=args.slow,
        ascii=args.ascii,
        mouse=not args.no_mouse,
        log_path=open_log(log_path(os.environ)),
    )
    engine = Engine(config)
    engine.start()
    app = LitestreamApp(engine, config, options)
    try:
        code = app.run(mouse=options.mouse) or 0
    finally:
        left = engine.close(HURRIED_CLOSE_SECONDS_MAX if app.hurried else CLOSE_SECONDS_MAX)
    if left:
        warn(f"did not end in time: {', '.join(left)}")
    say("litestream-tui ended; what is pending goes with the next start")
    return code

"""demo: the screen on several databases that change; without a terminal, replication and restores in words.

It cleans up whatever happens, Ctrl-C included: no process and, unless -dir says so, no file is left.
"""

import shlex
import signal
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType

from replication.config import Config, load_config
from replication.control.place import find
from replication.errors import LocalFileError, ReplicationError, UsageError
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from tui.demo.crowd import CONFIG_NAME, LEAVING_WORDS, WORDS, Crowd
from tui.demo.keeper import Keeper, running
from tui.demo.play import DATABASE_NAME, Moment, play
from tui.demo.seaweedfs import SeaweedFS, find_weed
from tui.demo.temporary import temporary
from tui.session.background import Background
from tui.verbs.console import say
from tui.verbs.screen import attach_to, options_of, show, terminal_problem

AGAIN = "litestream-tui demo"
"""The command that comes back to a demo that was left running."""


def run(args: Namespace) -> int:
    """On a terminal the screen, on databases that change; else, or with -no-screen, the demo in words."""
    if not args.no_screen and terminal_problem() is None:
        return _on_screen(args)
    return _in_words(args)


def _on_screen(args: Namespace) -> int:
    """The screen on several databases with writers, or on a demo that was left. Return its exit code."""
    if (found := _left_running(args)) is not None:
        shown = attach_to(*found, options_of(args, again=AGAIN))
        ends = f"litestream-tui stop -config {shlex.quote(str(found[1].path))}"
        say(f"{ends} ends the demo, and its temporary files are gone then")
        return shown.end()
    return _on_server(args) if args.s3 else _beside_a_keeper(args)


def _left_running(args: Namespace) -> tuple[Path, Config] | None:
    """The socket and the configuration of a demo that somebody has left running; None if there is none."""
    own = Path(args.dir).expanduser().absolute() / CONFIG_NAME if args.dir is not None else None
    for path in [own] if own is not None else running():
        with suppress(ReplicationError, OSError):
            config = load_config(path, expand_env=False)
            if (socket := find(config)) is not None:
                return socket, config
    return None


def _beside_a_keeper(args: Namespace) -> int:
    """The engine is in this process, and all else in another one, so that both can go on without the screen."""
    options = options_of(args, welcome=LEAVING_WORDS + WORDS, again=AGAIN)
    folder = _kept(args.dir) if args.dir is not None else None
    with closing(Keeper(folder)) as keeper:
        config = load_config(keeper.config_path, expand_env=False)
        shown = show(config, options, Background(config, False), False)
        if shown.successor:
            keeper.stay(shown.successor)
            say(f"The demo goes on for an hour at most{'' if folder else ', and its files are gone at its end'}.")
    if not shown.successor:
        kept = f"Everything is in {folder}." if folder is not None else "Its files are gone; -dir PATH keeps them."
        say(f"That was the demo. {kept} The same in words: litestream-tui demo -no-screen")
    return shown.end()


def _on_server(args: Namespace) -> int:
    """A demo with a SeaweedFS of its own, which ends with the screen."""
    weed = find_weed()
    options = options_of(args, welcome=WORDS)
    with _one_interrupt(), ExitStack() as stack:
        folder = _kept(args.dir) if args.dir is not None else stack.enter_context(temporary())
        say("Starting SeaweedFS…")
        place = stack.enter_context(SeaweedFS(weed, folder / "seaweedfs")).location
        with Crowd(folder, place) as crowd:
            shown = show(crowd.config, options)
    kept = f"Everything is in {folder}." if args.dir is not None else "Its files are gone; -dir PATH keeps them."
    say(f"That was the demo. {kept} The same in words: litestream-tui demo -no-screen")
    return shown.end()


def _in_words(args: Namespace) -> int:
    """Show the demo in words. Return 0 only if every restore was compared with its source and equal."""
    began = time.monotonic()
    weed = find_weed() if args.s3 else None
    with _one_interrupt(), ExitStack() as stack:
        folder = _kept(args.dir) if args.dir is not None else stack.enter_context(temporary())
        location: Location = FileLocation(folder / "replica")
        if weed is not None:
            server = stack.enter_context(SeaweedFS(weed, folder / "seaweedfs"))
            location = server.location(DATABASE_NAME)
            say(f"0. SeaweedFS answers at {server.endpoint} (pid {server.pid}) after {time.monotonic() - began:.1f} s")
        moments = play(folder, location, say)
    say(f"Both restores equal their source. That took {time.monotonic() - began:.1f} s.")
    say("")
    say("Try next:")
    for line in _next_commands(args, folder, moments):
        say(f"  {line}")
    return 0


def _next_commands(args: Namespace, folder: Path, moments: list[Moment]) -> list[str]:
    if args.dir is None:
        return [
            f"litestream-tui demo{' -s3' if args.s3 else ''} -dir ./fruits    (and leave everything there to look at)",
            *([] if args.s3 else ["litestream-tui demo -s3               (through a real S3 server)"]),
            "litestream-tui replicate app.db file:///backup/app.db",
            "litestream-tui restore -o restored.db file:///backup/app.db",
        ]
    if args.s3:
        # The server has ended, and its replica with it.
        return [
            f"ls -A {shlex.quote(str(folder))}",
            "litestream-tui replicate app.db s3://bucket.localhost:9000/app.db",
        ]
    replica = shlex.quote((folder / "replica").as_uri())
    output = shlex.quote(str(folder / "mine.db"))
    return [
        f"litestream-tui generations {replica}",
        f"litestream-tui wal {replica}",
        f"litestream-tui restore -o {output} -position {moments[0].position} {replica}",
        f"litestream-tui replicate {shlex.quote(str(folder / DATABASE_NAME))} {replica}",
    ]


def _kept(path: str) -> Path:
    """The folder of -dir, made if need be. Raises UsageError if it holds anything, LocalFileError."""
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise LocalFileError(f"cannot use the folder {folder}: {error.strerror}; name another with -dir") from None
    if taken:
        raise UsageError(f"{folder} is not empty; name a new folder with -dir")
    return folder


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does; a second signal does not disturb the cleaning up."""
    # A signal that is ignored on purpose, as nohup does with SIGHUP, stays ignored.
    candidates = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in candidates if signal.getsignal(number) is not signal.SIG_IGN]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

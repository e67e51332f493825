"""Verbs for an engine that runs: sync, snapshot, pause, resume, reload, stop. Each asks it over its socket.

Without one they end with exit code 20 and say where was looked; an error of the engine's has the exit code that it has
everywhere.
"""

import json
import os
import time
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Any

from replication.config import Config
from replication.config.location import local_path
from replication.control.client import Client
from replication.control.commands import carry_out
from replication.control.place import find, found
from replication.control.requests import Pause, Reload, Sync, WriteSnapshot
from replication.control.values import JobStatus
from replication.errors import ConfigError, EngineError, UsageError
from replication.scrub import quoted
from replication.status import BY_HAND
from replication.wire import plain
from tui.text.format import go_duration
from tui.verbs.console import say, warn
from tui.verbs.named import config_of

HOLDER = "litestream-tui pause"
"""The holder of a pause that the verb asked for."""
STOP_SECONDS_MAX = 30.0
"""How long `stop` waits for the end of the engine, which takes 8 seconds at most where nothing hangs."""
_LOOK_SECONDS = 0.05
_SNAPSHOT_CANCELLED = "The snapshot was cancelled, and ends once the store has answered."


def client_of(args: Namespace) -> Client:
    """The engine that the flags name: by its socket, or by its configuration. Raises NoEngineError."""
    if args.socket is not None:
        if not args.socket:
            raise UsageError("-socket needs a path; leave it out to look for the engine of the configuration")
        return Client(local_path(args.socket))
    return Client(found(config_of(args)))


def running_client(args: Namespace, config: Config) -> Client | None:
    """The engine of a configuration, or None if none runs."""
    if args.socket is not None:
        return client_of(args)
    path = find(config)
    return Client(path) if path is not None else None


def database_of(args: Namespace, client: Client) -> str:
    """The path of the named database, as the engine knows it, or of the only one that it has. Raises UsageError."""
    known = client.info().databases
    if args.source is None:
        if len(known) == 1:
            return known[0]
        raise UsageError(f"which database? The engine has {', '.join(known) or 'none'}")
    for name in (args.source, str(local_path(args.source))):
        if name in known:
            return name
    raise UsageError(f"the engine does not have {quoted(args.source)!r}; it has: {', '.join(known) or 'none'}")


def sync(args: Namespace) -> int:
    """Sync now. With -wait it returns when the replicas have everything."""
    with closing(client_of(args)) as client:
        name = database_of(args, client) if args.source is not None else ""
        result = carry_out(client, Sync(database=name, wait=args.wait, timeout=args.timeout))
    words = f"{', '.join(result.replicas) or 'no replica'} up to date"
    if result.lacking:
        words = "looking and uploading now" if not result.replicas else f"{words}, {', '.join(result.lacking)} not yet"
    _say(args, plain(result), f"{name or 'all databases'}: {words}")
    return 0


def snapshot(args: Namespace) -> int:
    """Write a snapshot now. Ctrl-C cancels it, and nothing of it is left."""
    # Loaded here: they bring what restores, which no other of these verbs needs.
    from tui.verbs.restore import cancelled_by_signals, showing

    with closing(client_of(args)) as client, showing() as bar:
        name = database_of(args, client)

        def told(job: JobStatus) -> None:
            if job.progress is not None:
                bar.show(job.progress)

        with cancelled_by_signals(_SNAPSHOT_CANCELLED) as cancel:
            words = carry_out(client, WriteSnapshot(database=name, replica=args.replica or ""), told, cancel)
    _say(args, {"database": name, "replicas": list(words)}, "\n".join(f"{name} {line}" for line in words))
    return 0


def pause(args: Namespace) -> int:
    """Let go of a database, until `resume`, or for as long as -for says."""
    with closing(client_of(args)) as client:
        name = database_of(args, client)
        carry_out(client, Pause(database=name, holder=HOLDER, lease_seconds=args.seconds or 0.0))
    until = f"for {go_duration(args.seconds)}, or until" if args.seconds else "until"
    values = {"database": name, "state": "paused", "seconds": args.seconds}
    _say(args, values, f"{name} is paused: nothing is copied or uploaded {until} litestream-tui resume")
    return 0


def resume(args: Namespace) -> int:
    """End the pause of the verb. The database is replicated again if no other holder pauses it."""
    with closing(client_of(args)) as client:
        name = database_of(args, client)
        # A pause by hand, from the screen or the verb.
        client.resume(name, BY_HAND)
        holders = client.resume(name, HOLDER)
    words = f"stays paused for {', '.join(holders)}" if holders else "is replicated again"
    _say(args, {"database": name, "holders": list(holders)}, f"{name} {words}")
    return 0


def reload(args: Namespace) -> int:
    """Let the engine read its configuration anew; an error in it changes nothing."""
    try:
        client = client_of(args)
    except ConfigError as error:
        raise ConfigError(f"{error}\nthe engine was not asked, and nothing is changed") from None
    with closing(client):
        reloaded = carry_out(client, Reload())
    for note in reloaded.notes:
        warn(note)
    _say(args, plain(reloaded), f"configuration read anew: {reloaded.words}")
    return 0


def stop(args: Namespace) -> int:
    """End the engine in good order, and wait for its end."""
    with closing(client_of(args)) as client:
        info = client.info()
        client.stop()
        path = client.path
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while _lives(info.pid, path):
        if time.monotonic() >= deadline:
            raise EngineError(
                f"pid {info.pid} was told to end, and has not within {STOP_SECONDS_MAX:.0f} seconds; look at its log"
            )
        time.sleep(_LOOK_SECONDS)
    _say(args, {"pid": info.pid, "ended": True}, f"the engine, pid {info.pid}, has ended")
    return 0


def _lives(pid: int, path: Path) -> bool:
    """True while the engine goes on; in another container its process cannot be seen, and its socket tells."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return path.exists()
    except OSError:
        pass
    else:
        return not _is_over(pid)
    return path.exists()


def _is_over(pid: int) -> bool:
    """True for a process that has ended and was not waited for by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _say(args: Namespace, values: Any, words: str) -> None:
    say(json.dumps(values, indent=2) if args.json else words)

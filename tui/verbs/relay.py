"""relay: the control interface of the engine that runs, over stdin and stdout, for a screen on another host.

It ends when stdin does. An engine that ends meanwhile is found again when it is back.
"""

import sys
from argparse import Namespace
from contextlib import closing

from replication.config.location import local_path
from replication.control.client import Client
from replication.control.frames import FrameError
from replication.control.peer import connect
from replication.control.place import found
from replication.control.relay import serve
from replication.errors import UsageError
from tui.verbs.named import config_of


def run(args: Namespace) -> int:
    """Carry until stdin ends; the exit code."""
    if sys.stdin.isatty() or sys.stdout.isatty():
        raise UsageError(
            "relay is for a program at the other end, not for a terminal: litestream-tui -host HOST uses it"
        )
    if args.socket is not None:
        if not args.socket:
            raise UsageError("-socket needs a path; leave it out to look for the engine of the configuration")
        client = Client(local_path(args.socket), args.read_only)
    else:
        config = config_of(args)
        client = Client(config.path or "", args.read_only, lambda: connect(found(config)))
    with closing(client):
        try:
            serve(client, sys.stdin.fileno(), sys.stdout.fileno())
        except FrameError as error:
            raise UsageError(f"what came over stdin is none of a screen's requests: {error}") from None
    return 0

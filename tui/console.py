"""The two streams: results go to stdout, everything about them to stderr. No secret passes either."""

import sys

from replication.scrub import scrub


def say(text: str) -> None:
    """A result, for people and pipes."""
    print(scrub(text), flush=True)


def warn(text: str) -> None:
    """Something to know that does not stop the command."""
    print(f"litestream-tui: warning: {scrub(text)}", file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Why the command failed."""
    print(f"litestream-tui: {scrub(text)}", file=sys.stderr, flush=True)

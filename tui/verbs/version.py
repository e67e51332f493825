"""version: which program, and which SQLite it brings."""

from argparse import Namespace

from tui.verbs.console import say
from tui.version import version


def run(args: Namespace) -> int:
    """Print the version, alone on its line as Litestream does."""
    say(version())
    return 0

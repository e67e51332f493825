"""replicate: the engine without a screen, until a signal or the end of a command that it runs.

Signals are kept back until all is loaded: numpy starts threads of its own, which must not take one.
"""

from argparse import Namespace

from tui.verbs.signals import kept_back


def run(args: Namespace) -> int:
    """Replicate, and return the exit code, which is the command's own with -exec."""
    with kept_back():
        from tui.verbs.replicating import replicate

        return replicate(args)

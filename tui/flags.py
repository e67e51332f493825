"""Flags of the command line: how they are spelled, and what several verbs share.

Flags have one dash as in Litestream, or two. Nothing here knows what a verb does.
"""

import argparse
import re
from typing import Any, NoReturn

from replication.errors import UsageError
from replication.scrub import quoted

_HELP_FLAGS = ("-h", "-help", "--help")
_VALUE_OF_A_FLAG = re.compile(r"(?<=\s)(--?[A-Za-z][\w-]*)=\S+")


class Parser(argparse.ArgumentParser):
    """Argument errors become UsageError, so that all errors leave by one door."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, add_help=False, **options
        )
        self.switches: set[str] = set()
        """Flags without a value, as they are written."""
        self._is_apart = False
        """True while flags and what stands between them are read apart."""
        self.add_argument(*_HELP_FLAGS, action="help", help="show this text")

    def error(self, message: str) -> NoReturn:
        # What follows a flag that is not known may be anything, a key as well.
        message = _VALUE_OF_A_FLAG.sub(r"\1=...", message)
        raise UsageError(f"{message}; see {self.prog} -h")

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse has it, with flags between the others too: `query app.db -timestamp TIME 'SELECT 1'`."""
        if self._is_apart or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_apart = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_apart = False

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # No flag is guessed from its beginning: -output would be -o with the path "utput".
        return []


def add(
    verbs: "argparse._SubParsersAction[Parser]", verb: str, module: str, function: str, words: str, example: str
) -> Parser:
    parser = verbs.add_parser(
        verb,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"example: {example}",
    )
    parser.set_defaults(module=module, function=function)
    return parser


def flag(parser: Parser, name: str, words: str, metavar: str = "", **options: object) -> None:
    """A flag in both spellings; without `metavar` it takes no value."""
    if metavar:
        options["metavar"] = metavar
    else:
        options["action"] = "store_true"
        parser.switches.update((f"-{name}", f"--{name}"))
    parser.add_argument(f"-{name}", f"--{name}", help=words, **options)  # type: ignore[arg-type]


def config_flags(parser: Parser) -> None:
    flag(parser, "config", "configuration file (default $LITESTREAM_CONFIG, else /etc/litestream.yml)", "PATH")
    flag(parser, "no-expand-env", "leave $NAME in the configuration as it is")


def socket_flag(
    parser: Parser, words: str = "ask the engine that listens here (default: that of the configuration)"
) -> None:
    flag(parser, "socket", words, "PATH")


def host_flags(parser: Parser) -> None:
    words = "a host by ssh, several times for several; -config is then the path on each of them"
    flag(parser, "host", words, "HOST", action="append", dest="hosts", default=None)
    flag(parser, "host-command", "how litestream-tui is called there (default litestream-tui)", "CMD")


def seconds(text: str) -> float:
    value = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) else 0.0
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{quoted(text)!r} is not a number of seconds from 0.1 to 3600")
    return value


def count(text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{quoted(text)!r} is not a number from 1 up")
    return int(text)

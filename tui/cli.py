"""The command line: verbs, flags, and exit codes. Flags have one dash as in Litestream, or two.

Every error that was foreseen is one line on stderr and an exit code of its own (replication/errors.py).
Nothing here imports Textual, and each verb is imported only when it runs; so is what only an error needs.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from replication.errors import ConfigError, ReplicationError, UsageError
from replication.scrub import quoted
from tui.engine_flags import add_engine_verbs
from tui.flags import Parser as _Parser
from tui.flags import add as _add
from tui.flags import config_flags as _config_flags
from tui.flags import count as _count
from tui.flags import flag as _flag
from tui.flags import host_flags as _host_flags
from tui.flags import seconds as _seconds
from tui.flags import socket_flag as _socket_flag
from tui.moment_flags import add_moments
from tui.verbs.console import (
    complain,
    escape_what_cannot_be_written,
    open_standard_descriptors,
    silence,
    spell_names_in_utf8,
)

_INTERRUPTED = 130

_DESCRIPTION = """\
Replicates SQLite databases to S3-compatible storage as they change, and restores any committed moment.
It reads the litestream.yml of Litestream 0.3, and each can restore what the other wrote.
"""

_EPILOG = """\
exit codes: 0 done, 1 other, 2 usage, 3 configuration, 4 database, 5 replicated already, 6 store unreachable,
7 access denied, 8 no bucket, 9 output exists, 10 no such restore point, 11 object missing, 12 object damaged,
13 integrity check failed, 14 local file, 15 other restore error, 16 cancelled, 17 replica differs,
18 inconclusive, 19 not well, 20 no running engine or its refusal, 21 query refused,
22 rows not brought back, 130 interrupted

Try it without any set-up: litestream-tui demo
"""


_SWITCH_WITH_VALUE = re.compile(r"(--?[a-z0-9-]+)=(1|t|true|0|f|false)", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    open_standard_descriptors()
    if arguments is None:
        spell_names_in_utf8()
    escape_what_cannot_be_written()
    try:
        args = _parse(sys.argv[1:] if arguments is None else arguments)
        module = import_module(f"tui.verbs.{args.module}")
        return int(getattr(module, args.function)(args))
    except ReplicationError as error:
        # All refusals of a configuration are printed, one line each.
        for line in str(error).splitlines() if isinstance(error, ConfigError) else [str(error)]:
            complain(line)
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        silence(sys.stdout)
        return 0
    except Exception as error:
        complain(f"{type(error).__name__} in {_place(error)}: {error}; this is a bug; please report it with this line")
        return ReplicationError.exit_code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments as values. Raises UsageError."""
    parser, verbs = _parser()
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first == "help":
        return parser.parse_args([*rest[:1], "-h"])
    if first and not first.startswith("-") and first not in verbs:
        import difflib

        nearest = difflib.get_close_matches(first, verbs, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(verbs)}"
        raise UsageError(f"{quoted(first)!r} is not a verb of litestream-tui; {hint}")
    switches = verbs[first].switches if first in verbs else parser.switches
    plain: list[str] = []
    for argument in arguments:
        match = _SWITCH_WITH_VALUE.fullmatch(argument)
        if match is None or match[1] not in switches:
            plain.append(argument)
        elif match[2].lower() in ("1", "t", "true"):
            plain.append(match[1])
    args, unknown = parser.parse_known_args(plain)
    if unknown:
        # The verb's own help is the one that says what there is.
        verbs.get(args.verb, parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.verb is not None and first.startswith("-"):
        # The verb's own default would silently take the place of the value given before it.
        raise UsageError(f"flags go after the verb: litestream-tui {args.verb} {first} ...")
    return args


def _place(error: BaseException) -> str:
    """Where in this program the error passed last, for a report: file and line."""
    import traceback
    from pathlib import Path

    ours = [
        f"{Path(frame.filename).name} line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if {"tui", "replication"} & set(Path(frame.filename).parts)
    ]
    return ours[-1] if ours else Path(__file__).name


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """The parser of everything, and that of each verb."""
    parser = _Parser(prog="litestream-tui", description=_DESCRIPTION, epilog=_EPILOG)
    _screen_flags(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    _add_attach(verbs)
    _add_replicate(verbs)
    _add_restore(verbs)
    add_moments(verbs)
    _add_listings(verbs)
    _add_status(verbs)
    _add_verify(verbs)
    add_engine_verbs(verbs)
    _add_demo(verbs)
    version = _add(verbs, "version", "version", "run", "print the version", "litestream-tui version")
    version.set_defaults(json=False)
    return parser, dict(verbs.choices)


def _add_attach(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "attach",
        "screen",
        "attach",
        "the screen on an engine that runs; q detaches, and the engine goes on",
        "litestream-tui attach -config ./litestream.yml",
    )
    _config_flags(parser)
    _socket_flag(parser)
    _display_flags(parser)


def _screen_flags(parser: _Parser) -> None:
    """Add the flags of the screen, which opens when there is no verb."""
    parser.set_defaults(module="screen", function="run")
    _config_flags(parser)
    _host_flags(parser)
    _display_flags(parser)


def _display_flags(parser: _Parser) -> None:
    _flag(
        parser,
        "read-only",
        "change nothing: no key that does is there; where no engine runs it only looks, and replicates nothing",
    )
    _flag(parser, "refresh", "ask the engine this often (default 1)", "SECONDS", type=_seconds, default=1.0)
    _flag(parser, "slow", "for a thin line: no clock, nothing is sent while nothing changes")
    _flag(parser, "ascii", "plain letters in place of marks and lines")
    _flag(parser, "no-mouse", "leave the mouse to the terminal")


def _add_replicate(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "replicate",
        "replicate",
        "run",
        "replicate databases until a signal comes, without a screen",
        "litestream-tui replicate -config ./litestream.yml\n"
        "         litestream-tui replicate fruits.db s3://bucket.localhost:9000/fruits.db",
    )
    _config_flags(parser)
    _flag(parser, "exec", "run this command as well, pass signals on, end with its exit code; implies -wait", "CMD")
    _flag(parser, "wait", "take over from another litestream-tui that replicates a database, when it ends")
    parser.add_argument(
        "arguments", nargs="*", metavar="DB_PATH REPLICA_URL", help="one database and its replicas, in place of a file"
    )


def _add_restore(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "restore",
        "restore",
        "run",
        "restore a database: the latest commit, or any other that the replica holds",
        "litestream-tui restore -o restored.db -config ./litestream.yml /srv/app.db\n"
        "         litestream-tui restore -o restored.db -timestamp 2026-01-02T15:04:05Z s3://bucket/app",
    )
    _config_flags(parser)
    _flag(parser, "o", "write to this path, which must not exist (default: the database's own)", "PATH", dest="output")
    _flag(parser, "replica", "restore from this replica only", "NAME")
    _flag(parser, "generation", "restore this generation (default: the newest)", "NAME")
    _flag(parser, "index", "restore up to the end of this WAL index, in hex", "HEX")
    _flag(parser, "timestamp", "restore the newest commit that was made by this time", "RFC3339")
    _flag(parser, "position", "restore exactly this commit", "GENERATION/INDEX:OFFSET")
    _flag(parser, "parallelism", "objects fetched at the same time (default 8)", "N", type=_count, default=8)
    _flag(
        parser,
        "integrity-check",
        "let SQLite check the result: none, quick (default) or full",
        "HOW",
        choices=("none", "quick", "full"),
        default="quick",
    )
    _socket_flag(parser, "let the engine that listens here do it (default: only where the store cannot be reached)")
    _flag(parser, "dry-run", "only say what would be fetched")
    _flag(parser, "if-db-not-exists", "succeed without doing anything if the output exists")
    _flag(parser, "if-replica-exists", "succeed without doing anything if there is nothing to restore")
    _flag(parser, "json", "print the result as JSON")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")


def _add_listings(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    databases = _add(
        verbs, "databases", "listings", "databases", "list the configured databases", "litestream-tui databases"
    )
    _config_flags(databases)
    _flag(databases, "json", "print JSON")
    for verb, words in (
        ("generations", "list generations: lag, start, end, and why each began"),
        ("snapshots", "list snapshots"),
        ("wal", "list WAL segments"),
    ):
        parser = _add(verbs, verb, "listings", verb, words, f"litestream-tui {verb} s3://bucket/app")
        _config_flags(parser)
        _flag(parser, "replica", "look at this replica only", "NAME")
        if verb == "wal":
            _flag(parser, "generation", "list this generation only", "NAME")
        _flag(parser, "json", "print JSON")
        parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")


def _add_status(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "status",
        "status",
        "run",
        "how each database stands: position, lag, queue, errors, last verified; with or without an engine",
        "litestream-tui status -config ./litestream.yml\n         litestream-tui status -check -max-lag 1m",
    )
    _config_flags(parser)
    _socket_flag(parser)
    _host_flags(parser)
    _flag(parser, "json", "print JSON")
    _flag(parser, "check", "only say whether all is well, by the exit code too; no store is asked")
    _flag(parser, "max-lag", "-check: no commit waits for longer (default 5m)", "DURATION", type=_duration)
    _flag(
        parser,
        "max-proof-age",
        "-check: each replica was shown to be restorable in that time (default: twice its retention-check-interval)",
        "DURATION",
        type=_duration,
    )
    _flag(
        parser,
        "max-verified-age",
        "-check: and was verified in that time (default: it need not be)",
        "DURATION",
        type=_duration,
    )
    parser.add_argument("source", nargs="?", metavar="DB_PATH", help="only this database")


def _add_verify(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "verify",
        "verify",
        "run",
        "restore each replica to a temporary file, let SQLite check all of it, compare it with the database",
        "litestream-tui verify -config ./litestream.yml /srv/app.db",
    )
    _config_flags(parser)
    _socket_flag(parser, "let the engine that listens here do it (default: only where the store cannot be reached)")
    _flag(parser, "replica", "look at this replica only", "NAME")
    _flag(parser, "json", "print JSON")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL", help="default: every configured database")


def _add_demo(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs,
        "demo",
        "demo",
        "run",
        "the screen on databases that change; without a terminal, replication and restores in words",
        "litestream-tui demo -s3",
    )
    _flag(parser, "s3", "replicate to a local S3 server, started for the demo (make peers fetches it)")
    _flag(parser, "no-screen", "in words, on a terminal too: replicate, restore, compare, and say what happened")
    _display_flags(parser)
    _flag(parser, "dir", "work in this folder and leave it (default: a temporary one, removed)", "PATH")


def _duration(text: str) -> float:
    from replication.config.durations import parse_duration

    with suppress(ValueError):
        if (value := parse_duration(text)) > 0:
            return value
    raise argparse.ArgumentTypeError(f"{quoted(text)!r} is not a duration, such as 90s, 5m or 1h30m")


if __name__ == "__main__":
    sys.exit(main())

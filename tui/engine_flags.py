"""The flags of the verbs that ask an engine that runs."""

import argparse

from tui.flags import Parser, add, config_flags, count, flag, seconds, socket_flag

_VERBS = (
    ("sync", "copy and upload what is committed now, waiting for no interval and no retry", "-wait /srv/app.db"),
    ("snapshot", "write a snapshot to every replica now", "/srv/app.db"),
    ("pause", "let go of a database: nothing is copied or uploaded until resume", "-for 600 /srv/app.db"),
    ("resume", "replicate a paused database again", "/srv/app.db"),
    ("reload", "read the configuration anew, as SIGHUP does; an error in it changes nothing", ""),
    ("stop", "end the running engine in good order, as SIGTERM does, and wait for its end", ""),
)


def add_engine_verbs(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """Add the verbs that ask an engine that runs, over its socket."""
    for verb, words, example in _VERBS:
        words += "; asks the engine that runs"
        parser = add(verbs, verb, "running_engine", verb, words, f"litestream-tui {verb} {example}".rstrip())
        config_flags(parser)
        socket_flag(parser)
        flag(parser, "json", "print JSON")
        if verb == "sync":
            flag(parser, "wait", "return when every replica has it")
            flag(parser, "timeout", "wait no longer than this (default 30)", "SECONDS", type=seconds, default=30.0)
        if verb == "snapshot":
            flag(parser, "replica", "to this replica only", "NAME")
        if verb == "pause":
            flag(parser, "for", "go on by itself after so long", "SECONDS", type=seconds, dest="seconds")
        if verb not in ("reload", "stop"):
            default = "default: all" if verb == "sync" else "default: the only one"
            parser.add_argument("source", nargs="?", metavar="DB_PATH", help=default)
    relay = add(
        verbs,
        "relay",
        "relay",
        "run",
        "carry the control interface of the engine that runs over stdin and stdout; for ssh, see -host",
        "litestream-tui relay -config /etc/litestream.yml",
    )
    config_flags(relay)
    socket_flag(relay)
    flag(relay, "read-only", "carry no command")
    events = add(
        verbs,
        "events",
        "events",
        "run",
        "what happened, as the log has it; asks the engine that runs",
        "litestream-tui events -follow",
    )
    config_flags(events)
    socket_flag(events)
    flag(events, "follow", "go on with what happens, until interrupted; an engine that starts anew is followed too")
    flag(events, "after", "only events after this number", "N", type=count, default=0)
    flag(events, "json", "print JSON, a line for each event")

"""The flags of the verbs that look at a moment of a database without restoring it."""

import argparse

from tui.flags import Parser, add, config_flags, count, flag, seconds


def add_moments(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """Those that read pages from a replica and write nothing."""
    _add_query(verbs)
    _add_find(verbs)
    _add_log(verbs)
    _add_diff(verbs)
    _add_bring_back(verbs)


def _add_query(verbs: "argparse._SubParsersAction[Parser]") -> None:
    parser = add(
        verbs,
        "query",
        "query",
        "run",
        "ask SQL of the database as it was at any commit, without restoring it",
        "litestream-tui query /srv/app.db 'SELECT count(*) FROM orders'\n"
        "         litestream-tui query -timestamp 2026-01-02T12:03:00Z -csv s3://bucket/app 'SELECT * FROM orders'",
    )
    _where_flags(parser, "the newest")
    flag(parser, "index", "look at the end of this WAL index, in hex", "HEX")
    flag(parser, "timestamp", "look at the newest commit that was made by this time", "RFC3339")
    flag(parser, "position", "look at exactly this commit", "GENERATION/INDEX:OFFSET")
    flag(parser, "timeout", "end the query after this (default 60)", "SECONDS", type=seconds, default=60.0)
    flag(parser, "csv", "print CSV, with a line of names")
    flag(parser, "json", "print JSON, an object for each row")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")
    parser.add_argument("sql", nargs="?", metavar="SQL", help="one statement that only reads")


def _add_find(verbs: "argparse._SubParsersAction[Parser]") -> None:
    parser = add(
        verbs,
        "find",
        "find",
        "run",
        "find the commit at which something changed, the newest first, without restoring anything",
        "litestream-tui find -gone orders /srv/app.db\n         litestream-tui find -row orders 7 -all s3://bucket/app",
    )
    _where_flags(parser, "all, the newest first")
    flag(parser, "gone", "the table, or view, went", "TABLE")
    flag(parser, "appeared", "the table, or view, appeared", "TABLE")
    flag(parser, "fell", "the table lost so many rows or more in one commit", metavar=("TABLE", "ROWS"), nargs=2)  # type: ignore[arg-type]
    flag(parser, "row", "the row with this key, or rowid, came, changed or went", metavar=("TABLE", "KEY"), nargs=2)  # type: ignore[arg-type]
    flag(parser, "sql", "the answer to this statement changed", "SQL")
    flag(parser, "all", "every such commit, and look everywhere")
    flag(parser, "since", "only commits that were stored since this time", "RFC3339")
    flag(parser, "until", "only commits that were made by this time, as restore -timestamp has it", "RFC3339")
    flag(parser, "json", "print JSON")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")


def _add_log(verbs: "argparse._SubParsersAction[Parser]") -> None:
    parser = add(
        verbs,
        "log",
        "log",
        "run",
        "list what commits did, the newest first: pages, tables, and rows more or fewer",
        "litestream-tui log -limit 5 /srv/app.db\n"
        "         litestream-tui log -table orders -since 2026-01-02T00:00:00Z s3://bucket/app",
    )
    _where_flags(parser, "all, the newest first")
    flag(parser, "table", "only commits that touched this table", "TABLE")
    flag(parser, "limit", "no more commits than this (default 20)", "N", type=count, default=20)
    flag(parser, "since", "only commits that were stored since this time", "RFC3339")
    flag(parser, "until", "only commits that were made by this time, as restore -timestamp has it", "RFC3339")
    flag(parser, "json", "print JSON, a line for each commit")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")


def _add_diff(verbs: "argparse._SubParsersAction[Parser]") -> None:
    parser = add(
        verbs,
        "diff",
        "diff",
        "run",
        "show what changed between two moments: rows that came, went or changed, and the schema",
        "litestream-tui diff /srv/app.db 12:03 12:04\n"
        "         litestream-tui diff -table orders s3://bucket/app 7ecd3310a2b4c6d8/00000003:614400 now",
    )
    _where_flags(parser, "the newest")
    flag(parser, "table", "only this table, one that SQLite or a virtual table keeps for itself too", "TABLE")
    flag(parser, "limit", "no more rows of a table than this (default 20; with -json all)", "N", type=count)
    flag(parser, "summary", "only how many rows of each table came, went and changed")
    flag(parser, "json", "print JSON, an object on each line")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")
    words = "a time in UTC (12:03, 10-20 12:03, 2026-10-20T12:03:00Z), a position, or now"
    parser.add_argument("begin", nargs="?", metavar="FROM", help=words)
    parser.add_argument("end", nargs="?", metavar="TO", help="the same (default: now)", default="now")


def _add_bring_back(verbs: "argparse._SubParsersAction[Parser]") -> None:
    parser = add(
        verbs,
        "bring-back",
        "bring_back",
        "run",
        "bring rows back from any commit into the live database, which goes on; -apply does it, else it is only said",
        "litestream-tui bring-back -table orders /srv/app.db 12:03\n"
        "         litestream-tui bring-back -apply /srv/app.db 7ecd3310a2b4c6d8/00000003:614400 12:05",
    )
    _where_flags(parser, "the newest")
    flag(parser, "table", "the rows that this table had and has not; again for others", "TABLE", action="append")
    flag(parser, "where", "only those of which this was true then", "SQL")
    words = "the row with this primary key; again for others"
    flag(parser, "row", words, metavar=("TABLE", "KEY"), nargs=2, action="append")  # type: ignore[arg-type]
    flag(
        parser,
        "on-conflict",
        "where another row has the place: skip (default) leaves that, replace lets it give way, abort stops",
        "WHAT",
        choices=("skip", "replace", "abort"),
        default="skip",
    )
    flag(parser, "apply", "do it, as one transaction")
    flag(parser, "into", "bring them into this database (default: the one that is named)", "PATH")
    words = "write them to this new file instead, as SQL or, if it ends in .csv, as CSV; - for stdout"
    flag(parser, "o", words, "PATH", dest="output")
    flag(parser, "csv", "write CSV")
    flag(parser, "json", "print JSON")
    parser.add_argument("source", nargs="?", metavar="DB_PATH|REPLICA_URL")
    words = "the moment that had them: a time in UTC (12:03, 10-20 12:03), or a position"
    parser.add_argument("begin", nargs="?", metavar="FROM", help=words)
    words = "bring back what commits from then up to this moment deleted; now for all"
    parser.add_argument("end", nargs="?", metavar="TO", help=words)


def _where_flags(parser: Parser, generations: str) -> None:
    config_flags(parser)
    flag(parser, "replica", "look at this replica only", "NAME")
    flag(parser, "generation", f"look at this generation (default: {generations})", "NAME")
    flag(parser, "parallelism", "objects fetched at the same time (default 8)", "N", type=count, default=8)

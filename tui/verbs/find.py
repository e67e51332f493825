"""find: the last commit before something went, came or changed, among all that a replica holds."""

import json
from argparse import Namespace

from replication.errors import UsageError
from replication.history import questions
from replication.history.contract import Found
from replication.history.moments import find, search
from replication.history.questions import Wanted
from replication.restore.target import Latest, parse_time
from replication.scrub import quoted
from replication.times import format_time
from tui.text.format import counted, plain, size
from tui.verbs.console import give, remark, warn
from tui.verbs.moment import TIMES, looking, when

_KINDS = ("gone", "appeared", "fell", "row", "sql")


def run(args: Namespace) -> int:
    """Print the newest change that is looked for, or all; raises NoRestorePointError if there is none, for sure."""
    wanted = _wanted(args)
    target = parse_time(args.until) if args.until is not None else Latest()
    since = parse_time(args.since).time if args.since is not None else None
    with looking(args, "find", target) as at:
        searching = search(at.sources, at.options, wanted, at.tables, at.cancel, args.all, since, warn)
        if args.all:
            is_found = False
            for found in searching.changes():
                _tell(args, wanted, found)
                is_found = True
            if not is_found:
                raise searching.nothing()
        else:
            _tell(args, wanted, find(searching))
        looks = f"{counted(searching.looks, 'look')} in replica {searching.replica}, {size(searching.bytes_read)} read"
        remark(f"{looks}; {TIMES}")
    return 0


def _wanted(args: Namespace) -> Wanted:
    given = [kind for kind in _KINDS if getattr(args, kind) is not None]
    if len(given) != 1:
        raise UsageError(f"what is to be found? Give one of {', '.join(f'-{kind}' for kind in _KINDS)}")
    if args.gone is not None:
        return questions.gone(args.gone)
    if args.appeared is not None:
        return questions.appeared(args.appeared)
    if args.row is not None:
        return questions.row(*args.row)
    if args.sql is not None:
        if questions.is_empty(args.sql):
            raise UsageError("-sql needs a statement, such as 'SELECT count(*) FROM orders'")
        return questions.sql(args.sql)
    table, rows = args.fell
    if not rows.isascii() or not rows.isdigit() or not 0 < int(rows) < 1 << 62:
        raise UsageError(f"{quoted(rows)!r} is not a number of rows from 1 up")
    return questions.fell(table, int(rows))


def _tell(args: Namespace, wanted: Wanted, found: Found) -> None:
    if args.json:
        values = {
            "before": str(found.before),
            "after": str(found.after),
            "before_committed": format_time(found.before_seen) if found.before_seen is not None else None,
            "after_committed": format_time(found.after_seen) if found.after_seen is not None else None,
            "before_stored": format_time(found.before_time),
            "after_stored": format_time(found.after_time),
            "was": _value(found.was),
            "became": _value(found.became),
            "sure": found.is_sure,
        }
        give(json.dumps(values, ensure_ascii=False))
        return
    give(f"{wanted.words} with the commit {found.after}, {when(found.after_seen, found.after_time)}")
    give(f"last commit before it: {found.before}, {when(found.before_seen, found.before_time)}")
    if not isinstance(found.was, bool):
        give(f"was: {plain(str(found.was))}")
        give(f"became: {plain(str(found.became))}")
    if found.is_across:
        give("The two are of two generations: what was committed between them, if anything was, is not in the replica.")
    if not found.is_sure:
        give("It may have changed in other commits as well, since then too: -all looks at each.")


def _value(answer: object) -> bool | int | str:
    return answer.rows if isinstance(answer, questions.Count) else answer if isinstance(answer, int) else str(answer)

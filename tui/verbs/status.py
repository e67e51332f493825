"""status: how each database stands. An engine that runs is asked; without one, the local folders and the replicas are.

A replica that cannot be reached is named in its row and on stderr, and the exit code says so. With -check nothing is
asked, and only what is not well is printed.
"""

import json
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from replication.config import Config, DatabaseConfig
from replication.config.location import local_path
from replication.config.registering import as_registered
from replication.control.report import answer as engine_answer
from replication.control.report import registered_answer, registered_of, whole_answer
from replication.database.together import all_databases
from replication.errors import EngineError, NotWellError, UsageError
from replication.offline import DatabaseReport, ReplicaReport
from replication.restore.open_replicas import configured
from replication.status import Verification
from replication.survey import SurveyResult, survey
from replication.wellness import LAG_SECONDS_MAX, Limits, examine
from replication.wire import plain
from tui.text.format import counted, go_duration, size, table
from tui.verbs.console import complain, say, warn
from tui.verbs.hosts import hosts_of, survey_hosts
from tui.verbs.named import config_of
from tui.verbs.running_engine import client_of, database_of, running_client

_HEADER = ["database", "engine", "replica", "state", "position", "lag", "queue", "verified", "restorable", "error"]
_SILENT = "the engine does not answer: whether this is replicated is not known"
_ANSWER_SECONDS = 2.0
"""How long -check waits for what the engine has beside its configuration."""
_ERROR_CHARS_MAX = 60
"""The table shows no more of an error; the whole of it is on stderr and in the JSON."""


def run(args: Namespace) -> int:
    """Print how things stand. Return the exit code of the last error met, or 0 without one."""
    if args.hosts or args.host_command is not None:
        for name in ("check", "socket", "source"):
            if getattr(args, name):
                raise UsageError("-host goes with -json and -config alone; ssh HOST litestream-tui status has the rest")
        return _say(survey_hosts(hosts_of(args)), args.json)
    if args.socket is not None and args.config is None and not args.check:
        return _say(_by_socket(args), args.json)
    config = config_of(args)
    if config.hosts and not config.databases and not config.directories:
        return _say(survey_hosts(config.hosts), args.json)
    databases = list(all_databases(config)) if args.source is None else [configured(config, local_path(args.source))]
    if args.check:
        databases += _registered(args, config, databases)
        limits = Limits(LAG_SECONDS_MAX if args.max_lag is None else args.max_lag)
        return _check(databases, replace(limits, proof=args.max_proof_age, verified=args.max_verified_age), args.json)
    if args.max_lag or args.max_proof_age or args.max_verified_age:
        raise UsageError("-max-lag, -max-proof-age and -max-verified-age go with -check")
    return _say(_of_engine(args, config, databases) or survey(databases), args.json)


def _say(answer: SurveyResult, as_json: bool) -> int:
    for words in answer.complaints:
        complain(words)
    if as_json:
        say(json.dumps([_values(report) for report in answer.reports], indent=2))
    else:
        now = time.time()
        say(table(_HEADER, [row for report in answer.reports for row in _rows(report, now)]))
    return answer.exit_code


def _of_engine(args: Namespace, config: Config, databases: Sequence[DatabaseConfig]) -> SurveyResult | None:
    """The reports of the engine that has these databases, or None without one, or if it cannot say."""
    client = running_client(args, config)
    if client is None:
        return None
    with closing(client):
        try:
            info, status = client.info(), client.status()
        except EngineError as error:
            if args.socket is not None:
                raise
            if isinstance(error.__cause__, TimeoutError):
                return _silent(survey(databases), error)
            warn(f"{error}; found out without it")
            return None
    found = engine_answer(databases, info, status)
    if found is None and args.socket is not None:
        raise EngineError(f"the engine at {client.path} does not have all databases of the configuration")
    if args.source is None and info.registered:
        return (found or survey(databases)).and_then(registered_answer(info, status, databases))
    return found


def _silent(found: SurveyResult, error: EngineError) -> SurveyResult:
    """What is known while an engine has the databases and says nothing: what it noted last says nothing of today."""
    reports = [
        replace(
            report,
            error=report.error or _SILENT,
            replicas=tuple(
                replace(replica, state="unknown", lag_seconds=None, pending_bytes=None) for replica in report.replicas
            ),
        )
        if report.pid
        else report
        for report in found.reports
    ]
    return SurveyResult(tuple(reports), (*found.complaints, str(error)), error.exit_code)


def _by_socket(args: Namespace) -> SurveyResult:
    """The report of an engine of whatever configuration: of all that it has, or of the one that is named."""
    with closing(client_of(args)) as client:
        name = database_of(args, client) if args.source is not None else ""
        return whole_answer(client.info(), client.status(), name)


def _registered(args: Namespace, config: Config, databases: Sequence[DatabaseConfig]) -> list[DatabaseConfig]:
    """The databases that the engine has beside those of its configuration: who registered them relies on it, too."""
    if args.source is not None or (client := running_client(args, config)) is None:
        return []
    client.answer_seconds = _ANSWER_SECONDS
    with closing(client):
        try:
            found = registered_of(client.info(), client.status(), databases)
            return [as_registered(config, item.path, item.replicas[0].address) for item in found]
        except EngineError:
            # Whether it hangs shows in what it copies.
            return []


def _check(databases: Sequence[DatabaseConfig], limits: Limits, as_json: bool) -> int:
    """Say whether all is well, and return the exit code."""
    if not databases:
        raise NotWellError("no database is configured, so that nothing is replicated; add one under dbs:")
    finding = examine(databases, limits)
    if as_json:
        values = {"ok": not finding.troubles, "troubles": [asdict(trouble) for trouble in finding.troubles]}
        say(json.dumps(values, indent=2))
    elif not finding.troubles:
        more = f", of which {finding.to_come} not there yet" if finding.to_come else ""
        say(f"ok: {counted(len(databases), 'database')}{more}")
    for trouble in finding.troubles:
        complain(str(trouble))
    return NotWellError.exit_code if finding.troubles else 0


def _rows(report: DatabaseReport, now: float) -> list[list[str]]:
    engine = f"pid {report.pid}" if report.pid else "running" if report.pid == 0 else report.state
    if not report.replicas:
        return [
            [report.path, engine, "", report.state, str(report.position or ""), "", "", "", "", _short(report.error)]
        ]
    return [
        [
            report.path,
            engine,
            replica.name,
            "error" if report.state == "error" else replica.state,
            str(replica.position or ""),
            _lag(replica.lag_seconds),
            "" if replica.pending_bytes is None else size(replica.pending_bytes),
            _verified(replica.verified, now),
            f"checked {_ago(replica.proven, now)}" if replica.proven else "not yet checked",
            _short(report.error or replica.error or _warnings(replica) or _once(replica, now)),
        ]
        for replica in report.replicas
    ]


def _lag(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return go_duration(round(seconds, 1))


def _verified(verification: Verification | None, now: float) -> str:
    if verification is None:
        return "never"
    return f"{verification.outcome} {_ago(verification.time, now)}"


def _warnings(replica: ReplicaReport) -> str:
    """The most urgent of what a person should know although commits arrive."""
    return replica.warning or replica.lost or replica.duty_warning


def _once(replica: ReplicaReport, now: float) -> str:
    """An error that is over, in words."""
    if not replica.last_error or not replica.last_error_time:
        return ""
    return f"none now; {_ago(replica.last_error_time, now)}: {replica.last_error}"


def _ago(then: float, now: float) -> str:
    return f"{go_duration(int(max(0.0, now - then)))} ago"


def _short(text: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= _ERROR_CHARS_MAX else f"{line[: _ERROR_CHARS_MAX - 1]}…"


def _values(report: DatabaseReport) -> dict[str, Any]:
    """Everything known of a database."""
    return {**plain(report), "engine_running": report.pid is not None}

"""The hosts that a command line names, and how things stand on all of them, asked at once.

Its promise: a host that does not answer is told in words, and costs a bounded time; the others are told all the same.
"""

import threading
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from replication.config import HostConfig
from replication.config.hosts_section import named_host
from replication.control.far import FarClient
from replication.errors import ReplicationError, UsageError
from replication.survey import SurveyResult
from tui.session.ssh import route
from tui.text.naming import far

ANSWER_SECONDS_MAX = 15.0
"""How long an engine may take to say how it stands, once its host has answered."""


def hosts_of(args: Namespace) -> tuple[HostConfig, ...]:
    """Return the hosts that the flags name. Raises UsageError."""
    if not args.hosts:
        raise UsageError("-host-command goes with -host; name a host, such as -host web1")
    found = {name: named_host(name, args.host_command or "", args.config or "") for name in args.hosts}
    return tuple(found.values())


def survey_hosts(hosts: Sequence[HostConfig]) -> SurveyResult:
    """Ask the engines of all hosts at once. Databases are called HOST:PATH."""
    found: dict[str, SurveyResult] = {}
    asking = [threading.Thread(target=lambda host=host: found.update({host.name: _ask(host)})) for host in hosts]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    results = [found[host.name] for host in hosts]
    return SurveyResult(
        tuple(report for result in results for report in result.reports),
        tuple(words for result in results for words in result.complaints),
        next((result.exit_code for result in reversed(results) if result.exit_code), 0),
    )


def _ask(host: HostConfig) -> SurveyResult:
    # Imported here: a screen has no use for it.
    from replication.control.report import whole_answer

    try:
        with closing(FarClient(route(host, read_only=True), read_only=True, wait=ANSWER_SECONDS_MAX)) as client:
            status, _ = client.look(0)
            result = whole_answer(client.info(), status)
    except ReplicationError as error:
        return SurveyResult((), (f"{host.name}: {error}",), error.exit_code)
    reports = tuple(replace(report, path=far(host.name, report.path)) for report in result.reports)
    return SurveyResult(reports, tuple(far(host.name, words) for words in result.complaints), result.exit_code)

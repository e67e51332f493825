"""docs/reference/control.md against the code: every request, every job and its fields, and the bounds that it names."""

import dataclasses
import re
from pathlib import Path

from replication.control import jobs, routes, server
from replication.control.http import HEAD_BYTES_MAX
from replication.control.requests import REQUESTS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "control.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    text = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return found[2:]


def test_every_request_is_in_the_reference() -> None:
    told = {
        row[0].strip("`").removesuffix("/ID") for row in (*rows("## Requests"), *rows("### Those of Litestream 0.5"))
    }
    assert told == {f"{method} {path}" for method, path in routes.routes()}


def test_every_job_is_in_the_reference_with_its_fields() -> None:
    told = {row[0].strip("`"): set(re.findall(r"`([a-z_]+)`", row[1])) for row in rows("### Jobs")}
    assert told == {do: {field.name for field in dataclasses.fields(kind)} for do, kind in REQUESTS.items()}


def test_the_bounds_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split("## Bounds", 1)[1].split("\n## ", 1)[0].split())
    assert [int(number) for number in re.findall(r"\d+", text)] == [
        server.CLIENTS_MAX,
        server.REQUEST_SECONDS_MAX,
        server.REQUEST_BYTES_MAX >> 10,
        HEAD_BYTES_MAX >> 10,
        server.REQUEST_SECONDS_MAX,
        routes.WAIT_SECONDS_MAX,
        jobs.JOBS_AT_ONCE_MAX,
        jobs.JOBS_KEPT_MAX,
    ]

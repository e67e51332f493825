"""The alert rules, the dashboard and the reference speak of metrics that there are, with labels that these have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import promql_parser
import pytest
import yaml

from replication import errors
from replication.measures import LITESTREAM, OURS, READY, ROWS, Row
from replication.metrics import Metrics
from replication.status import DatabaseState, EngineStatus, Outcome, ReplicaState
from tests.monitoring.scraped import Scrape

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "contrib/prometheus/litestream-tui.rules.yml").read_text())
DASHBOARD = json.loads((ROOT / "contrib/grafana/litestream-tui.json").read_text())
PAGE = ROOT / "docs/reference/metrics.md"

ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]

PROCESS = set(Scrape.of(Metrics(lambda: EngineStatus(0.0, ()), lambda _: True).text().decode()).types)
LABELS = {row.name: set(row.labels) for row in ROWS} | {name: set() for name in PROCESS} | {"up": set()}
"""Every metric that may be named, with the labels that it has of itself."""
BY_PROMETHEUS = {"instance", "job"}
VALUES = {
    ("litestream_tui_database_state", "state"): set(get_args(DatabaseState)),
    ("litestream_tui_replica_state", "state"): set(get_args(ReplicaState)),
    ("litestream_tui_replica_verified_result", "outcome"): set(get_args(Outcome)),
    ("litestream_tui_replica_errors_total", "class"): set(vars(errors)),
}


def parsed(text: str) -> Any:
    """An expression, with what Grafana puts in it."""
    return promql_parser.parse(text.replace("$__rate_interval", "5m"))


def selectors(expression: Any) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(expression, visit)
    return found


def check(text: str) -> set[str]:
    """Names and labels of an expression are right; the labels that its result may have."""
    expression = parsed(text)
    known: set[str] = set(BY_PROMETHEUS)
    used = selectors(expression)
    assert used, text
    for selector in used:
        assert selector.name in LABELS, f"{selector.name} is no metric: {text}"
        known |= LABELS[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in LABELS[selector.name] | BY_PROMETHEUS, f"{matcher.name} is no label: {text}"
            values = VALUES.get((selector.name, matcher.name))
            assert values is None or matcher.value in values, f"{matcher.value} is never there: {text}"
    for grouped in re.findall(r"\bby \(([^)]*)\)", text):
        labels = {label.strip() for label in grouped.split(",")}
        assert labels <= known, text
        known = labels
    return known


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert(rule: dict[str, Any]) -> None:
    known = check(rule["expr"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[0-9]+[mh]", rule.get("for", "1m"))
    assert set(rule["annotations"]) == {"summary", "description"}
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= known


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("LitestreamTui") for name in names)


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title} {target['refId']}" for title, target in TARGETS])
def test_a_target_of_the_dashboard(title: str, target: dict[str, Any]) -> None:
    known = check(target["expr"])
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known
    counters = {row.name for row in ROWS if row.kind == "counter"}
    for selector in selectors(parsed(target["expr"])):
        # A counter is only ever looked at by how it grows.
        is_counted = re.search(rf"(rate|increase)\({selector.name}\b", target["expr"]) is not None
        assert is_counted == (selector.name in counters or selector.name == "process_cpu_seconds_total")


def test_the_dashboard_is_in_order() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used - {"__rate_interval"} <= variables
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert match is not None
            check(match[1])
            assert match[2] in LABELS[selectors(parsed(match[1]))[0].name]


def test_every_metric_of_ours_is_shown_or_alarms() -> None:
    expressions = [rule["expr"] for rule in ALERTS] + [target["expr"] for _, target in TARGETS]
    named = {selector.name for text in expressions for selector in selectors(parsed(text))}
    assert {row.name for row in (*OURS, READY)} <= named


def _table(heading: str) -> Iterator[str]:
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return (line for line in section.splitlines() if line.startswith("| `"))


def _line(row: Row) -> str:
    labels = ", ".join(f"`{label}`" for label in row.labels)
    return f"| `{row.name}` | {row.kind} | {labels} | {row.words} |"


def test_the_reference_is_that_of_the_code() -> None:
    assert list(_table("Metrics of Litestream")) == [_line(row) for row in LITESTREAM]
    assert list(_table("Metrics of this program")) == [_line(row) for row in (*OURS, READY)]

"""The alerts and the dashboard ask for metrics that a bridge has, and each alert fires."""

import json
import re
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bridge.core.lifecycle import State
from bridge.web.hooks import OUTCOMES
from tests.oracles.programs import program, said
from tests.unit.test_readme import anchors
from tests.worlds.bridge import Origin, World, hook_headers
from tests.worlds.rows import each_row
from tests.worlds.sites import make_site

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())

SURFACE = ROOT / "tests" / "fixtures" / "surface" / "metrics.txt"

OF_PROMETHEUS = {"job", "instance"}
"""Labels that each scrape adds."""
KNOWN_VALUES = {"outcome": {*OUTCOMES.values()}, "result": {*map(str, State)}}

LABELS = {
    name: labels.split()[1:]
    for name, _, labels in map(str.partition, SURFACE.read_text().splitlines(), repeat("  "))
}
"""The labels of each metric, which `tests/scenes/surface.py` records."""

SAMPLE = re.compile(r"\b(up|(?:bridge|process)_\w+)\b(?:\{([^}]*)\})?").findall
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"').findall
GROUPED = re.compile(r"\bby \(([^)]*)\)").findall


def queries() -> dict[str, str]:
    """Return each query of the alerts and the dashboard, by where it stands."""
    found = {f"alert {rule['alert']}": str(rule["expr"]) for rule in RULES}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return found


def grouped(query: str) -> set[str]:
    return {label.strip() for labels in GROUPED(query) for label in labels.split(",")}


Labels = dict[str, dict[str, set[str]]]


async def measured(world: World) -> Labels:
    """Return the metrics that a bridge has, each with its labels and their values."""
    text = (await world.web.get("/metrics")).text
    found: Labels = {}
    for family in text_string_to_metric_families(text):
        found.setdefault(family.name, {})
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


@pytest.fixture
async def metrics(world: World, origin: Origin) -> Labels:
    """Those of a bridge that has done, and refused, a bit of everything."""
    await make_site(world, origin)
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    wrong = hook_headers("github", {}, b"other", "1")
    assert (await world.web.post("/hooks/github", content=b"{}", headers=wrong)).status_code == 401
    found = await measured(world)
    for name, labels in LABELS.items():
        for label in labels:
            found[name].setdefault(label, set())  # of what there is none here: open, in trouble
    return found | {"up": {}}


async def test_every_query_asks_for_what_a_bridge_measures(metrics: Labels) -> None:
    wrong = [f"{where}: {one}" for where, query in queries().items() for one in odd(query, metrics)]

    assert wrong == []


def odd(query: str, metrics: Labels) -> Iterator[str]:
    """Yield what a query names that there is not."""
    labels = set(OF_PROMETHEUS)
    for name, matchers in SAMPLE(query):
        if name not in metrics:
            yield f"no metric {name}"
            continue
        labels |= set(metrics[name])
        for label, how, value in MATCHER(matchers):
            if label in OF_PROMETHEUS:
                continue
            if label not in metrics[name]:
                yield f"{name} has no label {label}"
                continue
            values = KNOWN_VALUES.get(label, metrics[name][label])
            asked = value.split("|") if how == "=~" else [value]
            yield from (f"{name} is never of {label} {one}" for one in asked if one not in values)
    yield from (f"no label {label}" for label in sorted(grouped(query) - labels))


def test_the_dashboard_has_what_grafana_needs() -> None:
    panels = DASHBOARD["panels"]
    described = [panel["title"] for panel in panels]

    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert len(set(described)) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= grouped(target["expr"]) | OF_PROMETHEUS, panel["title"]


def test_every_alert_says_what_it_means_and_leads_to_the_docs() -> None:
    for rule in RULES:
        annotations = rule["annotations"]
        assert set(annotations) == {"summary", "why", "runbook_url"}, rule["alert"]
        file, _, anchor = annotations["runbook_url"].partition("/blob/main/")[2].partition("#")
        assert anchor in anchors(ROOT / file), annotations["runbook_url"]
        named = set(re.findall(r"\$labels\.(\w+)", annotations["summary"]))
        assert named <= grouped(rule["expr"]) | OF_PROMETHEUS


def test_prometheus_accepts_the_rules_and_every_query() -> None:
    promtool = program("promtool", "prometheus")

    assert f"SUCCESS: {len(RULES)} rules found" in said(promtool, "check", "rules", ALERTS)
    for query in queries().values():
        plain = query.replace("$__rate_interval", "5m")
        said(promtool, "promql", "--experimental", "format", plain)


JOB = 'job="dokploy-bridge", instance="a"'

SEEN = "bridge_webhooks_received_total"

FIRES: dict[str, tuple[dict[str, str], str]] = {
    "BridgeDown": ({f"up{{{JOB}}}": "0x60"}, "10m"),
    # The counter appears with the first webhook that is not stored.
    "BridgeCanNotStore": (
        {f'{SEEN}{{provider="github", outcome="not_kept", {JOB}}}': "_x5 1x9"},
        "7m",
    ),
    "BridgePushUndecided": (
        {f'bridge_queue_lag_seconds{{queue="deliveries", {JOB}}}': "0+60x30"},
        "12m",
    ),
    # The counter of an app appears with its first failure.
    "BridgeDeploymentsFail": (
        {
            f"up{{{JOB}}}": "1x200",
            f'bridge_deploys_total{{app="shop/web", result="failed", {JOB}}}': "_x70 1x5 2x60",
        },
        "80m",
    ),
    "BridgeTrouble": ({f'bridge_trouble{{part="backend dokploy", {JOB}}}': "1x30"}, "15m"),
    "BridgeFeedbackParked": ({f'bridge_parked{{queue="feedback", {JOB}}}': "2x90"}, "70m"),
    "BridgeRefusesWebhooks": (
        {f'{SEEN}{{provider="github", outcome="unauthorized", {JOB}}}': "0+1x60"},
        "45m",
    ),
    "BridgeDiskFillsUp": ({f'bridge_store_bytes{{store="inbox", {JOB}}}': "6e9+2e6x400"}, "300m"),
    "BridgeOverloaded": (
        {
            f'bridge_loop_lag_seconds_bucket{{le="0.1", {JOB}}}': "0+10x60",
            f'bridge_loop_lag_seconds_bucket{{le="0.25", {JOB}}}': "0+20x60",
            f'bridge_loop_lag_seconds_bucket{{le="+Inf", {JOB}}}': "0+20x60",
        },
        "30m",
    ),
}
"""For each alert what is measured, in Prometheus' notation a value a minute, and when it fires."""

QUIET = {
    f"up{{{JOB}}}": "1x400",
    f'{SEEN}{{provider="github", outcome="accepted", {JOB}}}': "0+9x400",
    f'{SEEN}{{provider="github", outcome="unauthorized", {JOB}}}': "5x400",
    f'bridge_queue_lag_seconds{{queue="deliveries", {JOB}}}': "2x400",
    f'bridge_deploys_total{{app="shop/web", result="done", {JOB}}}': "0+1x400",
    f'bridge_deploys_total{{app="shop/web", result="failed", {JOB}}}': "0x100 1x300",
    f'bridge_parked{{queue="feedback", {JOB}}}': "0x400",
    f'bridge_store_bytes{{store="inbox", {JOB}}}': "6e9x400",
    f'bridge_loop_lag_seconds_bucket{{le="0.1", {JOB}}}': "0+20x400",
    f'bridge_loop_lag_seconds_bucket{{le="+Inf", {JOB}}}': "0+20x400",
}
"""An ordinary day."""


def check(tests: list[dict[str, Any]]) -> None:
    """Have promtool run tests of the alerts."""
    whole = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump(whole))
        file.flush()
        said(program("promtool", "prometheus"), "test", "rules", file.name)


def test_each_alert_fires_when_it_should_and_none_on_an_ordinary_day() -> None:
    assert set(FIRES) == {rule["alert"] for rule in RULES}
    quiet = [shown(name, QUIET, "300m", fires=False) for name in FIRES]
    loud = [shown(name, *FIRES[name], fires=True) for name in FIRES]

    check([*quiet, *loud])


@each_row(
    ("failures", "at", "fires"),
    [
        ("1x70 2x60", "80m", False),
        ("1x70 2x5 3x60", "80m", True),
        ("1x70 2x5 3x100", "150m", False),  # over an hour ago
        ("_x70 7x60", "80m", True),
    ],
)
def test_two_failures_in_an_hour_are_told(failures: str, at: str, *, fires: bool) -> None:
    series = {
        f"up{{{JOB}}}": "1x200",
        f'bridge_deploys_total{{app="shop/web", result="failed", {JOB}}}': failures,
    }
    check([shown("BridgeDeploymentsFail", series, at, fires=fires)])


def shown(name: str, series: dict[str, str], at: str, *, fires: bool) -> dict[str, Any]:
    """Return one test of promtool: whether an alert fires at some minute."""
    query = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
        ],
    }

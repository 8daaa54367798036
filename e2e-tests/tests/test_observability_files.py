"""deploy/observability: every metric that a rule or the dashboard names is documented, and so exported by a service."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from security_common.audit import EventType

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "observability"
PREFIXES = ("auth", "mcp", "gateway")
SUFFIXES = ("_bucket", "_count", "_sum")
_NAME = re.compile(r"\b(?:auth|mcp|gateway|process)_[a-z_]+\b")
_FUNCTIONS_AND_LABELS = {"event_type", "grant_type"}


def documented_metrics() -> set[str]:
    """The names in docs/metrics.md and docs/gateway.md, with `<service>` replaced."""
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("metrics.md", "gateway.md"))
    texts = [text.replace("<service>", prefix) for prefix in PREFIXES]
    return {name for each in texts for name in re.findall(r"`((?:auth|mcp|gateway|process)_[a-z_]+)`", each)}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_expressions() -> list[str]:
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_in(expression: str) -> set[str]:
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    names = set(_NAME.findall(without_strings)) - _FUNCTIONS_AND_LABELS
    return {next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name) for name in names}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_names_documented_metrics_and_says_what_happened(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= documented_metrics()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_dashboard_names_documented_metrics() -> None:
    expressions = dashboard_expressions()
    assert expressions
    for expression in expressions:
        assert metrics_in(expression)
        assert metrics_in(expression) <= documented_metrics(), expression


def test_event_types_in_expressions_exist() -> None:
    for expression in (*dashboard_expressions(), *(rule["expr"] for rule in alerts())):
        for names in re.findall(r'event_type=~?"([^"]+)"', expression):
            assert set(names.split("|")) <= set(EventType)


def test_prometheus_scrapes_the_metrics_ports_of_the_compose_file() -> None:
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {target for job in scraped for config in job["static_configs"] for target in config["targets"]}
    services = yaml.safe_load((FOLDER / "compose.observability.yaml").read_text(encoding="utf-8"))["services"]
    ports = {
        f"{name}:{value}"
        for name, service in services.items()
        for variable, value in service.get("environment", {}).items()
        if variable.endswith("_METRICS_PORT")
    }
    assert targets == ports

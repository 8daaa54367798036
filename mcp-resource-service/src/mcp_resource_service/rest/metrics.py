"""Prometheus metrics, on a port of their own: docs/metrics.md."""

import time
from collections.abc import Collection, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from security_common.audit.reading.alerts import RULE_TITLES, Alert
from security_common.tokens.issuer_keys import IssuerKeys

__all__ = ["MeasuredRequests", "Metrics"]

LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One registry per application, so that two applications in a process do not share counts."""

    def __init__(self, *, paths: Collection[str]) -> None:
        """`paths` are told apart; all others are one, since strangers choose them."""
        self.registry = CollectorRegistry()
        self.paths = frozenset(paths)
        self._requests = Histogram(
            "mcp_request_duration_seconds",
            "Wall time of a request until its answer begins.",
            ["path", "status"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._alerts = Counter(
            "mcp_security_alerts", "Security alerts raised, by rule.", ["rule"], registry=self.registry
        )
        for rule in RULE_TITLES:
            self._alerts.labels(rule)  # there from the start, so that the first alert is an increase
        self.keys_usable = Gauge("mcp_issuer_keys_usable", "1 while tokens can be judged.", registry=self.registry)
        self.journal_writable = Gauge("mcp_journal_writable", "1 while events can be recorded.", registry=self.registry)

    def count_alert(self, alert: Alert) -> None:
        """Counts an alert that this process recorded; a burst that goes on is not a new one."""
        if not alert.continues:
            self._alerts.labels(alert.rule).inc()

    def watch_keys(self, keys: Sequence[IssuerKeys]) -> None:
        """Shows how each issuer's keys do, read when somebody asks."""
        self.registry.register(_KeysCollector(keys))

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Counts one request in."""
        self._requests.labels(path if path in self.paths else "other", status).observe(seconds)


class _KeysCollector(Collector):
    def __init__(self, keys: Sequence[IssuerKeys]) -> None:
        self._keys = keys

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "mcp_issuer_keys_age_seconds", "Since the issuer last confirmed its keys.", labels=["issuer"]
        )
        refreshes = CounterMetricFamily(
            "mcp_issuer_keys_refreshes", "Fetches of an issuer's keys by outcome.", labels=["issuer", "outcome"]
        )
        throttled = CounterMetricFamily(
            "mcp_issuer_keys_throttled", "Fetches that unknown keys asked for and did not get.", labels=["issuer"]
        )
        for each in self._keys:
            name = each.issuer.issuer
            age.add_metric([name], each.age_seconds)
            throttled.add_metric([name], each.throttled)
            for outcome, count in each.refreshes.items():
                refreshes.add_metric([name, outcome], count)
        yield from (age, refreshes, throttled)


class MeasuredRequests:
    """Pure ASGI layer around everything else."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measure(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.observe(scope["path"], message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measure)

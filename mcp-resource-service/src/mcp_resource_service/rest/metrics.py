"""The Prometheus metrics of this service, served on a separate port: docs/metrics.md."""

from collections.abc import Collection, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from security_common.audit.event_index import IndexFeed
from security_common.audit.reading.alerts import RULE_TITLES, Alert
from security_common.service.request_metrics import RequestMetrics
from security_common.tokens.issuer_keys import IssuerKeys

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one application. Each has its own registry, so that two in one process do not share counts."""

    def __init__(self, *, paths: Collection[str]) -> None:
        """`paths` are counted separately and all others as one, because clients choose them."""
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry, prefix="mcp", paths=paths)
        self._alerts = Counter(
            "mcp_security_alerts", "Security alerts raised, by rule.", ["rule"], registry=self.registry
        )
        for rule in RULE_TITLES:
            self._alerts.labels(rule)  # exists from the start, so that the first alert is an increase
        self.keys_usable = Gauge("mcp_issuer_keys_usable", "1 while tokens can be verified.", registry=self.registry)
        self.journal_writable = Gauge("mcp_journal_writable", "1 while events can be recorded.", registry=self.registry)

    def count_alert(self, alert: Alert) -> None:
        """Counts an alert that this process recorded. An alert that continues an earlier one is not counted."""
        if not alert.continues:
            self._alerts.labels(alert.rule).inc()

    def watch_index(self, feed: IndexFeed) -> None:
        """Exports how complete the index of the audit trail is, read at each scrape."""
        gauges = {
            "lag_seconds": (
                "Seconds since the index had every event of the stream; NaN if another process feeds it.",
                lambda: feed.lag_seconds,
            ),
            "events": ("Events in the index of the audit trail.", lambda: feed.coverage.events),
            "missing_events": (
                "Lines between indexed ones that neither the stream nor the journals have.",
                lambda: feed.coverage.missing,
            ),
        }
        for name, (text, read) in gauges.items():
            Gauge(f"mcp_audit_index_{name}", text, registry=self.registry).set_function(read)

    def watch_keys(self, keys: Sequence[IssuerKeys]) -> None:
        """Exports the state of each issuer's keys, read at each scrape."""
        self.registry.register(_KeysCollector(keys))


class _KeysCollector(Collector):
    def __init__(self, keys: Sequence[IssuerKeys]) -> None:
        self._keys = keys

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "mcp_issuer_keys_age_seconds", "Seconds since the issuer last confirmed its keys.", labels=["issuer"]
        )
        refreshes = CounterMetricFamily(
            "mcp_issuer_keys_refreshes", "Fetches of an issuer's keys by outcome.", labels=["issuer", "outcome"]
        )
        throttled = CounterMetricFamily(
            "mcp_issuer_keys_throttled", "Fetches for unknown keys that were throttled.", labels=["issuer"]
        )
        for keys in self._keys:
            issuer = keys.issuer.issuer
            age.add_metric([issuer], keys.age_seconds)
            throttled.add_metric([issuer], keys.throttled)
            for outcome, count in keys.refreshes.items():
                refreshes.add_metric([issuer, outcome], count)
        yield from (age, refreshes, throttled)

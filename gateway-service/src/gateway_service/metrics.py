"""The Prometheus metrics of the gateway. Labels are names from the declaration and codes, never texts of others."""

from collections.abc import Callable, Collection, Iterator, Sequence

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway_service.upstreams import Upstream
from security_common.service.request_metrics import RequestMetrics

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, *, paths: Collection[str]) -> None:
        """`paths` are counted separately and all others as one, because clients choose them."""
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry, prefix="gateway", paths=paths)
        self.keys_usable = Gauge(
            "gateway_issuer_keys_usable", "1 while tokens can be verified.", registry=self.registry
        )
        self.journal_writable = Gauge(
            "gateway_journal_writable", "1 while events can be recorded.", registry=self.registry
        )

    def watch_upstreams(self, upstreams: Sequence[Upstream], is_described: Callable[[str], bool]) -> None:
        """Exports the state of each upstream, read at each scrape."""
        self.registry.register(_UpstreamCollector(upstreams, is_described))


class _UpstreamCollector(Collector):
    def __init__(self, upstreams: Sequence[Upstream], is_described: Callable[[str], bool]) -> None:
        self._upstreams = upstreams
        self._is_described = is_described

    def collect(self) -> Iterator[Metric]:
        listed = GaugeMetricFamily("gateway_upstream_listed", "1 once its tools are known.", labels=["upstream"])
        in_flight = GaugeMetricFamily("gateway_upstream_in_flight", "Calls in progress.", labels=["upstream"])
        is_open = GaugeMetricFamily(
            "gateway_upstream_circuit_open",
            "1 while calls are refused because it does not answer.",
            labels=["upstream"],
        )
        for upstream in self._upstreams:
            listed.add_metric([upstream.name], float(self._is_described(upstream.name)))
            in_flight.add_metric([upstream.name], float(upstream.breaker.in_flight))
            is_open.add_metric([upstream.name], float(upstream.breaker.is_open))
        yield from (listed, in_flight, is_open)

"""The Prometheus metrics of the gateway. Labels are names from the declaration and codes, never texts of others."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway_service.catalogue import Catalogue
from gateway_service.upstreams import Upstream
from security_common.service.request_metrics import RequestMetrics

__all__ = ["MeasuredState", "Metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredState:
    """What the gateway does at present. `is_applied` is whether the last change of the files was applied."""

    declaration_digest: str
    lock_digest: str | None
    is_applied: bool
    catalogue: Catalogue
    upstreams: Sequence[Upstream]


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

    def watch(self, current: Callable[[], MeasuredState]) -> None:
        """Exports the state of the configuration and of each upstream, read at each scrape."""
        self.registry.register(_StateCollector(current))


class _StateCollector(Collector):
    def __init__(self, current: Callable[[], MeasuredState]) -> None:
        self._current = current

    def collect(self) -> Iterator[Metric]:
        state = self._current()
        configuration = GaugeMetricFamily(
            "gateway_configuration_info",
            "1; the labels are the SHA-256 digests of gateway.yaml and gateway.lock.",
            labels=["declaration", "lock"],
        )
        configuration.add_metric([state.declaration_digest, state.lock_digest or ""], 1.0)
        applied = GaugeMetricFamily(
            "gateway_configuration_applied", "1 unless a change of the files could not be applied."
        )
        applied.add_metric([], float(state.is_applied))
        changed = GaugeMetricFamily(
            "gateway_definitions_changed", "Definitions that differ from the approved ones.", labels=["upstream"]
        )
        listed = GaugeMetricFamily("gateway_upstream_listed", "1 once its tools are known.", labels=["upstream"])
        in_flight = GaugeMetricFamily("gateway_upstream_in_flight", "Calls in progress.", labels=["upstream"])
        is_open = GaugeMetricFamily(
            "gateway_upstream_circuit_open",
            "1 while calls are refused because it does not answer.",
            labels=["upstream"],
        )
        for upstream in state.upstreams:
            changed.add_metric([upstream.name], float(len(state.catalogue.changes(upstream.name))))
            listed.add_metric([upstream.name], float(state.catalogue.is_described(upstream.name)))
            in_flight.add_metric([upstream.name], float(upstream.breaker.in_flight))
            is_open.add_metric([upstream.name], float(upstream.breaker.is_open))
        yield from (configuration, applied, changed, listed, in_flight, is_open)

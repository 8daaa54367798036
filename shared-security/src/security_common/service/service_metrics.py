"""The metrics that every service has: its process, its version, its journal and its connection to Redis."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import cast

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from security_common.audit import Journal
from security_common.service.redis_circuit_breaker import CircuitBreakerPool

__all__ = ["watch_service"]


def watch_service(registry: CollectorRegistry, *, prefix: str, service: str, journal: Journal, redis: Redis) -> None:
    """Exports them, read at each scrape. `prefix` is that of the service's metrics; `process_…` has none.

    `service` is the name of the service, whose distribution is `mcp-oauth2-<service>`.
    """
    ProcessCollector(registry=registry)
    registry.register(_ServiceCollector(prefix, version(f"mcp-oauth2-{service}"), journal, redis))


class _ServiceCollector(Collector):
    def __init__(self, prefix: str, release: str, journal: Journal, redis: Redis) -> None:
        self._prefix = prefix
        self._version = release
        self._journal = journal
        self._pool = cast("CircuitBreakerPool", redis.connection_pool)

    def collect(self) -> Iterator[Metric]:
        build = InfoMetricFamily(f"{self._prefix}_build", "The version of the service.")
        build.add_metric([], {"version": self._version})
        yield build
        yield self._gauge(
            "redis_circuit_open", "1 while Redis does not answer and commands are not sent.", self._pool.circuit.is_open
        )
        yield self._gauge(
            "redis_connections_in_use", "Connections on which a command runs.", self._pool.connections_in_use
        )
        yield from self._collect_journal()

    def _collect_journal(self) -> Iterator[Metric]:
        statistics = self._journal.statistics
        events = CounterMetricFamily(
            f"{self._prefix}_audit_events", "Audit events by type and outcome.", labels=["event_type", "outcome"]
        )
        for (event_type, outcome), count in statistics.events.copy().items():
            events.add_metric([event_type, outcome], count)
        yield events
        tool_events = CounterMetricFamily(
            f"{self._prefix}_tool_events",
            "Audit events about a tool, by its name and outcome.",
            labels=["tool", "outcome"],
        )
        for (tool, outcome), count in statistics.tool_events.copy().items():
            tool_events.add_metric([tool, outcome], count)
        yield tool_events
        yield self._gauge(
            "journal_unshipped_events", "Lines of the journal that Redis does not have.", statistics.unshipped_events
        )
        yield self._gauge(
            "journal_shipping_lag_seconds", "Seconds since Redis had every line.", statistics.shipping_lag_seconds
        )
        yield self._gauge(
            "journal_checkpoint_age_seconds", "Seconds since the last checkpoint.", statistics.checkpoint_age_seconds
        )

    def _gauge(self, name: str, documentation: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(f"{self._prefix}_{name}", documentation)
        gauge.add_metric([], float(value))
        return gauge

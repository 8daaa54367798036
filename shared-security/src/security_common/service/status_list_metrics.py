"""The metrics of status lists, which every service that verifies tokens has."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from security_common.tokens.status_checks import StatusChecks

__all__ = ["watch_status_lists"]


def watch_status_lists(registry: CollectorRegistry, statuses: StatusChecks, *, prefix: str) -> None:
    """Exports the age of the lists and the fetches by outcome, read at each scrape. `prefix` is that of the service."""
    registry.register(_StatusListCollector(statuses, prefix))


class _StatusListCollector(Collector):
    def __init__(self, statuses: StatusChecks, prefix: str) -> None:
        self._statuses = statuses
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            f"{self._prefix}_status_list_age_seconds", "Seconds since the issuer last confirmed the oldest list in use."
        )
        age.add_metric([], self._statuses.age_seconds)
        fetches = CounterMetricFamily(
            f"{self._prefix}_status_list_fetches", "Fetches of status lists by outcome.", labels=["outcome"]
        )
        for outcome, count in self._statuses.fetches.items():
            fetches.add_metric([outcome], count)
        yield from (age, fetches)

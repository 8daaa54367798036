"""The metrics of all workers as one exposition: those of each worker with its number in the label `worker`."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

__all__ = ["WorkerCollector"]


class WorkerCollector(Collector):
    """Collects from every worker at each scrape. A counter of a replaced worker begins again, as after a restart."""

    def __init__(
        self,
        collect: Callable[[], Mapping[int, str]],
        *,
        prefix: str,
        count_running: Callable[[], int],
        count_failures: Callable[[], int],
    ) -> None:
        """`collect` returns the exposition of each worker by its number; `prefix` is that of the service's metrics."""
        self._collect = collect
        self._prefix = prefix
        self._count_running = count_running
        self._count_failures = count_failures

    def collect(self) -> Iterable[Metric]:
        running = GaugeMetricFamily(f"{self._prefix}_workers", "Workers that accept connections.")
        running.add_metric([], self._count_running())
        failures = CounterMetricFamily(f"{self._prefix}_worker_failures", "Workers that ended unexpectedly.")
        failures.add_metric([], self._count_failures())
        return [running, failures, *_label_families(self._collect())]


def _label_families(expositions: Mapping[int, str]) -> list[Metric]:
    families: dict[str, Metric] = {}
    for number, exposition in expositions.items():
        for family in text_string_to_metric_families(exposition):
            combined = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                combined.add_sample(sample.name, {"worker": str(number), **sample.labels}, sample.value)
    return list(families.values())

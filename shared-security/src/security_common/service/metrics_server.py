"""The Prometheus metrics of a service, on a separate port."""

from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from security_common.service.listening_socket import PortTaken
from security_common.service.settings import ServiceSettings

__all__ = ["serving_metrics"]


@contextmanager
def serving_metrics(settings: ServiceSettings, registry: CollectorRegistry) -> Generator[None]:
    """Serves the registry while the block runs; does nothing if the port is 0. Raises `PortTaken`."""
    if not settings.metrics_port:
        yield
        return
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry)
    except OSError as failure:
        raise PortTaken.at(settings, settings.metrics_host, settings.metrics_port, "metrics_port") from failure
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

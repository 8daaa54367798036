"""The duration of requests as a Prometheus histogram, measured by pure ASGI middleware."""

import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Histogram

from security_common.edge import Application, Message, Receive, Scope, Send
from security_common.edge.request_context import find_request_context

__all__ = ["LATENCY_BUCKETS_SECONDS", "MeasuredRequests", "RequestMetrics"]

LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RequestMetrics:
    """The histogram `<prefix>_request_duration_seconds` by path and status.

    Only the given paths are label values; every other path is `other`, because clients choose it.
    """

    def __init__(self, registry: CollectorRegistry, *, prefix: str, paths: Collection[str]) -> None:
        self._paths = frozenset(paths)
        self._histogram = Histogram(
            f"{prefix}_request_duration_seconds",
            "Time from the last byte of a request to the first byte of its response.",
            ["path", "status"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        # Looking up a child of the histogram by its labels costs as much as observing a value.
        self._children: dict[tuple[str, int], Histogram] = {}

    def count_separately(self, paths: Collection[str]) -> None:
        """Counts these paths separately from now on."""
        self._paths |= frozenset(paths)

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Counts one request."""
        key = path if path in self._paths else "other", status
        child = self._children.get(key)
        if child is None:
            child = self._histogram.labels(*key)
            self._children[key] = child
        child.observe(seconds)


class MeasuredRequests:
    """ASGI middleware around the edge or guard, so that refused requests are counted too.

    The time starts when the request was complete, if an edge or guard has recorded it, so that a slow client does not
    count.
    """

    def __init__(self, app: Application, *, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_at_seconds = time.perf_counter()

        async def measure(message: Message) -> None:
            if message["type"] == "http.response.start":
                context = find_request_context(scope)
                began_at_seconds = context.received_at_seconds if context is not None else received_at_seconds
                self._metrics.observe(scope["path"], message["status"], time.perf_counter() - began_at_seconds)
            await send(message)

        await self._app(scope, receive, measure)

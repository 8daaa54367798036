"""Prometheus metrics, served on a port of their own. They contain no names of users or clients."""

import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from security_common.edge import request_context

__all__ = ["Metrics", "RequestMetrics"]

_LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One registry per application, so that two applications in a process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "auth_request_duration_seconds",
            "Time from the last byte of the request to the response.",
            ["path", "status"],
            buckets=_LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.tokens_issued = Counter(
            "auth_tokens_issued", "Access tokens issued.", ["grant_type"], registry=self.registry
        )
        self.tokens_refused = Counter(
            "auth_tokens_refused", "Token requests refused.", ["error"], registry=self.registry
        )
        self.signing_key_age_seconds = Gauge(
            "auth_signing_key_age_seconds", "How long the active key has been signing.", registry=self.registry
        )


class RequestMetrics:
    """ASGI middleware behind the edge that observes the requests to `paths` by path and status."""

    def __init__(self, app: ASGIApp, *, durations: Histogram, paths: Collection[str]) -> None:
        self._app = app
        self._durations = durations
        self._paths = paths
        self._observers: dict[tuple[str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, send_and_note_status)
        seconds = time.perf_counter() - request_context(scope).received_at_seconds
        self._observer(scope["path"], status).observe(seconds)

    def _observer(self, path: str, status: int) -> Histogram:
        """Looking up labels takes longer than the observation, so the result is kept."""
        observer = self._observers.get((path, status))
        if observer is None:
            observer = self._durations.labels(path, str(status))
            self._observers[path, status] = observer
        return observer

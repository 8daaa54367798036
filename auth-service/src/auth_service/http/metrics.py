"""Prometheus metrics, on a port of their own: what an operator watches, without any name of a person or client."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One registry per application, so that two applications in a process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "auth_request_duration_seconds",
            "Wall time of a request from its last body byte to its answer.",
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

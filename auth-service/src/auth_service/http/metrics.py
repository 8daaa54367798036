"""Prometheus metrics, served on a port of their own. They contain no names of users or clients."""

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["Metrics"]


class Metrics:
    """One registry per application, so that two applications in a process do not share counts.

    The durations of requests are added by `AuthApplication.add_endpoints`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tokens_issued = Counter(
            "auth_tokens_issued", "Access tokens issued.", ["grant_type"], registry=self.registry
        )
        self.tokens_refused = Counter(
            "auth_tokens_refused", "Token requests refused.", ["error"], registry=self.registry
        )
        self.provider_logouts = Counter(
            "auth_provider_logouts", "Logout tokens of identity providers.", ["outcome"], registry=self.registry
        )
        self.workload_tokens = Counter(
            "auth_workload_tokens", "Tokens of workloads.", ["issuer", "outcome"], registry=self.registry
        )
        self.id_jags = Counter(
            "auth_id_jags",
            "Assertions of identity providers (ID-JAG).",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self.statuses_revoked = Counter(
            "auth_statuses_revoked",
            "Authorizations and clients whose access tokens were revoked by this process.",
            registry=self.registry,
        )
        self.signing_key_age_seconds = Gauge(
            "auth_signing_key_age_seconds", "How long the active key has been signing.", registry=self.registry
        )

"""The checks behind /readyz. An upstream that does not answer is shown, and does not make the gateway unready."""

from collections.abc import Sequence

from gateway_service.catalogue import Catalogue, CatalogueRefresh
from gateway_service.upstreams import Upstream
from security_common.audit import Journal
from security_common.service import RedisIdentity, RedisMonitor
from security_common.service.health import Readiness, ReadinessCheck, ReadinessResult
from security_common.tokens import TokenVerifier

__all__ = ["make_readiness"]


def make_readiness(
    *,
    verifier: TokenVerifier,
    journal: Journal,
    redis: RedisMonitor,
    identity: RedisIdentity,
    catalogue: Catalogue,
    refresh: CatalogueRefresh,
    upstreams: Sequence[Upstream],
) -> Readiness:
    """Returns the checks by name; those of the upstreams are `upstream:<name>`."""

    def check_keys() -> ReadinessResult:
        note = verifier.problem or ("" if verifier.ready else "no keys of the issuer yet")
        return ReadinessResult(verifier.ready, note=note)

    def check_journal() -> ReadinessResult:
        writable = journal.writable
        return ReadinessResult(writable, note="" if writable else "the audit journal cannot be written: check its disk")

    async def check_redis() -> ReadinessResult:
        # Not required: without Redis, only calls under the policy tokenize fail.
        health = await redis.health()
        note = "; ".join(health.notes) if health.answers else "does not answer: calls with placeholders fail"
        return ReadinessResult(ok=health.answers, required=False, note=note)

    def check_redis_identity() -> ReadinessResult:
        problem = identity.problem
        return ReadinessResult(problem is None, note=f"{problem.description}; {problem.hint}" if problem else "")

    def check_upstream(upstream: Upstream) -> ReadinessCheck:
        def check() -> ReadinessResult:
            problem = refresh.problems.get(upstream.name)
            has_answered = upstream.name in refresh.reached and problem is None
            changes = len(catalogue.changes(upstream.name))
            note = f"{changes} definitions differ from the approved ones" if changes else ""
            if not has_answered:
                note = problem.description if problem else "not reached yet"
            return ReadinessResult(has_answered, required=False, note=note)

        return check

    return Readiness(
        {
            "keys": check_keys,
            "journal": check_journal,
            "redis": check_redis,
            "redis_identity": check_redis_identity,
            **{f"upstream:{upstream.name}": check_upstream(upstream) for upstream in upstreams},
        }
    )

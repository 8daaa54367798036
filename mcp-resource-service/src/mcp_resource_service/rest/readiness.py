"""The checks behind /readyz and the tool get_server_status."""

from security_common.audit import Journal
from security_common.service import RedisIdentity, RedisMonitor
from security_common.service.health import Readiness, ReadinessResult
from security_common.tokens import TokenVerifier

__all__ = ["make_readiness"]


def make_readiness(
    *, verifier: TokenVerifier, issuer: str, journal: Journal, redis: RedisMonitor, identity: RedisIdentity
) -> Readiness:
    """Returns the checks by name.

    Only the keys of the service's own `issuer` are required. Otherwise a trusted issuer that does not answer while the
    service starts would make the service unavailable for the callers of all issuers.
    """

    def check_keys() -> ReadinessResult:
        ready = verifier.has_keys_of(issuer)
        return ReadinessResult(ready, note=verifier.problem or ("" if ready else "no keys of the issuer yet"))

    def check_journal() -> ReadinessResult:
        writable = journal.writable
        return ReadinessResult(writable, note="" if writable else "the audit journal cannot be written: check its disk")

    async def check_redis() -> ReadinessResult:
        # Not required: tokens are verified and /hello is served without Redis.
        health = await redis.health()
        if not health.answers:
            return ReadinessResult(
                ok=False, required=False, note="does not answer: tools that store or read data answer 503"
            )
        return ReadinessResult(ok=True, required=False, note="; ".join(health.notes))

    def check_redis_identity() -> ReadinessResult:
        # Required, because data that is written to a wrong Redis is lost when the right one is restored.
        problem = identity.problem
        return ReadinessResult(problem is None, note=f"{problem.description}; {problem.hint}" if problem else "")

    return Readiness(
        {"keys": check_keys, "journal": check_journal, "redis": check_redis, "redis_identity": check_redis_identity}
    )

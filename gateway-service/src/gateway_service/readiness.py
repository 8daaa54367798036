"""The checks behind /readyz. An upstream that does not answer is shown, and does not make the gateway unready."""

from collections.abc import Callable, Mapping
from functools import partial

from gateway_service.generation import Generation
from gateway_service.upstreams import Upstream
from security_common.audit import Journal
from security_common.errors import SecurityError
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
    current: Callable[[], Generation],
    reload_problem: Callable[[], SecurityError | None],
) -> Readiness:
    """Returns the checks by name; those of the upstreams are `upstream:<name>`. `current` may change at any time."""

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

    return Readiness(
        {
            "keys": check_keys,
            "journal": check_journal,
            "redis": check_redis,
            "redis_identity": check_redis_identity,
            "configuration": partial(_check_configuration, current, reload_problem),
        },
        further=partial(_upstream_checks, current),
    )


def _check_configuration(
    current: Callable[[], Generation], reload_problem: Callable[[], SecurityError | None]
) -> ReadinessResult:
    problem, generation = reload_problem(), current()
    if problem is not None:
        note = f"a change of the files was not applied: {problem.description}; {problem.hint}"
        return ReadinessResult(ok=False, required=False, note=note)
    lock = generation.lock_digest or "none, nothing is pinned"
    return ReadinessResult(ok=True, note=f"gateway.yaml {generation.declaration.digest}; gateway.lock {lock}")


def _upstream_checks(current: Callable[[], Generation]) -> Mapping[str, ReadinessCheck]:
    generation = current()
    return {f"upstream:{each.name}": partial(_check_upstream, generation, each) for each in generation.upstreams}


def _check_upstream(generation: Generation, upstream: Upstream) -> ReadinessResult:
    problem = generation.refresh.problems.get(upstream.name)
    has_answered = upstream.name in generation.refresh.reached and problem is None
    changes = len(generation.catalogue.changes(upstream.name))
    note = f"{changes} definitions differ from the approved ones" if changes else ""
    if not has_answered:
        note = problem.description if problem else "not reached yet"
    return ReadinessResult(has_answered, required=False, note=note)

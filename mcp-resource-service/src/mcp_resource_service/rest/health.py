"""Whether this process can do its work, for load balancers, people and the status tool."""

from dataclasses import dataclass

from security_common.audit import Journal
from security_common.service import RedisIdentity, RedisMonitor
from security_common.tokens import TokenVerifier

__all__ = ["Check", "Health"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `required` ones decide on readiness; `note` says what to do when it is not `ok`."""

    ok: bool
    required: bool
    note: str = ""


class Health:
    """What readiness depends on. A Redis that is away does not: tokens are judged and `/hello` answers without it.

    Of the issuers only the service's own, `issuer`, counts. Otherwise a trusted issuer that does not answer while the
    service starts would keep out the callers of all issuers.
    """

    def __init__(
        self, *, keys: TokenVerifier, issuer: str, record: Journal, redis: RedisMonitor, identity: RedisIdentity
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._record = record
        self._redis = redis
        self._identity = identity
        self._draining = False

    def start_draining(self) -> None:
        """From now on not ready, while requests are still answered: load balancers look away."""
        self._draining = True

    async def checks(self) -> dict[str, Check]:
        """Every check by name."""
        return {
            "process": Check(not self._draining, required=True, note="stopping" if self._draining else ""),
            "keys": self._check_keys(),
            "journal": Check(
                self._record.writable,
                required=True,
                note="" if self._record.writable else "the audit journal cannot be written: look at its disk",
            ),
            "redis": await self._check_redis(),
            "redis_identity": self._check_identity(),
        }

    def _check_keys(self) -> Check:
        ready = self._keys.has_keys_of(self._issuer)
        return Check(ready, required=True, note=self._keys.problem or ("" if ready else "no keys of the issuer yet"))

    def _check_identity(self) -> Check:
        replaced = self._identity.problem
        note = f"{replaced.description}; {replaced.hint}" if replaced else ""
        # Required: what is written to the wrong Redis is lost when the right one comes back.
        return Check(replaced is None, required=True, note=note)

    async def _check_redis(self) -> Check:
        health = await self._redis.health()
        if not health.answers:
            return Check(ok=False, required=False, note="does not answer: storing and reading tools say 503")
        return Check(ok=True, required=False, note="; ".join(health.notes))

"""Checks users in the background, so that a user who is gone at the provider loses access without using it.

Redis: `auth:recheck`, a sorted set with the time of the next check of each identity. Checks are spread by a random part
of the interval, and each replica makes a bounded number of them at a time. Users without live refresh tokens are left
out until their next sign-in.
"""

import asyncio
import random
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.accounts.identities import Identities, Identity
from auth_service.errors import OAuthError
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.rechecks import Rechecks, interval_seconds
from auth_service.protocol import Clock
from auth_service.tokens.refresh_tokens import RefreshTokens
from security_common.audit import JournalUnavailable
from security_common.task_cancellation import cancel_tasks

__all__ = ["RecheckSchedule", "RecheckWorker"]

_DUE = "auth:recheck"
_PAUSE_SECONDS = 5.0
_CHECKS_AT_A_TIME = 10
_RETRY_SECONDS = 60.0
# A check takes place at a random moment of the last fifth of its interval.
_SPREAD = 0.2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecheckSchedule:
    """When each identity is due. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    redis: Redis
    clock: Clock

    async def plan(self, identity: Identity, interval: float) -> None:
        """The next check of this identity, `interval` seconds after the last one at the latest."""
        share = 1 - random.random() * _SPREAD  # noqa: S311 - only spreads the load
        due_at = max(self.clock() + 1, identity.checked_at_seconds + interval * share)
        await self.redis.zadd(_DUE, {identity.key: due_at})

    async def postpone(self, key: str) -> None:
        """After a failure."""
        await self.redis.zadd(_DUE, {key: self.clock() + _RETRY_SECONDS * (1 + random.random())})  # noqa: S311

    async def forget(self, key: str) -> None:
        await self.redis.zrem(_DUE, key)

    async def due(self) -> list[str]:
        """The keys of the identities that are due, the oldest first."""
        found = await self.redis.zrangebyscore(_DUE, 0, self.clock(), start=0, num=_CHECKS_AT_A_TIME)
        return [str(key) for key in found]


@dataclass(slots=True, kw_only=True)
class RecheckWorker:
    """The background task of one process."""

    schedule: RecheckSchedule
    rechecks: Rechecks
    identities: Identities
    connections: ProviderConnections
    refresh_tokens: RefreshTokens
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="rechecks")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_tasks(self._task)

    async def check_due(self) -> None:
        """Checks the users who are due, one after the other."""
        for key in await self.schedule.due():
            try:
                await self._check(key)
            except (OAuthError, JournalUnavailable) as failure:
                log.warning("recheck_postponed", cause=type(failure).__name__)
                await self.schedule.postpone(key)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * (0.5 + random.random()))  # noqa: S311 - only spreads the load
            try:
                await self.check_due()
            except RedisError as failure:
                log.warning("rechecks_interrupted", cause=type(failure).__name__)
            except Exception:
                log.exception("rechecks_failed")

    async def _check(self, key: str) -> None:
        identity = await self.identities.load(key)
        connection = self.connections.find(identity.provider) if identity is not None else None
        if identity is None or connection is None or identity.must_sign_in or identity.is_deleted:
            await self.schedule.forget(key)
            return
        if not await self.refresh_tokens.has_live_families(identity.account):
            await self.schedule.forget(key)
            return
        checked = await self.rechecks.check(identity, connection, None, early=_SPREAD)
        if checked.must_sign_in:
            await self.schedule.forget(key)
        elif checked.checked_at_seconds == identity.checked_at_seconds:
            await self.schedule.postpone(key)
        else:
            await self.schedule.plan(checked, interval_seconds(checked, connection))

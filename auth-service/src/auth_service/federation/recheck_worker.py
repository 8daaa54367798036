"""Checks users in the background, so that a user who is gone at the provider loses access without using it.

Each replica makes a bounded number of checks at a time. Users without live refresh tokens are left out until a client
gets one for them: the sessions of their browsers are checked when they are used.
"""

import asyncio
from dataclasses import dataclass, field
from random import SystemRandom

import structlog
from redis.exceptions import RedisError

from auth_service.accounts.identities import Identities
from auth_service.errors import OAuthError
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.recheck_schedule import SPREAD, RecheckSchedule
from auth_service.federation.rechecks import Rechecks, interval_seconds
from auth_service.tokens.refresh_tokens import RefreshTokens
from security_common.audit import JournalUnavailable
from security_common.task_cancellation import cancel_tasks

__all__ = ["RecheckWorker"]

_PAUSE_SECONDS = 5.0

_RANDOM = SystemRandom()  # unlike the module's functions, it has no state that all threads of the process share

log = structlog.get_logger(__name__)


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
        """Checks the users who are due, one after the other. A failure of one does not stop the others."""
        for key in await self.schedule.due():
            try:
                await self._check(key)
            except (OAuthError, JournalUnavailable) as failure:
                log.warning("recheck_postponed", cause=type(failure).__name__)
                await self.schedule.postpone(key)
            except RedisError:
                raise
            except Exception:
                log.exception("recheck_failed")
                await self.schedule.postpone(key)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * (0.5 + _RANDOM.random()))
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
        checked = await self.rechecks.check(identity, connection, None, early=SPREAD)
        if checked.must_sign_in:
            await self.schedule.forget(key)
        elif checked.checked_at_seconds == identity.checked_at_seconds:
            await self.schedule.postpone(key)
        else:
            await self.schedule.plan(checked, interval_seconds(checked, connection))

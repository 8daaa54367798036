"""Checks users in the background, so that a user who is gone at the provider loses access without using it.

Each replica makes at most 50 checks at each provider in about five seconds, five at a time. Users without live refresh
tokens are left out until a client gets one for them: the sessions of their browsers are checked when they are used.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from random import SystemRandom

import structlog
from redis.exceptions import RedisError

from auth_service.accounts.identities import Identities
from auth_service.errors import OAuthError
from auth_service.federation.provider_connection import ProviderConnection
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.recheck_schedule import SPREAD, RecheckSchedule
from auth_service.federation.rechecks import Rechecks, interval_seconds
from auth_service.tokens.refresh_tokens import RefreshTokens
from security_common.audit import JournalUnavailable
from security_common.task_cancellation import cancel_tasks

__all__ = ["RecheckWorker"]

_PAUSE_SECONDS = 5.0
_CHECKS_AT_A_TIME = 5  # at each provider

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
        """Checks the users who are due: those of each provider beside those of the others.

        So a provider that does not answer delays only its own users. A failure of one check does not stop the others.
        """
        answering = [connection for connection in self.connections if not connection.is_paused]
        await asyncio.gather(*(self._check_at(connection) for connection in answering))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * (0.5 + _RANDOM.random()))
            try:
                await self.check_due()
            except Exception:
                log.exception("rechecks_failed")

    async def _check_at(self, connection: ProviderConnection) -> None:
        provider, places = connection.provider.id, asyncio.Semaphore(_CHECKS_AT_A_TIME)

        async def check(key: str) -> None:
            async with places:
                await self._try_to_check(key, connection)

        try:
            keys = await self.schedule.claim(provider)
        except RedisError as failure:
            log.warning("rechecks_interrupted", cause=type(failure).__name__)
            return
        await asyncio.gather(*(check(key) for key in keys))

    async def _try_to_check(self, key: str, connection: ProviderConnection) -> None:
        """Checks one user, or postpones it. If Redis does not answer, the user is due again when the claim ends."""
        provider = connection.provider.id
        try:
            if not connection.is_paused and await self._check(key, connection):
                return
        except (OAuthError, JournalUnavailable, RedisError) as failure:
            log.warning("recheck_postponed", cause=type(failure).__name__)
        except Exception:
            log.exception("recheck_failed")
        with suppress(RedisError):
            await self.schedule.postpone(provider, key)

    async def _check(self, key: str, connection: ProviderConnection) -> bool:
        """False if the provider gave no answer. Users without access that could end are not checked any more."""
        provider = connection.provider.id
        identity = await self.identities.load(key)
        if identity is None or identity.provider != provider or identity.must_sign_in or identity.is_deleted:
            await self.schedule.forget(provider, key)
            return True
        if not await self.refresh_tokens.has_live_families(identity.account):
            await self.schedule.forget(provider, key)
            return True
        checked = await self.rechecks.check(identity, connection, None, early=SPREAD)
        if checked.must_sign_in:
            await self.schedule.forget(provider, key)
            return True
        if checked.checked_at_seconds == identity.checked_at_seconds:
            return False
        await self.schedule.plan(checked, interval_seconds(checked, connection))
        return True

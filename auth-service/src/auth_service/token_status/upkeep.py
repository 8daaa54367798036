"""The background task of the status lists.

Every two seconds it reads the indices of clients that other replicas have changed. If `auth:{status}:epoch` is another
one, or fewer bits were set than before, Redis has lost data: then the journals are replayed, and further indices are
taken from new lists, because those of the old ones may be assigned already.
"""

import asyncio
import secrets
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.protocol import Clock
from auth_service.token_status.client_statuses import ClientStatuses
from auth_service.token_status.replay import RevocationReplay
from auth_service.token_status.revocations import CHANGES_KEY
from auth_service.token_status.status_indices import KEY_PREFIX, ListKind, StatusIndices
from security_common.service import RedisIdentity, StateMismatch
from security_common.task_cancellation import cancel_tasks

__all__ = ["StatusUpkeep"]

_EPOCH_KEY = f"{KEY_PREFIX}epoch"
_SINCE_KEY = f"{KEY_PREFIX}since"
# During a rolling upgrade, replicas of the release before go on issuing tokens without a status for this long.
_ROLLING_UPGRADE_SECONDS = 3600
_INTERVAL_SECONDS = 2.0

log = structlog.get_logger(__name__)


class StatusUpkeep:
    """`client_ids` are the declared clients that act for themselves: they have an index from the start."""

    def __init__(
        self,
        redis: Redis,
        *,
        clock: Clock,
        identity: RedisIdentity,
        indices: StatusIndices,
        clients: ClientStatuses,
        replay: RevocationReplay,
        client_ids: Sequence[str],
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._identity = identity
        self._indices = indices
        self._clients = clients
        self._replay = replay
        self._client_ids = client_ids
        self._epoch = ""
        self._since: int | None = None
        self._changes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def since_seconds(self) -> int | None:
        """From when on every access token has a status, for the metadata; None before Redis has answered."""
        return self._since

    async def start(self) -> None:
        """Replays what Redis has lost, and starts the task. Without Redis the task does it later."""
        await self._try_refresh()
        self._task = asyncio.create_task(self._run(), name="status-lists")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_tasks(self._task)

    async def refresh(self) -> None:
        """One round. Raises `RedisError`, `OSError`, and `StateMismatch` while Redis is another one than before."""
        epoch, changes = await self._redis.mget(_EPOCH_KEY, CHANGES_KEY)
        if epoch is None or epoch != self._epoch or int(changes or 0) < self._changes:
            await self._identity.check()
            await self._restore()
            await self._redis.set(_EPOCH_KEY, secrets.token_hex(8), nx=True)
            epoch, changes = await self._redis.mget(_EPOCH_KEY, CHANGES_KEY)
        self._epoch, self._changes = str(epoch), int(changes or 0)
        if self._since is None:
            await self._redis.set(_SINCE_KEY, int(self._clock()) + _ROLLING_UPGRADE_SECONDS, nx=True)
            self._since = int(await self._redis.get(_SINCE_KEY) or 0) or None
        await self._clients.refresh()
        await self._clients.assign_missing(self._client_ids)
        await self._replay.mark()

    async def _restore(self) -> None:
        restored = await self._replay.run()
        if restored:
            await self._indices.begin_new_lists(*ListKind)
            await self._clients.drop_revoked()
            log.warning("revocations_restored", count=restored, cause="Redis had lost them")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._try_refresh()

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except (RedisError, OSError, StateMismatch) as error:
            log.debug("status_lists_not_refreshed", cause=type(error).__name__)

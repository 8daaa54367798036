"""The index of each client that gets tokens for itself: one for all its tokens, until one of them is revoked.

`auth:{status}:clients` is a hash with the present index of each client. Each replica has a copy in memory, so that a
token costs no access to Redis. After a revocation the next tokens of the client have a new index; for the time between
two refreshes another replica may still issue tokens with the revoked one, and the client then has to get another token.
"""

from collections.abc import Iterable

from redis.asyncio import Redis

from auth_service.token_status.revocations import StatusRevocations
from auth_service.token_status.status_indices import KEY_PREFIX, ListKind, StatusIndices, StatusReference

__all__ = ["ClientStatuses", "end_present_status"]

_CLIENTS = f"{KEY_PREFIX}clients"


async def end_present_status(redis: Redis, client_id: str, revocations: StatusRevocations) -> bool:
    """Revokes the tokens that a deleted client got for itself; False if there were none.

    Raises `RedisError` and `JournalUnavailable`.
    """
    status = StatusReference.parse(str(await redis.hget(_CLIENTS, client_id)))
    if status is None:
        return False
    await revocations.revoke(status, client_id=client_id)
    await redis.hdel(_CLIENTS, client_id)
    return True


class ClientStatuses:
    """Finds, assigns and ends the indices of clients. Raises `RedisError`, except where noted."""

    def __init__(self, redis: Redis, *, indices: StatusIndices, revocations: StatusRevocations) -> None:
        self._redis = redis
        self._indices = indices
        self._revocations = revocations
        self._known: dict[str, StatusReference] = {}

    async def status_of(self, client_id: str) -> StatusReference:
        """The index for the next token. Uses Redis only for the first token of a client, and after a revocation."""
        known = self._known.get(client_id)
        return known if known is not None else await self._assign(client_id)

    async def end(self, client_id: str, status: StatusReference) -> None:
        """Revokes the index, and every token with it. Raises also `JournalUnavailable`."""
        await self._revocations.revoke(status, client_id=client_id)
        if await self._redis.hget(_CLIENTS, client_id) == str(status):
            await self._redis.hdel(_CLIENTS, client_id)
        if self._known.get(client_id) == status:
            del self._known[client_id]

    async def refresh(self) -> None:
        """Reads the indices that other replicas have assigned or ended."""
        stored = await self._redis.hgetall(_CLIENTS)
        parsed = {str(client_id): StatusReference.parse(str(text)) for client_id, text in stored.items()}
        self._known = {client_id: status for client_id, status in parsed.items() if status is not None}

    async def assign_missing(self, client_ids: Iterable[str]) -> None:
        """Assigns an index to each of these clients that has none, so that their tokens do not wait for Redis."""
        for client_id in client_ids:
            if client_id not in self._known:
                await self._assign(client_id)

    async def drop_revoked(self) -> None:
        """Removes indices that are revoked, after revocations were restored."""
        await self.refresh()
        for client_id, status in list(self._known.items()):
            if await self._revocations.is_revoked(status):
                await self._redis.hdel(_CLIENTS, client_id)
                del self._known[client_id]

    async def _assign(self, client_id: str) -> StatusReference:
        stored = StatusReference.parse(str(await self._redis.hget(_CLIENTS, client_id)))
        if stored is None:
            proposed = await self._indices.assign(ListKind.CLIENTS)
            await self._redis.hsetnx(_CLIENTS, client_id, str(proposed))  # another replica may have been first
            stored = StatusReference.parse(str(await self._redis.hget(_CLIENTS, client_id))) or proposed
        self._known[client_id] = stored
        return stored

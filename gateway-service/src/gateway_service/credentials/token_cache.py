"""The tokens for one upstream: kept until shortly before they expire, and requested once for all who wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from sys import getsizeof
from typing import Generic, TypeVar

from gateway_service.credentials.token_client import IssuedToken
from security_common.bounded_cache import BoundedCache
from security_common.task_cancellation import cancel_tasks

__all__ = ["TokenCache"]

Key = TypeVar("Key", bound=Hashable)

EARLY_SECONDS = 60.0
"""How long before its expiry a token is replaced; at most half of its lifetime."""

RENEWAL_PAUSE_SECONDS = 30.0
"""How long a token is kept after the one before was refused, although it may be refused as well."""

MAX_TOKENS = 10_000
MAX_BYTES = 16 * 1024 * 1024
# Memory that an entry takes in addition to its token: the key with its texts.
_ENTRY_BYTES = 1000


class TokenCache(Generic[Key]):
    """Maps keys to tokens, in memory only. Requests are limited by the calls of the upstream that are in progress."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = BoundedCache[Key, str](clock=clock, max_entries=MAX_TOKENS, max_bytes=MAX_BYTES)
        self._removed = BoundedCache[Key, bool](clock=clock, max_entries=MAX_TOKENS, max_bytes=MAX_BYTES)
        self._requests: dict[Key, asyncio.Task[str]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    async def get(self, key: Key, request: Callable[[], Awaitable[IssuedToken]]) -> str:
        """The token. If there is none, `request` gets one, once for all who wait for it. Raises what `request` raises.

        A caller that is cancelled does not end the request, for which others may be waiting.
        """
        known = self._tokens.get(key)
        if known is not None:
            return known
        requesting = self._requests.get(key)
        if requesting is None:
            requesting = asyncio.create_task(self._request(key, request), name="request-token")
            self._requests[key] = requesting
            requesting.add_done_callback(partial(self._end_request, key))
        return await asyncio.shield(requesting)

    def discard(self, key: Key, token: str) -> bool:
        """Removes a token that was refused, unless another one has replaced it by now.

        False if a token was removed a moment ago: an upstream that refuses each one would cause a request per call.
        """
        if self._tokens.get(key) != token:
            return True
        if self._removed.get(key) is not None:
            return False
        self._tokens.discard(key)
        self._removed.put(key, True, size_bytes=_ENTRY_BYTES, lifetime_seconds=RENEWAL_PAUSE_SECONDS)
        return True

    async def close(self) -> None:
        """Ends the requests that are in progress."""
        await cancel_tasks(*self._requests.values())

    def _end_request(self, key: Key, requesting: asyncio.Task[str]) -> None:
        self._requests.pop(key, None)
        if not requesting.cancelled():
            # If all callers are gone, nothing else reads the exception, and the event loop would report it.
            requesting.exception()

    async def _request(self, key: Key, request: Callable[[], Awaitable[IssuedToken]]) -> str:
        issued = await request()
        usable_seconds = issued.lifetime_seconds - min(EARLY_SECONDS, issued.lifetime_seconds / 2)
        size_bytes = getsizeof(issued.token) + _ENTRY_BYTES
        self._tokens.put(key, issued.token, size_bytes=size_bytes, lifetime_seconds=usable_seconds)
        return issued.token

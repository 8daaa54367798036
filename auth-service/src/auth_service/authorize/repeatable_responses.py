"""Returns the same response to a form that a browser sends twice: browsers show only the second response.

The first of several equal POST requests does the work; the others wait for its response and get the same one. Without
this, a double click on Allow would issue a second code, or show an error instead of the redirect of the first click.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import TypeAdapter
from redis.asyncio import Redis
from starlette.responses import Response

from auth_service.errors import TemporarilyUnavailable
from auth_service.http.error_handling import HANDLER_TIMEOUT_SECONDS
from auth_service.http.responses import Header, add_headers
from auth_service.web.browser_keys import BrowserKeys

__all__ = ["REPEATABLE_SECONDS", "RepeatableResponses"]

REPEATABLE_SECONDS = 30

# A claim outlives every handler, so that two never work at the same time. It expires if the process dies.
_CLAIM_SECONDS = int(HANDLER_TIMEOUT_SECONDS) + 5
_CLAIMED = "claimed"
_WAIT_SECONDS = 10
_POLL_SECONDS = 0.05
_RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRedirect:
    """A redirect as it is stored."""

    status: int
    headers: tuple[Header, ...]


_REDIRECT_ADAPTER = TypeAdapter(StoredRedirect)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableResponses:
    """Stores redirects for `REPEATABLE_SECONDS`, encrypted for the browser that caused them.

    Keys: `auth:page-response:{<interaction id>}:<purpose>`. Raises `RedisError` if Redis is not available.
    """

    redis: Redis
    browser_keys: BrowserKeys

    async def respond_once(
        self, interaction_id: str, purpose: str, secret: str, make: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The stored redirect, or the response of `make`, which runs in one request at a time.

        `secret` is the browser's cookie. Only redirects are stored, not pages: after a wrong password the same form may
        be sent again. If `make` raises an exception, nothing is stored and the next POST request tries again. Raises
        `TemporarilyUnavailable` if the other request takes too long.
        """
        key = f"auth:page-response:{{{interaction_id}}}:{purpose}"
        encryption = self.browser_keys.encryption_for(secret, key)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                stored = await self._claim_or_wait(key)
        except TimeoutError as error:
            raise TemporarilyUnavailable(
                "the same form is still being processed", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from error
        if stored is not None:
            return _load(encryption.decrypt(stored.encode()))
        try:
            response = await make()
        except BaseException:
            await self.redis.delete(key)
            raise
        if response.status_code == 303:
            await self.redis.set(key, encryption.encrypt(_dump(response)), ex=REPEATABLE_SECONDS)
        else:
            await self.redis.delete(key)
        return response

    async def _claim_or_wait(self, key: str) -> str | None:
        """None if this request has to do the work, else the stored response of the one that did it."""
        while True:
            claimed = await self.redis.set(key, _CLAIMED, nx=True, ex=_CLAIM_SECONDS)
            if claimed:
                return None
            value = await self.redis.get(key)
            if value not in {None, _CLAIMED}:
                return str(value)
            await asyncio.sleep(_POLL_SECONDS)


def _dump(response: Response) -> bytes:
    headers = tuple(header for header in response.headers.items() if header[0] != "content-length")
    return _REDIRECT_ADAPTER.dump_json(StoredRedirect(status=response.status_code, headers=headers))


def _load(document: bytes) -> Response:
    stored = _REDIRECT_ADAPTER.validate_json(document)
    return add_headers(Response(status_code=stored.status), stored.headers)

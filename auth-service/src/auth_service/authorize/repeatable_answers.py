"""Browsers send a form twice and show only the second answer: it must be the same as the first.

The first of several equal POSTs does the work; the others wait for its answer and get it too. Without this, a double
click on Allow would issue a second code, or show an error in place of the redirect that the first click caused.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.errors import TemporarilyUnavailable
from auth_service.http.messages import Answer
from auth_service.http.routing import HANDLER_TIMEOUT_SECONDS
from auth_service.web.form_keys import FormKeys

__all__ = ["REPEATABLE_SECONDS", "RepeatableAnswers"]

REPEATABLE_SECONDS = 30

# A claim outlives every handler, so that two never work at the same time; it ends by itself if the process dies.
_CLAIM_SECONDS = int(HANDLER_TIMEOUT_SECONDS) + 5
_CLAIMED = "claimed"
_WAIT_SECONDS = 10
_POLL_SECONDS = 0.05
_RETRY_AFTER_SECONDS = 2

_DOCUMENT = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableAnswers:
    """Keeps redirects for `REPEATABLE_SECONDS`, encrypted for the browser that caused them.

    Keys: `auth:page-answer:{<interaction id>}:<purpose>`. Raises `RedisError` when Redis is away.
    """

    redis: Redis
    form_keys: FormKeys

    async def answer_once(
        self, interaction_id: str, purpose: str, secret: str, make: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The kept answer, or that of `make`, which runs in one request at a time; `secret` is the browser's cookie.

        Pages are not kept, only redirects: after a wrong password the same form may be sent again. When `make` raises,
        nothing is kept and the next POST tries again. Raises `TemporarilyUnavailable` when another one takes too long.
        """
        key = f"auth:page-answer:{{{interaction_id}}}:{purpose}"
        seal = self.form_keys.seal(secret, key)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                kept = await self._claim_or_wait(key)
        except TimeoutError as error:
            raise TemporarilyUnavailable(
                "the same form is still being answered", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from error
        if kept is not None:
            return _DOCUMENT.validate_json(seal.decrypt(kept.encode()))
        try:
            answer = await make()
        except BaseException:
            await self.redis.delete(key)
            raise
        if answer.status == 303:
            await self.redis.set(key, seal.encrypt(_DOCUMENT.dump_json(answer)), ex=REPEATABLE_SECONDS)
        else:
            await self.redis.delete(key)
        return answer

    async def _claim_or_wait(self, key: str) -> str | None:
        """None when the work is ours to do, else the answer of whoever did it."""
        while not await self.redis.set(key, _CLAIMED, nx=True, ex=_CLAIM_SECONDS):
            found = await self.redis.get(key)
            if found not in {None, _CLAIMED}:
                return str(found)
            await asyncio.sleep(_POLL_SECONDS)
        return None

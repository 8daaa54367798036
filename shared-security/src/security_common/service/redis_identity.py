"""Whether this Redis is the one that was used before.

A Redis that comes back empty, or another one behind the same address, has lost clients, records and signing keys. So a
random id is written to Redis when a service first uses it, and is remembered on the service's own disk:

    SPACE:redis_identity            the id, written once (SET NX)
    SPACE:redis_identity:accepted   ids of earlier Redis servers that an operator replaced by this one
    <audit folder>/<service>/redis_identity   the id this service remembers

A first start, and a start after an upgrade, remember nothing and take what is there. Replicas share the id in Redis and
remember it each. `redis accept` is given once, on any replica: the others learn from Redis that theirs was replaced.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import ClassVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.private_files import write_new

__all__ = ["RedisIdentity", "RedisReplaced"]

_LOOK_SECONDS = 2.0

logger = logging.getLogger(__name__)


class RedisReplaced(SecurityError):
    """Redis is empty, or another one than the service used before."""

    error: ClassVar[str] = "redis_replaced"


class RedisIdentity:
    """Compares the id in Redis with the remembered one. `problem` is what the last comparison found."""

    def __init__(
        self,
        redis: Redis,
        *,
        space: str,
        memory: Path,
        accept_command: str,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`space` is the prefix of the service's keys, `memory` the file that remembers the id.

        `redis` decodes its answers. `accept_command` is named in the hint.
        """
        self._redis = redis
        self._key = f"{space}:redis_identity"
        self._accepted_key = f"{self._key}:accepted"
        self._memory = memory
        self._accept_command = accept_command
        self._new_id = new_id
        self.problem: RedisReplaced | None = None

    async def check(self) -> None:
        """Raises `RedisReplaced` when this is another Redis, `RedisError` or `OSError` when that cannot be told."""
        remembered, stored = self._recall(), await self._stored()
        if remembered is None:
            self._remember(stored or await self._introduce())
        elif stored is not None and stored != remembered and await self._replaces(remembered):
            self._remember(stored)
        elif stored != remembered:
            self._note(self._replaced(is_empty=stored is None))
            raise cast("RedisReplaced", self.problem)
        self._note(None)

    async def examine(self) -> RedisReplaced | None:
        """As `check`, for a doctor: changes and logs nothing, and returns what is wrong. Raises `RedisError`."""
        remembered, stored = self._recall(), await self._stored()
        if remembered is None or stored == remembered:
            return None
        if stored is not None and await self._replaces(remembered):
            return None
        return self._replaced(is_empty=stored is None)

    async def accept(self) -> bool:
        """Takes this Redis for the right one, for every replica; False when it was already. Raises `RedisError`."""
        remembered = self._recall()
        stored = await self._stored() or await self._introduce()
        if remembered is not None and remembered != stored:
            await self._redis.sadd(self._accepted_key, remembered)
        self._remember(stored)
        return remembered != stored

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Checks now, and every two seconds while the block runs."""
        await self._look()
        task = asyncio.create_task(self._watch(), name="redis-identity")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        with contextlib.suppress(RedisReplaced, RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self.check()

    async def _stored(self) -> str | None:
        return cast("str | None", await self._redis.get(self._key))

    async def _introduce(self) -> str:
        """Writes an id, unless another replica was quicker; returns the one that is there."""
        await self._redis.set(self._key, self._new_id(), nx=True)
        return await self._stored() or ""

    async def _replaces(self, remembered: str) -> bool:
        return bool(await self._redis.sismember(self._accepted_key, remembered))

    def _replaced(self, *, is_empty: bool) -> RedisReplaced:
        what = "it is empty, or another one" if is_empty else "it has another identity"
        hint = (
            "point the service at the Redis it used, or restore that one from its files or a backup; "
            f"`{self._accept_command}` takes the present one for good"
        )
        return RedisReplaced(f"this Redis is not the one that was used before: {what}", hint=hint)

    def _note(self, problem: RedisReplaced | None) -> None:
        """Logs when the answer changes."""
        if problem is not None and self.problem is None:
            logger.error("%s; hint: %s", problem.description, problem.hint)
        elif problem is None and self.problem is not None:
            logger.info("this Redis is the one to use from now on")
        self.problem = problem

    def _recall(self) -> str | None:
        try:
            return self._memory.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

    def _remember(self, identity: str) -> None:
        self._memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._memory.with_name(f".{self._memory.name}.{secrets.token_hex(8)}")
        write_new(draft, f"{identity}\n")
        draft.replace(self._memory)

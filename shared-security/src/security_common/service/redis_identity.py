"""Whether this Redis, and the secrets that its data depends on, are the ones that were used before.

A Redis that is empty after a failure, or another one at the same address, has lost clients, records and signing keys.
A service therefore writes a random id to Redis when it first uses it, and remembers the id on its own disk:

    SPACE:redis_identity            the id, written once (SET NX)
    SPACE:redis_identity:accepted   ids of earlier Redis servers that an operator replaced by this one
    SPACE:key_check_values          check values of the service's secrets (`key_check_values`)
    <audit folder>/<service>/redis_identity   the id that this service remembers

At a first start, and at the first start after an upgrade, nothing is remembered, and what is in Redis is accepted.
Replicas share the id in Redis, and each of them remembers it. `redis accept` is run once, on any replica: the others
find in Redis that theirs was replaced.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import ClassVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.private_files import replace_file
from security_common.service.key_check_values import KeyCheckValues, SecretInUse, secrets_in_use
from security_common.settings import SecuritySettings
from security_common.task_cancellation import cancel_tasks

__all__ = ["RedisIdentity", "RedisReplaced", "SecretReplaced", "StateMismatch", "redis_identity_of_service"]

_INTERVAL_SECONDS = 2.0

logger = logging.getLogger(__name__)


class StateMismatch(SecurityError):
    """The data in Redis and the files of the service do not belong together."""


class RedisReplaced(StateMismatch):
    """Redis is empty, or is another one than the service used before."""

    error: ClassVar[str] = "redis_replaced"


class SecretReplaced(StateMismatch):
    """A secret is another one than the service used before with this Redis."""

    error: ClassVar[str] = "secret_replaced"


class RedisIdentity:
    """Compares the ids and the secrets. `problem` is what the last comparison found."""

    def __init__(
        self,
        redis: Redis,
        *,
        space: str,
        id_file: Path,
        accept_command: str,
        secrets_in_use: Sequence[SecretInUse] = (),
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`space` is the prefix of the service's keys, `id_file` the file with the id that the service remembers.

        `redis` decodes its answers. `accept_command` is named in the hints.
        """
        self._redis = redis
        self._key = f"{space}:redis_identity"
        self._accepted_key = f"{self._key}:accepted"
        self._id_file = id_file
        self._accept_command = accept_command
        self._check_values = KeyCheckValues(redis, space=space, secrets=secrets_in_use)
        self._new_id = new_id
        self.problem: StateMismatch | None = None

    async def check(self) -> None:
        """Compares, and stores what is new.

        Raises:
            StateMismatch: this is another Redis, or a secret was replaced.
            RedisError, OSError: the comparison was not possible.

        """
        remembered = self._read_id_file()
        stored = await self._stored()
        problem = await self._compare(remembered, stored)
        self._note(problem)
        if problem is not None:
            raise problem
        if remembered is None or stored != remembered:
            self._write_id_file(stored or await self._create())
        await self._check_values.add_new()

    async def examine(self) -> StateMismatch | None:
        """Compares for a doctor: changes and logs nothing, and returns the problem. Raises `RedisError`."""
        return await self._compare(self._read_id_file(), await self._stored())

    async def _compare(self, remembered: str | None, stored: str | None) -> StateMismatch | None:
        """What is wrong with the id in Redis (`stored`) and the secrets in use; None if nothing is."""
        if remembered is not None and stored != remembered:
            is_accepted = stored is not None and await self._replaces(remembered)
            if not is_accepted:
                return self._redis_replaced(is_empty=stored is None)
        replaced = await self._check_values.find_replaced()
        return self._secret_replaced(replaced) if replaced else None

    async def accept(self) -> bool:
        """Accepts this Redis and the secrets in use, for every replica. Returns whether one of them was replaced.

        Raises `RedisError`.
        """
        remembered = self._read_id_file()
        stored = await self._stored() or await self._create()
        if remembered is not None and remembered != stored:
            await self._redis.sadd(self._accepted_key, remembered)
        self._write_id_file(stored)
        secrets_were_replaced = await self._check_values.accept()
        return remembered != stored or secrets_were_replaced

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Compares now, and every two seconds while the block runs."""
        await self._check_once()
        task = asyncio.create_task(self._check_repeatedly(), name="redis-identity")
        try:
            yield
        finally:
            await cancel_tasks(task)

    async def _check_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._check_once()

    async def _check_once(self) -> None:
        with contextlib.suppress(StateMismatch, RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_INTERVAL_SECONDS):
                await self.check()

    async def _stored(self) -> str | None:
        return cast("str | None", await self._redis.get(self._key))

    async def _create(self) -> str:
        """Writes an id, unless another replica was faster; returns the id that is in Redis."""
        await self._redis.set(self._key, self._new_id(), nx=True)
        return await self._stored() or ""

    async def _replaces(self, remembered: str) -> bool:
        return bool(await self._redis.sismember(self._accepted_key, remembered))

    def _redis_replaced(self, *, is_empty: bool) -> RedisReplaced:
        what = "it is empty, or another one" if is_empty else "it has another identity"
        hint = (
            "point the service at the Redis it used, or restore that one from its files or a backup; "
            f"`{self._accept_command}` accepts the present one permanently"
        )
        return RedisReplaced(f"this Redis is not the one that was used before: {what}", hint=hint)

    def _secret_replaced(self, settings: Sequence[str]) -> SecretReplaced:
        hint = (
            "restore the file that was used before; what was stored with it cannot be used without it. If it was "
            f"replaced on purpose, `{self._accept_command}` accepts the new one"
        )
        return SecretReplaced(f"{', '.join(settings)}: not the secret that was used before with this Redis", hint=hint)

    def _note(self, problem: StateMismatch | None) -> None:
        """Logs when the result changes."""
        if problem is not None and self.problem is None:
            logger.error("%s cause=%s hint=%s", problem.error, problem.description, problem.hint)
        elif problem is None and self.problem is not None:
            logger.info("redis_accepted")
        self.problem = problem

    def _read_id_file(self) -> str | None:
        try:
            return self._id_file.read_text(encoding="ascii").strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _write_id_file(self, identity: str) -> None:
        self._id_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._id_file, f"{identity}\n")


def redis_identity_of_service(redis: Redis, security: SecuritySettings, *, service: str, space: str) -> RedisIdentity:
    """The identity of the Redis of a service whose data there depends on the secrets of `security`.

    `service` is the name of the service and of its command, and `space` is what its keys in Redis begin with.
    """
    secrets_of_data = secrets_in_use(
        keys={
            "SECURITY_AUDIT_CHAIN_KEY_FILE": security.audit_chain_key_file,
            "SECURITY_PSEUDONYM_KEY_FILE": security.pseudonym_key_file,
        },
        keyrings={"SECURITY_ENCRYPTION_KEY_FILE": security.encryption_key_file},
    )
    return RedisIdentity(
        redis,
        space=space,
        id_file=security.audit_dir / service / "redis_identity",
        accept_command=f"{service} redis accept",
        secrets_in_use=secrets_of_data,
    )

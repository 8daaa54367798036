"""The store of placeholders in Redis, which the replicas of a service share. Values are encrypted for their owner.

| key                          | content                                                                            |
|------------------------------|------------------------------------------------------------------------------------|
| `<prefix>{<owner>}`          | hash: `v:<digest>` = placeholder, `p:<placeholder>` = `<digest>:<ciphertext>`      |
| `<prefix>{<owner>}:expiry`   | sorted set: digest, by the second at which it expires                              |

Owners and values are keyed digests: without the pseudonym key, nobody can test which values are stored.
"""

import asyncio
import json
import math
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.encryption import DecryptionFailed, EncryptionService
from security_common.pii import PIIKind
from security_common.pii.placeholders import find_placeholders, new_placeholder
from security_common.tool_policy.placeholder_store import (
    DEFAULT_LIFETIME_SECONDS,
    DEFAULT_PER_OWNER,
    PersonalValue,
    PlaceholderLimitReached,
    PlaceholdersUnavailable,
)
from security_common.tool_policy.pseudonyms import KeyedPseudonyms, to_consonants

__all__ = ["RedisPlaceholderStore"]

ENCRYPTIONS_IN_A_ROW = 100
"""After this number of encryptions, other tasks of the event loop have their turn: about 2 ms."""

_SCRIPTS = files("security_common.tool_policy")


class RedisPlaceholderStore:
    """See `PlaceholderStore`. The client must decode responses. An assignment takes two round trips, or one if all
    values are known.
    """

    def __init__(
        self,
        redis: Redis,
        encryption: EncryptionService,
        pseudonyms: KeyedPseudonyms,
        *,
        key_prefix: str,
        lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS,
        per_owner: int = DEFAULT_PER_OWNER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns seconds since the epoch."""
        self._redis = redis
        self._encryption = encryption
        self._pseudonyms = pseudonyms
        self._key_prefix = key_prefix
        self._lifetime_seconds = lifetime_seconds
        self._per_owner = per_owner
        self._clock = clock
        self._assign_script = redis.register_script(_read_script("assign_placeholders.lua"))
        self._resolve_script = redis.register_script(_read_script("resolve_placeholders.lua"))

    async def assign(self, owner: str, values: Mapping[PersonalValue, str]) -> Mapping[PersonalValue, str]:
        """See PlaceholderStore."""
        assigned: dict[PersonalValue, str] = {}
        entries = [(value, "", "") for value in values]
        while entries:
            placeholders = await self._run_assignment(owner, entries)
            assigned |= {entry[0]: name for entry, name in zip(entries, placeholders, strict=True) if name}
            # Values are encrypted only if they are new. Another round is needed if a random placeholder is in use.
            entries = await self._encrypt_new(owner, {key: values[key] for key in values if key not in assigned})
        return assigned

    async def resolve(
        self, owner: str, placeholders: Collection[str], *, reveal: Collection[PIIKind]
    ) -> Mapping[str, str | None]:
        """See PlaceholderStore."""
        names = list(placeholders)
        arguments = [math.floor(self._clock()), *names]
        with _redis_errors_as_unavailable():
            ciphertexts = await self._resolve_script(keys=self._keys(owner), args=arguments)
        resolved: dict[str, str | None] = {}
        for name, ciphertext in zip(names, ciphertexts, strict=True):
            if not ciphertext:
                continue
            if next(find_placeholders(name)).kind not in reveal:
                resolved[name] = None
                continue
            try:
                resolved[name] = json.loads(self._encryption.decrypt(ciphertext, context=_binding(owner, name)))
            except DecryptionFailed:  # its key was retired, or it was changed
                continue
        return resolved

    async def forget(self, owner: str) -> None:
        """See PlaceholderStore."""
        with _redis_errors_as_unavailable():
            await self._redis.delete(*self._keys(owner))

    async def _run_assignment(self, owner: str, entries: Sequence[tuple[PersonalValue, str, str]]) -> Sequence[str]:
        arguments: list[Any] = [math.floor(self._clock()), self._lifetime_seconds, self._per_owner]
        for value, placeholder, ciphertext in entries:
            text = f"{owner}\n{value.kind}\n{value.canonical}"
            arguments += [self._pseudonyms.digest("placeholder", text).hex(), placeholder, ciphertext]
        with _redis_errors_as_unavailable():
            answer = await self._assign_script(keys=self._keys(owner), args=arguments)
        if answer is None:
            raise PlaceholderLimitReached(self._per_owner)
        return answer

    async def _encrypt_new(
        self, owner: str, values: Mapping[PersonalValue, str]
    ) -> list[tuple[PersonalValue, str, str]]:
        entries: list[tuple[PersonalValue, str, str]] = []
        for value, written in values.items():
            placeholder = new_placeholder(value.kind)
            # JSON, because a text that cannot be encoded as UTF-8 can be a value too.
            ciphertext = self._encryption.encrypt(json.dumps(written), context=_binding(owner, placeholder))
            entries.append((value, placeholder, ciphertext))
            if len(entries) % ENCRYPTIONS_IN_A_ROW == 0:
                await asyncio.sleep(0)
        return entries

    def _keys(self, owner: str) -> list[str]:
        name = to_consonants(self._pseudonyms.digest("placeholder-owner", owner))
        key = f"{self._key_prefix}{{{name}}}"
        return [key, f"{key}:expiry"]


def _read_script(name: str) -> str:
    return _SCRIPTS.joinpath(name).read_text(encoding="ascii")


def _binding(owner: str, placeholder: str) -> dict[str, str]:
    return {"store": "placeholders", "owner": owner, "placeholder": placeholder}


@contextmanager
def _redis_errors_as_unavailable() -> Generator[None]:
    try:
        yield
    except RedisError as failure:
        raise PlaceholdersUnavailable(
            "the placeholders for personal data cannot be read or stored", hint="try again in a moment"
        ) from failure

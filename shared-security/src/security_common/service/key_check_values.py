"""Check values of the secrets that stored data depends on, so that a wrong secret is found before it does damage.

With a wrong pepper every client secret is wrong, with a wrong keyring nothing stored can be decrypted, and with a wrong
chain key the audit trail seems to be tampered with. When a service first uses a secret, it therefore stores a check
value in Redis:

    SPACE:key_check_values   hash: the setting that names the file ─▶ check values, separated by spaces

The check value of a key is the first 64 bits of an HMAC made with the key. It reveals nothing about a random key; for a
secret shorter than 32 characters, which could be guessed, none is stored. A keyring has a check value for each of its
keys, and is right when it shares one with those in Redis: keys are added and retired during rotation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from security_common.encryption import Keyring
from security_common.errors import SecurityError
from security_common.secret_files import MIN_KEY_CHARACTERS, key_fingerprint, read_secret_file

__all__ = ["KeyCheckValues", "SecretInUse", "secrets_in_use"]

_LABEL = "mcp-oauth2 key check value v1: "


@dataclass(frozen=True, slots=True)
class SecretInUse:
    """A secret, by the setting that names its file, with the check values of its keys."""

    setting: str
    check_values: frozenset[str]
    keyring_file: Path | None = None

    def current_check_values(self) -> frozenset[str]:
        """As the keyring file is now: keys may be added to it, and old ones destroyed, while the service runs."""
        return _keyring_check_values(self.keyring_file, self.setting) or self.check_values


def secrets_in_use(*, keys: Mapping[str, Path | None], keyrings: Mapping[str, Path | None]) -> list[SecretInUse]:
    """The secrets in these files, by setting. Files that cannot be read are left out: other checks report them."""
    secrets: list[SecretInUse] = []
    for setting, path in keys.items():
        secret = _read(path)
        if len(secret) >= MIN_KEY_CHARACTERS:
            secrets.append(SecretInUse(setting, frozenset({_check_value(secret.encode(), setting)})))
    for setting, path in keyrings.items():
        values = _keyring_check_values(path, setting)
        if values:
            secrets.append(SecretInUse(setting, values, keyring_file=path))
    return secrets


class KeyCheckValues:
    """Compares the secrets in use with the check values in Redis."""

    def __init__(self, redis: Redis, *, space: str, secrets: Iterable[SecretInUse]) -> None:
        """`space` is the prefix of the service's keys. `redis` decodes its answers."""
        self._redis: Any = redis  # redis-py's signatures are partly untyped
        self._key = f"{space}:key_check_values"
        self._secrets = tuple(secrets)

    async def find_replaced(self) -> list[str]:
        """The settings whose secret is not the one that was used before. Raises `RedisError`."""
        stored = await self._stored()
        return [
            secret.setting
            for secret in self._secrets
            if secret.setting in stored and stored[secret.setting].isdisjoint(secret.check_values)
        ]

    async def add_new(self) -> None:
        """Stores the check values of secrets and keys that are not stored yet. Raises `RedisError`."""
        stored = await self._stored()
        for secret in self._secrets:
            known = stored.get(secret.setting, frozenset())
            current = secret.current_check_values()
            if not known:
                await self._redis.hsetnx(self._key, secret.setting, _join(current))
            elif not known.isdisjoint(current) and not current <= known:
                await self._redis.hset(self._key, secret.setting, _join(known | current))

    async def accept(self) -> bool:
        """Stores the secrets in use as the right ones. Returns whether one had been replaced. Raises `RedisError`."""
        replaced = await self.find_replaced()
        for secret in self._secrets:
            if secret.setting in replaced:
                await self._redis.hset(self._key, secret.setting, _join(secret.check_values))
        return bool(replaced)

    async def _stored(self) -> dict[str, frozenset[str]]:
        if not self._secrets:
            return {}
        stored = cast("dict[str, str]", await self._redis.hgetall(self._key))
        return {setting: frozenset(values.split()) for setting, values in stored.items()}


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return read_secret_file(path)
    except SecurityError:
        return ""


def _keyring_check_values(path: Path | None, setting: str) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        keyring = Keyring.load(path)
    except SecurityError:
        return frozenset()
    return frozenset(_check_value(key.material, setting) for key in keyring.keys if key.material)


def _check_value(key: bytes, setting: str) -> str:
    # The setting is part of the message: a key that is used for two settings has two check values.
    return key_fingerprint(key, (_LABEL + setting).encode())


def _join(check_values: frozenset[str]) -> str:
    return " ".join(sorted(check_values))

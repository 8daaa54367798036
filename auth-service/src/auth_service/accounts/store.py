"""Accounts in Redis: a JSON document for each, an index by username, and the password hash in its own key."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.resources import files
from typing import cast

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.accounts.account import Account, fold_username
from auth_service.accounts.stored_documents import change_document
from auth_service.web.sessions import delete_sessions

__all__ = ["AccountStore"]

_ACCOUNT = "auth:account:"
_NAME = "auth:account-name:"
_PASSWORD = "auth:password:"
_ACCOUNT_ADAPTER = TypeAdapter(Account)
_SCRIPTS = files("auth_service.accounts")
_ADD = _SCRIPTS.joinpath("add_account.lua").read_text(encoding="utf-8")
_RENAME = _SCRIPTS.joinpath("rename_account.lua").read_text(encoding="utf-8")
_CHANGED_MEANWHILE = -1


class AccountStore:
    """Reads and writes accounts. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._add = redis.register_script(_ADD)
        self._rename = redis.register_script(_RENAME)

    async def find(self, subject: str) -> Account | None:
        document = await self._redis.get(_ACCOUNT + subject)
        return _ACCOUNT_ADAPTER.validate_json(document) if document else None

    async def find_by_name(self, username: str) -> Account | None:
        subject = await self._redis.get(_NAME + fold_username(username))
        return await self.find(str(subject)) if subject else None

    async def add(self, account: Account, password_hash: str = "") -> bool:
        """False, without any change, if the username is taken or the account exists. All keys are written, or none.

        An account of an identity provider has no password hash.
        """
        return bool(
            await self._add(
                keys=[_NAME + fold_username(account.username), _PASSWORD + account.subject, _ACCOUNT + account.subject],
                args=[account.subject, password_hash, _ACCOUNT_ADAPTER.dump_json(account)],
            )
        )

    async def change(self, subject: str, change: Callable[[Account], Account]) -> Account | None:
        """The changed account; None, without any change, if it was deleted.

        `change` is applied to the stored account, again if another change came first, so that none is lost.
        """
        return await change_document(self._redis, _ACCOUNT + subject, _ACCOUNT_ADAPTER, change)

    async def rename(self, subject: str, username: str) -> bool:
        """Changes the username. False, without any change, if another account has it, or this one was deleted."""
        while True:
            document = await self._redis.get(_ACCOUNT + subject)
            if not document:
                return False
            account = _ACCOUNT_ADAPTER.validate_json(document)
            names = [_NAME + fold_username(name) for name in (username, account.username)]
            renamed = _ACCOUNT_ADAPTER.dump_json(replace(account, username=username))
            result = await self._rename(keys=[*names, _ACCOUNT + subject], args=[subject, document, renamed])
            if result != _CHANGED_MEANWHILE:
                return bool(result)

    async def delete(self, account: Account) -> None:
        """Deletes the account with its password and sessions."""
        await delete_sessions(self._redis, account.subject)
        await self._redis.delete(
            _NAME + fold_username(account.username), _PASSWORD + account.subject, _ACCOUNT + account.subject
        )

    async def password_hash(self, subject: str) -> str | None:
        password_hash = await self._redis.get(_PASSWORD + subject)
        return str(password_hash) if password_hash else None

    async def delete_password(self, subject: str) -> None:
        await self._redis.delete(_PASSWORD + subject)

    async def set_password_hash(self, subject: str, password_hash: str) -> None:
        await self._redis.set(_PASSWORD + subject, password_hash)

    async def all(self) -> AsyncIterator[Account]:
        """Every account, in no particular order."""
        keys = cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{_ACCOUNT}*", count=500))
        async for key in keys:
            account = await self.find(key.removeprefix(_ACCOUNT))
            if account is not None:
                yield account

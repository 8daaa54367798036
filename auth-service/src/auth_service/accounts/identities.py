"""Who a user is at an identity provider: (issuer, subject) identifies one person, and leads to one account.

The same table serves every way in which a provider names a person. An e-mail address never links accounts, because
addresses are reused and some providers let others set them. Keys: `auth:identity:<digest of issuer and subject>`, and
`auth:account-identities:<sub>`, the digests of an account; `auth:identity-issuers`, every issuer at which a person was
linked, with the id of its provider; `auth:provider-identities:<id>`, the digests of a provider by the time of the link.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.accounts.stored_documents import change_document
from auth_service.declared_providers import DeclaredProvider

__all__ = ["Identities", "Identity", "identity_key"]

_IDENTITY = "auth:identity:"
_OF_ACCOUNT = "auth:account-identities:"
_ISSUERS = "auth:identity-issuers"
_OF_PROVIDER = "auth:provider-identities:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person at a provider, and the account here. Times are in seconds since the epoch.

    `claims` are those that the provider's conditions read, as they were at `checked_at_seconds`. `refresh_token` is the
    provider's, encrypted. With `must_sign_in`, sessions and refresh tokens wait for the next sign-in at the provider.
    `is_inactive`: the provider deactivated the user over SCIM. `is_deleted`: the account was deleted, and is not made
    again at the next sign-in; `is_deleted_by_provider`: over SCIM, so the provider can add the user again. `is_gone`: a
    check found that the user is gone there, or may not sign in any more; the next sign-in ends it.
    `requirements` are the conditions of `require` that the last sign-in satisfied.
    """

    provider: str
    issuer: str
    subject: str
    account: str
    label: str = ""
    linked_at_seconds: float
    checked_at_seconds: float
    signed_in_at_seconds: float = 0.0
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refresh_token: str | None = field(default=None, repr=False)
    requirements: frozenset[str] = frozenset()
    must_sign_in: bool = False
    is_inactive: bool = False
    is_deleted: bool = False
    is_deleted_by_provider: bool = False
    is_gone: bool = False

    @property
    def was_ended_by_provider(self) -> bool:
        """Whether the provider has ended the user's access, at a check or over SCIM."""
        return self.is_gone or self.is_inactive or self.is_deleted_by_provider

    @property
    def key(self) -> str:
        """Identifies the person at this provider."""
        return identity_key(self.issuer, self.subject)


_IDENTITY_ADAPTER = TypeAdapter(Identity)


def identity_key(issuer: str, subject: str) -> str:
    """A digest: subjects can contain any character. The separator occurs in no issuer."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


class Identities:
    """Reads and writes identities. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, issuer: str, subject: str) -> Identity | None:
        return await self.load(identity_key(issuer, subject))

    async def find_at(self, provider: DeclaredProvider, subject: str) -> Identity | None:
        """The identity, also one from before the issuer of the provider changed (`was_issuer`)."""
        identity = await self.find(provider.resolved_issuer, subject)
        if identity is not None or provider.was_issuer is None:
            return identity
        return await self.find(provider.was_issuer, subject)

    async def load(self, key: str) -> Identity | None:
        """The identity with this `Identity.key`."""
        document = await self._redis.get(_IDENTITY + key)
        return _IDENTITY_ADAPTER.validate_json(document) if document else None

    async def link(self, identity: Identity) -> bool:
        """Stores a new identity. False, without any change, if this person has an account already: it is never moved.

        The index of the account is written first; an entry in it without an identity is ignored.
        """
        await self._redis.sadd(_OF_ACCOUNT + identity.account, identity.key)
        await self._redis.hset(_ISSUERS, identity.issuer, identity.provider)
        document = _IDENTITY_ADAPTER.dump_json(identity)
        if not await self._redis.set(_IDENTITY + identity.key, document, nx=True):
            return False
        await self._redis.zadd(_OF_PROVIDER + identity.provider, {identity.key: identity.linked_at_seconds})
        return True

    async def issuers(self) -> Mapping[str, str]:
        """Every issuer at which a person was linked, with the id of its provider."""
        return cast("Mapping[str, str]", await self._redis.hgetall(_ISSUERS))

    async def save(self, identity: Identity) -> bool:
        """Replaces a stored identity.

        False, without any change, if it was unlinked, or its account was deleted or deactivated, in the meantime.
        """

        def replace_unless_ended(stored: Identity) -> Identity | None:
            has_ended = stored.is_deleted or stored.account != identity.account
            return None if has_ended or stored.is_inactive != identity.is_inactive else identity

        return await self.change(identity.key, replace_unless_ended) is not None

    async def change(self, key: str, change: Callable[[Identity], Identity | None]) -> Identity | None:
        """The changed identity; None, without any change, if it was unlinked, or `change` returned None.

        `change` is applied to the stored identity, again if another change came first.
        """
        return await change_document(self._redis, _IDENTITY + key, _IDENTITY_ADAPTER, change)

    async def page_of_provider(self, provider: str, *, offset: int, count: int) -> tuple[int, list[Identity]]:
        """The number of identities of a provider that are not deleted, and a part of them, oldest first."""
        key = _OF_PROVIDER + provider
        keys = await self._redis.zrange(key, offset, offset + count - 1) if count > 0 else []
        found = [await self.load(str(each)) for each in keys]
        return await self._redis.zcard(key), [identity for identity in found if identity is not None]

    async def unlink(self, identity: Identity) -> None:
        await self._redis.delete(_IDENTITY + identity.key)
        await self._redis.zrem(_OF_PROVIDER + identity.provider, identity.key)
        await self._redis.srem(_OF_ACCOUNT + identity.account, identity.key)

    async def of_account(self, subject: str) -> list[Identity]:
        """The identities of an account, oldest first."""
        keys = cast("set[str]", await self._redis.smembers(_OF_ACCOUNT + subject))
        documents = await self._redis.mget([_IDENTITY + key for key in keys]) if keys else []
        found = [_IDENTITY_ADAPTER.validate_json(document) for document in documents if document]
        linked = [identity for identity in found if identity.account == subject]
        return sorted(linked, key=lambda identity: (identity.linked_at_seconds, identity.key))

    async def mark_deleted(self, subject: str) -> None:
        """The account is deleted: its identities are kept, so that the next sign-in does not make a new account."""
        for identity in await self.of_account(subject):
            await self.mark_identity_deleted(identity, by_provider=False)

    async def mark_identity_deleted(self, identity: Identity, *, by_provider: bool) -> None:
        """The same for one identity. An identity that was deleted before stays as it is."""

        def mark(stored: Identity) -> Identity:
            if stored.is_deleted:
                return stored
            deleted = replace(stored, is_deleted=True, is_deleted_by_provider=by_provider)
            return replace(deleted, refresh_token=None, claims={}, label="")

        await self.change(identity.key, mark)
        await self._redis.zrem(_OF_PROVIDER + identity.provider, identity.key)

    async def all(self) -> AsyncIterator[Identity]:
        """Every identity, in no particular order."""
        keys = cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{_IDENTITY}*", count=500))
        async for key in keys:
            identity = await self.load(key.removeprefix(_IDENTITY))
            if identity is not None:
                yield identity

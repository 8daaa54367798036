"""What users have allowed clients: `auth:consent:<sub>`, a hash with one field for each client and resource."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from auth_service.accounts.account import Account, Role
from auth_service.errors import AccessDenied, InvalidScope
from auth_service.scopes import Scope

__all__ = ["Consent", "Consents", "grantable_scopes"]

_PREFIX = "auth:consent:"
# Neither a client id nor a URL contains it, so a field can be split in one way only.
_SEPARATOR = " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """`granted_at_seconds` (since the epoch) is when the user last agreed."""

    subject: str
    client_id: str
    resource: str
    scopes: frozenset[str]
    granted_at_seconds: float


class Consents:
    """Reads and writes consents. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def scopes(self, subject: str, client_id: str, resource: str) -> frozenset[str]:
        """The scopes that the user has allowed this client at this resource; empty without a consent."""
        document = await self._redis.hget(_PREFIX + subject, _field(client_id, resource))
        return frozenset(json.loads(document)["scopes"]) if document else frozenset()

    async def give(self, subject: str, client_id: str, resource: str, scopes: Iterable[str], *, now: float) -> None:
        """Adds these scopes. Of two consents at the same moment one may be lost; the user is then asked again."""
        allowed = await self.scopes(subject, client_id, resource) | frozenset(scopes)
        document = json.dumps({"scopes": sorted(allowed), "granted_at_seconds": now})
        await self._redis.hset(_PREFIX + subject, _field(client_id, resource), document)

    async def all(self, subject: str) -> list[Consent]:
        stored = await self._redis.hgetall(_PREFIX + subject)
        return [_load(subject, str(field), str(document)) for field, document in sorted(stored.items())]

    async def delete_all(self, subject: str) -> None:
        """Deletes every consent of a user whose account is deleted."""
        await self._redis.delete(_PREFIX + subject)

    async def withdraw(self, subject: str, client_id: str) -> int:
        """Withdraws every consent for this client, which ends its refresh tokens. Returns the number of resources."""
        consents = [consent for consent in await self.all(subject) if consent.client_id == client_id]
        fields = [_field(client_id, consent.resource) for consent in consents]
        return await self._redis.hdel(_PREFIX + subject, *fields) if fields else 0


def grantable_scopes(scopes: Sequence[str], account: Account) -> tuple[str, ...]:
    """The scopes that this user may grant: mcp.audit only as an auditor, others only within the user's limit.

    Raises `InvalidScope` if none remain; `AccessDenied` if the rules of the user's identity provider leave none.
    """
    allowed = tuple(scope for scope in scopes if scope != Scope.MCP_AUDIT or Role.AUDITOR in account.roles)
    if not allowed:
        raise InvalidScope("none of the scopes can be granted by this user")
    within = tuple(scope for scope in allowed if account.scope_limit is None or scope in account.scope_limit)
    if not within:
        raise AccessDenied("the rules of the user's identity provider allow none of the scopes")
    return within


def _field(client_id: str, resource: str) -> str:
    return f"{resource}{_SEPARATOR}{client_id}"


def _load(subject: str, field: str, document: str) -> Consent:
    resource, _, client_id = field.partition(_SEPARATOR)
    members = json.loads(document)
    return Consent(
        subject=subject,
        client_id=client_id,
        resource=resource,
        scopes=frozenset(members["scopes"]),
        granted_at_seconds=members["granted_at_seconds"],
    )

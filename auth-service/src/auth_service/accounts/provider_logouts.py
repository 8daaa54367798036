"""Sign-outs of users at their identity providers: which sessions and grants here have ended because of them.

A session and an authorization grant contain the session at the provider (`sid`) and the time of the sign-in. Every use
compares them with the sign-outs, so a sign-out also ends what is issued at the same moment. Keys:
`auth:provider-session:<digest of provider and sid>`, the account that signed in there, and
`auth:provider-logout:<digest>`, a sign-out of one session or of all sessions of an account at a provider.
"""

import hashlib
from dataclasses import dataclass

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import Clock

__all__ = ["ProviderLogouts"]

_SESSION = "auth:provider-session:"
_LOGOUT = "auth:provider-logout:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logout:
    """Sign-ins before `before_seconds` (since the epoch) have ended; None for all sign-ins with this `sid`."""

    ends_offline_access: bool
    before_seconds: int | None = None


_LOGOUT_ADAPTER = TypeAdapter(_Logout)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLogouts:
    """Stores sign-outs as long as a session of a browser (`session_seconds`) or a grant (`grant_seconds`) can last.

    Raises `redis.exceptions.RedisError` if Redis is unavailable.
    """

    redis: Redis
    session_seconds: int
    grant_seconds: int
    clock: Clock

    async def add_session(self, provider: str, session_id: str, account: str) -> None:
        """The account signed in with this `sid` of the provider."""
        await self.redis.set(_session_key(_SESSION, provider, session_id), account, ex=self.session_seconds)

    async def find_account(self, provider: str, session_id: str) -> str | None:
        """The account that signed in with this `sid`; None also after the time that a session lasts."""
        account = await self.redis.get(_session_key(_SESSION, provider, session_id))
        return str(account) if account else None

    async def end_session(self, provider: str, session_id: str, *, ends_offline_access: bool) -> None:
        """Everything that began with this `sid` has ended; grants with `offline_access` only if the flag says so."""
        await self._store(_session_key(_LOGOUT, provider, session_id), _Logout(ends_offline_access=ends_offline_access))

    async def shorten_end_of_session(self, provider: str, session_id: str) -> None:
        """The grants with this `sid` were revoked, so its end need only be known while sessions last.

        Users sign out every day, and grants can last for months.
        """
        await self.redis.expire(_session_key(_LOGOUT, provider, session_id), self.session_seconds)

    async def end_account(self, provider: str, account: str, *, ends_offline_access: bool) -> None:
        """The same for all sign-ins of the account at this provider until now."""
        logout = _Logout(before_seconds=int(self.clock()) + 1, ends_offline_access=ends_offline_access)
        await self._store(_account_key(provider, account), logout)

    async def has_ended(
        self,
        *,
        provider: str | None,
        account: str,
        session_id: str | None,
        signed_in_at_seconds: float,
        has_offline_access: bool = False,
    ) -> bool:
        """Whether the provider has ended the sign-in of a session or grant. `provider` is None for a password."""
        if provider is None:
            return False
        keys = [_account_key(provider, account)]
        if session_id is not None:
            keys.append(_session_key(_LOGOUT, provider, session_id))
        for document in await self.redis.mget(keys):
            if document is None:
                continue
            logout = _LOGOUT_ADAPTER.validate_json(document)
            is_earlier = logout.before_seconds is None or signed_in_at_seconds < logout.before_seconds
            if is_earlier and (logout.ends_offline_access or not has_offline_access):
                return True
        return False

    async def _store(self, key: str, logout: _Logout) -> None:
        seconds = max(self.session_seconds, self.grant_seconds)
        await self.redis.set(key, _LOGOUT_ADAPTER.dump_json(logout), ex=seconds)


def _session_key(prefix: str, provider: str, session_id: str) -> str:
    """A digest: a `sid` can contain any character. The separator occurs in no id of a provider."""
    return prefix + hashlib.sha256(f"sid\n{provider}\n{session_id}".encode()).hexdigest()


def _account_key(provider: str, account: str) -> str:
    return _LOGOUT + hashlib.sha256(f"account\n{provider}\n{account}".encode()).hexdigest()

"""What the account page shows, and what a user can end there."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis
from redis.exceptions import LockError

from auth_service.accounts.account import Account, end_sign_ins
from auth_service.accounts.consents import Consents
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.authorize.client_redirects import is_audit_page
from auth_service.clients.client_directory import ClientDirectory
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.protocol import Clock
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.web.sessions import Browser, Sessions

__all__ = ["AccountOverview", "ConnectedApp", "OpenSession", "SignInMethod"]

_REMOVAL_LOCK = "auth:account-removal:"
_REMOVAL_SECONDS = 60  # longer than a removal takes


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser that is signed in. `provider` is empty for a password."""

    stored_id: str
    since: str
    provider: str
    is_this_one: bool


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """A client that the user has allowed something, or that has tokens; and whether it has tokens at present."""

    client_id: str
    name: str
    is_audit_page: bool
    resources: tuple[str, ...]
    scopes: tuple[str, ...]
    since: str
    has_tokens: bool


@dataclass(frozen=True, slots=True)
class SignInMethod:
    """A way to sign in: an identity provider, or a password if `provider` is empty."""

    provider: str
    label: str
    can_be_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverview:
    """Raises `RedisError`, and `JournalUnavailable` where something is revoked."""

    sessions: Sessions
    consents: Consents
    directory: ClientDirectory
    identities: Identities
    store: AccountStore
    revocation: GrantRevocation
    connections: ProviderConnections
    redis: Redis
    clock: Clock

    async def open_sessions(self, account: Account, browser: Browser) -> list[OpenSession]:
        """Sessions that can still be used, the one of this browser first."""
        found = [
            OpenSession(
                each.stored_id,
                _format(each.session.signed_in_at_seconds),
                each.session.provider or "",
                self.sessions.is_of(browser, each),
            )
            for each in await self.sessions.all(account.subject)
            if each.session.signed_in_at_seconds >= account.signed_out_at_seconds
        ]
        return sorted(found, key=lambda each: not each.is_this_one)

    async def connected_apps(self, account: Account) -> list[ConnectedApp]:
        """The clients that the user has allowed something, or that have tokens for the user, by name.

        A client that redeems assertions of an identity provider (ID-JAG) has tokens without a consent of the user.
        """
        grants = await self.revocation.grants.all(account.subject)
        consents = await self.consents.all(account.subject)
        apps: list[ConnectedApp] = []
        for client_id in dict.fromkeys(each.client_id for each in (*consents, *grants)):
            own_grants = [grant for grant in grants if grant.client_id == client_id]
            own = [consent for consent in consents if consent.client_id == client_id] or own_grants
            known = await self.directory.find_known(client_id)
            apps.append(
                ConnectedApp(
                    client_id=client_id,
                    name=known.name if known is not None and known.name else client_id,
                    is_audit_page=known is not None and is_audit_page(known),
                    resources=tuple(sorted({each.resource for each in own})),
                    scopes=tuple(sorted(frozenset[str]().union(*(each.scopes for each in own)))),
                    since=_format(max(each.granted_at_seconds for each in own)),
                    has_tokens=bool(own_grants),
                )
            )
        return sorted(apps, key=lambda app: (app.name.casefold(), app.client_id))

    async def sign_in_methods(self, account: Account) -> list[SignInMethod]:
        """The ways to sign in. The last provider cannot be removed: with a password alone, a user would keep the access
        after the provider has ended it.
        """
        linked = [identity for identity in await self.identities.of_account(account.subject) if not identity.is_deleted]
        has_password = await self.store.password_hash(account.subject) is not None
        declared = {each.provider for each in linked if self.connections.find(each.provider) is not None}
        methods = [SignInMethod(each.provider, each.label, bool(declared - {each.provider})) for each in linked]
        if has_password:
            methods.insert(0, SignInMethod("", account.username, bool(declared)))
        return methods

    async def end_session(self, account: Account, stored_id: str) -> bool:
        """Ends a session of the user; False if it has ended already."""
        return await self.sessions.end(account.subject, stored_id)

    async def end_app(self, account: Account, client_id: str) -> bool:
        """Withdraws the consents for a client, and revokes its tokens; False if there were none."""
        withdrawn = await self.consents.withdraw(account.subject, client_id)
        revoked = await self.revocation.revoke_all(account.subject, concerns=lambda grant: grant.client_id == client_id)
        return bool(withdrawn or revoked)

    async def remove_method(self, account: Account, provider: str) -> bool:
        """Removes a way to sign in, and ends all sessions and tokens; False if it is not there, or must stay.

        One removal per account at a time: of two at once, each would count the way that the other one removes.
        """
        lock = self.redis.lock(_REMOVAL_LOCK + account.subject, timeout=_REMOVAL_SECONDS)
        await lock.acquire()
        try:
            return await self._remove_method(account, provider)
        finally:
            with suppress(LockError):  # it took longer than the lock is held
                await lock.release()

    async def _remove_method(self, account: Account, provider: str) -> bool:
        methods = await self.sign_in_methods(account)
        if not any(method.provider == provider and method.can_be_removed for method in methods):
            return False
        # For good: a session that began this way must not be valid again after the next link.
        await self.store.change(account.subject, lambda stored: end_sign_ins(stored, self.clock()))
        await self.revocation.revoke_all(account.subject)
        if not provider:
            await self.store.delete_password(account.subject)
        for identity in await self._linked_at(account, provider):
            await self.identities.unlink(identity)
        return True

    async def _linked_at(self, account: Account, provider: str) -> list[Identity]:
        return [each for each in await self.identities.of_account(account.subject) if each.provider == provider]


def _format(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

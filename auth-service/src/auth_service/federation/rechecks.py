"""Asks the provider again about users who signed in there: is the account still there, and what may the user do?

    fresh ──▶ nothing is sent                          user gone, disabled or not in `allow` ──▶ sessions, families end
    due ────▶ the refresh token of the provider ──▶    session over, interaction required ─────▶ sign in again
                                                       no answer ─▶ go on until twice the interval, then 503

A check takes place when a refresh token of this service or the session of a browser is used, and in the background for
users with live families (`recheck_worker`). Keys: `auth:recheck-lock:<identity>`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import LockError

from auth_service.accounts.account import end_sign_ins
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.errors import InvalidGrant, TemporarilyUnavailable
from auth_service.federation.id_token_rules import subject_of
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.people import PersonRefused, read_allowed_claims
from auth_service.federation.provider_connection import ProviderConnection, ProviderTokens, TokenResponse
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.provider_errors import ProviderFailure
from auth_service.federation.recheck_schedule import RecheckSchedule
from auth_service.federation.refresh_token_encryption import RefreshTokenEncryption
from auth_service.protocol import Clock
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.grant_revocation import GrantRevocation
from security_common.audit import Action, EventType, Outcome, Reason
from security_common.encryption import EncryptionError

__all__ = ["ProviderCheck", "Rechecks", "interval_seconds"]

_LOCK = "auth:recheck-lock:"
_LOCK_SECONDS = 60  # longer than all requests of one check can take
_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.05
_RETRY_AFTER_SECONDS = 30
# Errors of a refresh that the user can remedy by signing in (OpenID Connect Core section 3.1.2.6).
_SIGN_IN_ERRORS = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})
# Why claims are refused, at a sign-in and at a check.
_CLAIM_REFUSALS = frozenset({Reason.NOT_ALLOWED, Reason.GROUPS_LEFT_OUT, Reason.CLAIM_TOO_LARGE})

log = structlog.get_logger(__name__)


class ProviderCheck(Protocol):
    """What the grants and the authorization endpoint need of this module."""

    async def require_fresh(self, grant: AuthorizationGrant, source: RequestSource) -> None:
        """Raises `InvalidGrant` if the user has to sign in again, `TemporarilyUnavailable` if nothing is known."""
        ...

    async def is_fresh(self, subject: str, provider: str | None, source: RequestSource) -> bool:
        """Whether a session can be used: False if the user has to sign in at the provider again."""
        ...

    async def plan(self, grant: AuthorizationGrant) -> None:
        """Plans the check in the background, for a grant that has a refresh token now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecks:
    """Implements `ProviderCheck`. Raises `RedisError` and `JournalUnavailable`."""

    redis: Redis
    identities: Identities
    store: AccountStore
    revocation: GrantRevocation
    connections: ProviderConnections
    schedule: RecheckSchedule
    encryption: RefreshTokenEncryption
    record: AuditRecorder
    clock: Clock

    async def require_fresh(self, grant: AuthorizationGrant, source: RequestSource) -> None:
        """Checks the user at the provider if it is due. An account that ended is found by the caller's next steps."""
        found = await self._find(grant.subject, grant.provider)
        if found is None:
            return  # a sign-in with a password, or a grant that has ended, which `GrantPermissionsReader` finds
        identity, connection = found
        identity = await self._check_if_due(identity, connection, source)
        if identity.must_sign_in and not await self._has_ended(identity, grant):
            raise InvalidGrant("the user has to sign in again at the identity provider")
        if self._is_too_old(identity, connection):
            raise TemporarilyUnavailable(
                "the identity provider does not answer, and the last check is too long ago",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )

    async def is_fresh(self, subject: str, provider: str | None, source: RequestSource) -> bool:
        """Checks the user at the provider if it is due. An account that ended is found by the caller's next steps."""
        found = await self._find(subject, provider)
        if found is None:
            return True  # a sign-in with a password, or one that has ended, which `Accounts` finds
        identity, connection = found
        try:
            identity = await self._check_if_due(identity, connection, source)
        except TemporarilyUnavailable:
            return False
        return not identity.must_sign_in and not self._is_too_old(identity, connection)

    async def apply_refusal(self, identity: Identity, reason: Reason, source: RequestSource) -> None:
        """A sign-in whose claims were refused for this reason has the effect of a check with these claims."""
        has_effect = not identity.is_gone if reason is Reason.NOT_ALLOWED else not identity.must_sign_in
        if has_effect and not identity.is_deleted and reason in _CLAIM_REFUSALS:
            await self._refuse(identity, reason, source)

    async def plan(self, grant: AuthorizationGrant) -> None:
        found = await self._find(grant.subject, grant.provider)
        if found is not None:
            identity, connection = found
            await self.schedule.plan(identity, interval_seconds(identity, connection))

    def is_due(self, identity: Identity, connection: ProviderConnection, *, early: float = 0.0) -> bool:
        """Whether the last check is an interval ago; `early` is the part of the interval by which it may be earlier."""
        return self._age_seconds(identity) >= interval_seconds(identity, connection) * (1 - early)

    async def _check_if_due(
        self, identity: Identity, connection: ProviderConnection, source: RequestSource
    ) -> Identity:
        if identity.must_sign_in or not self.is_due(identity, connection):
            return identity
        return await self.check(identity, connection, source)

    async def check(
        self, identity: Identity, connection: ProviderConnection, source: RequestSource | None, *, early: float = 0.0
    ) -> Identity:
        """The identity after one check; of several at the same moment one asks the provider."""
        lock = self.redis.lock(_LOCK + identity.key, timeout=_LOCK_SECONDS)
        if not await lock.acquire(blocking=False):
            return await self._wait_for_other_check(identity)
        try:
            current = await self.identities.load(identity.key)
            if current is None or current.must_sign_in or not self.is_due(current, connection, early=early):
                return current or replace(identity, must_sign_in=True)
            return await self._ask(current, connection, source)
        finally:
            with suppress(LockError):  # it has expired, and another check may have it now
                await lock.release()

    async def _ask(self, identity: Identity, connection: ProviderConnection, source: RequestSource | None) -> Identity:
        if identity.refresh_token is None:
            return await self._require_sign_in(identity, Reason.LOGIN_REQUIRED, source)
        try:
            refresh_token = self.encryption.decrypt(
                identity.refresh_token, provider_id=identity.provider, subject=identity.subject
            )
        except EncryptionError:
            return await self._require_sign_in(identity, Reason.DECRYPTION_FAILED, source)
        try:
            response = await connection.refresh(refresh_token)
            if response.refresh_token not in {None, refresh_token}:
                identity = await self._keep_token(identity, response)
            tokens = await connection.read_refreshed(response)
        except ProviderFailure as failure:
            return await self._handle_failure(identity, failure, source)
        return await self._accept(identity, connection.provider, tokens, source)

    async def _keep_token(self, identity: Identity, response: TokenResponse) -> Identity:
        """The new refresh token of the provider is stored before anything else, which can fail: the old one is used."""
        renewed = self.encryption.encrypt(
            response.refresh_token, provider_id=identity.provider, subject=identity.subject
        )
        identity = replace(identity, refresh_token=renewed)
        await self.identities.save(identity)
        return identity

    async def _handle_failure(
        self, identity: Identity, failure: ProviderFailure, source: RequestSource | None
    ) -> Identity:
        if failure.account_is_gone:
            return await self._end(identity, Reason.ACCOUNT_GONE, source)
        if failure.upstream_error in _SIGN_IN_ERRORS:
            return await self._require_sign_in(identity, Reason(failure.problem.value), source)
        log.warning("recheck_failed", provider=identity.provider, problem=failure.problem, cause=failure.description)
        return identity

    async def _accept(
        self, identity: Identity, provider: IdentityProvider, tokens: ProviderTokens, source: RequestSource | None
    ) -> Identity:
        """Without an ID token (OpenID Connect Core section 12.2), a claim that was known before may only be left out.

        Then the next sign-in decides: the check neither succeeds nor ends the access for good.
        """
        known = identity.claims.keys() & set(provider.claims_to_keep)
        kept: Mapping[str, Any] = {}
        try:
            if tokens.claims:
                if subject_of(tokens.claims, provider) != identity.subject:
                    return await self._require_sign_in(identity, Reason.PROVIDER_BAD_ID_TOKEN, source)
                kept = read_allowed_claims(provider, tokens.claims)
        except ProviderFailure:
            return await self._require_sign_in(identity, Reason.PROVIDER_BAD_ID_TOKEN, source)
        except PersonRefused as refusal:
            if tokens.has_id_token:
                return await self._refuse(identity, refusal.reason, source)
            return await self._require_sign_in(identity, Reason.PROVIDER_BAD_RESPONSE, source)
        if not tokens.has_id_token and not known <= kept.keys():
            return await self._require_sign_in(identity, Reason.PROVIDER_BAD_RESPONSE, source)
        identity = replace(identity, claims=kept, checked_at_seconds=self.clock())
        await self.identities.save(identity)
        return identity

    async def _refuse(self, identity: Identity, reason: Reason, source: RequestSource | None) -> Identity:
        """The claims do not let the user sign in: for good if they do not satisfy `allow`."""
        if reason is Reason.NOT_ALLOWED:
            return await self._end(identity, reason, source)
        return await self._require_sign_in(identity, reason, source)

    async def _end(self, identity: Identity, reason: Reason, source: RequestSource | None) -> Identity:
        """The user is gone there: sessions and families here end, whatever way the user signed in."""
        ended = replace(identity, must_sign_in=True, is_gone=True, refresh_token=None, checked_at_seconds=self.clock())
        await self._record(identity, Action.ACCOUNT_ENDED, reason, source)
        await self.store.change(identity.account, lambda account: end_sign_ins(account, self.clock()))
        await self.revocation.revoke_all(identity.account)
        await self.identities.save(ended)
        return ended

    async def _require_sign_in(self, identity: Identity, reason: Reason, source: RequestSource | None) -> Identity:
        """Sessions and families wait until the user has signed in at the provider again."""
        waiting = replace(identity, must_sign_in=True, refresh_token=None)
        await self._record(identity, Action.SIGN_IN_REQUIRED, reason, source)
        await self.identities.save(waiting)
        return waiting

    async def _record(self, identity: Identity, action: Action, reason: Reason, source: RequestSource | None) -> None:
        await self.record(
            source,
            event_type=EventType.ACCOUNT_RECHECK,
            action=action,
            user_id=identity.account,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    async def _wait_for_other_check(self, identity: Identity) -> Identity:
        """The identity after the check of another request."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._wait_until_released(_LOCK + identity.key)
        except TimeoutError as error:
            raise TemporarilyUnavailable(
                "the identity provider is being asked about the user", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from error
        return await self.identities.load(identity.key) or replace(identity, must_sign_in=True)

    async def _wait_until_released(self, lock: str) -> None:
        while True:
            if not await self.redis.exists(lock):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _find(self, subject: str, provider: str | None) -> tuple[Identity, ProviderConnection] | None:
        """The identity at the provider with which a user signed in; None for a password, or without a link."""
        connection = self.connections.find(provider) if provider is not None else None
        if connection is None:
            return None
        linked = await self.identities.of_account(subject)
        identity = next((each for each in linked if each.provider == provider), None)
        return (identity, connection) if identity is not None else None

    async def _has_ended(self, identity: Identity, grant: AuthorizationGrant) -> bool:
        """Whether the family of this grant has ended for good."""
        account = await self.store.find(identity.account)
        return account is None or grant.signed_in_at_seconds < account.signed_out_at_seconds

    def _is_too_old(self, identity: Identity, connection: ProviderConnection) -> bool:
        """Whether the last check is so long ago that the provider has to answer first."""
        return self._age_seconds(identity) > 2 * interval_seconds(identity, connection)

    def _age_seconds(self, identity: Identity) -> float:
        return self.clock() - identity.checked_at_seconds


def interval_seconds(identity: Identity, connection: ProviderConnection) -> int:
    """How long a check is valid. Without a refresh token of the provider it is the time until the next sign-in."""
    declared = connection.provider.declared
    return declared.recheck_seconds if identity.refresh_token is not None else declared.max_age_seconds

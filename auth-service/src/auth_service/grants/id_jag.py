"""Redeems ID-JAGs: assertions about a user that an identity provider has issued to a client.

Enterprise-managed authorization of MCP: the administrators of the provider decide which clients get assertions, so the
user sees no page here. The access token belongs to the same account as a sign-in at the provider, under the same
`allow` and `rules`. There is no refresh token: the client gets a new assertion of the provider
(draft-ietf-oauth-identity-assertion-authz-grant-04). Keys: `auth:id-jag:<digest of issuer and jti>`, the assertions
that were used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis

from auth_service.accounts.account import Account
from auth_service.accounts.claim_rules import apply_rules
from auth_service.accounts.consents import grantable_scopes
from auth_service.accounts.directory import with_claim_grants
from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.credentials import REFUSAL
from auth_service.errors import (
    AccessDenied,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    TemporarilyUnavailable,
)
from auth_service.federation.foreign_tokens import mark_used
from auth_service.federation.id_jag_rules import actor_of, bad_id_jag, texts_of
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.people import People, Person, PersonRefused, authenticated_at, methods_of
from auth_service.federation.provider_connection import ProviderConnection
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.user_tokens import UserTokenMinter
from auth_service.http.metrics import Metrics
from auth_service.protocol import Clock
from auth_service.scopes import IDENTITY_SCOPES, parse_scope
from auth_service.token_status.status_indices import ListKind, StatusIndices
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.live_grants import LiveGrants
from auth_service.tokens.resources import Resource, Resources, is_same_resource
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["ASSERTION_REFUSAL", "IdJagRedemption"]

# One text for every failure: a response must not reveal which issuers, people and conditions are declared.
ASSERTION_REFUSAL = "the assertion is not accepted; the cause is in the log of this server"

_USED = "auth:id-jag:"
_RETRY_AFTER_SECONDS = 30
_OUTAGES = frozenset({ProviderProblem.UNREACHABLE, ProviderProblem.MISCONFIGURED})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdJagRedemption:
    """Exchanges an ID-JAG for an access token. `issuer` is that of this server.

    Raises `RedisError` and `JournalUnavailable`.
    """

    issuer: str
    connections: ProviderConnections
    people: People
    logouts: ProviderLogouts
    resources: Resources
    statuses: StatusIndices
    live_grants: LiveGrants
    tokens: UserTokenMinter
    new_family_id: Callable[[], str]
    redis: Redis
    record: AuditRecorder
    metrics: Metrics
    clock: Clock

    async def redeem(self, request: TokenRequest, assertion: str, named_issuer: Any) -> TokenResponse:
        """The access token. `named_issuer` is `iss` of the assertion, which is not verified yet.

        Raises `InvalidGrant` with the same text for every defect of the assertion, `InvalidClient` for a public client
        that is not listed, `InvalidTarget` and `InvalidScope` for what the request asks for, and
        `TemporarilyUnavailable` if the keys of the provider are not available.
        """
        connection = self._find_connection(named_issuer)
        if connection is None:
            raise self._refuse(request, "unknown", "no provider with enterprise_managed in auth.yaml issued it")
        provider_id = connection.provider.id
        await self._check_public_client(request, connection.provider)
        try:
            response = await self._redeem(request, assertion, connection)
        except ProviderFailure as failure:
            if failure.problem in _OUTAGES:
                raise self._report_outage(request, provider_id, failure) from failure
            raise self._refuse(request, provider_id, failure.description) from failure
        except PersonRefused as refusal:
            await self._record_refused_person(request, refusal.reason)
            raise self._refuse(request, provider_id, refusal.description, hint=refusal.hint) from refusal
        self.metrics.id_jags.labels(provider_id, "accepted").inc()
        return response

    async def _redeem(self, request: TokenRequest, assertion: str, connection: ProviderConnection) -> TokenResponse:
        provider = connection.provider
        claims = await connection.read_id_jag(assertion, issuer=self.issuer, client_id=request.client.client_id)
        resource = self._find_resource(request, claims)
        person = await self.people.admit_asserted(provider, claims)
        if person.is_new:
            await self._record_new_account(request, person)
        account = _with_rules(person, provider)
        await self._check_not_signed_out(account, provider, claims)
        scopes = _grant_scopes(request, claims, resource, account)
        await self._mark_used(claims)
        status = await self.statuses.assign(ListKind.GRANTS)
        grant = AuthorizationGrant(
            family_id=self.new_family_id(),
            client_id=request.client.client_id,
            subject=account.subject,
            resource=resource.url,
            scopes=scopes,
            signed_in_at_seconds=int(claims["iat"]),
            methods=methods_of(claims),
            provider=provider.id,
            authenticated_at_seconds=_whole_seconds(authenticated_at(claims)),
            status=status,
            is_asserted=True,
        )
        await self.live_grants.add(grant, status, has_refresh_token=False)
        # Read again: what ended the account before the grant was stored has not revoked it.
        current = await self.people.admit_asserted(provider, claims)
        await self._check_not_signed_out(current.account, provider, claims)
        return await self.tokens.mint(
            grant, request.client, scopes=scopes, status=status, refresh_token=None, actor=actor_of(claims)
        )

    def _find_connection(self, issuer: Any) -> ProviderConnection | None:
        """The connection to the provider with this issuer, if auth.yaml accepts its assertions."""
        for connection in self.connections:
            provider = connection.provider
            is_named = issuer == provider.issuer and issuer != self.issuer
            if is_named and provider.declared.enterprise_managed is not None:
                return connection
        return None

    async def _check_public_client(self, request: TokenRequest, provider: IdentityProvider) -> None:
        """Raises `InvalidClient`: without authentication, anyone who has copied an assertion could redeem it."""
        enterprise_managed = provider.declared.enterprise_managed
        listed = enterprise_managed.public_clients if enterprise_managed is not None else ()
        if not request.client.is_public or request.client.client_id in listed:
            return
        await self.record(
            request,
            event_type=EventType.CLIENT_REFUSED,
            action=Action.REFUSED,
            client_id=request.client.client_id,
            reason=InvalidClient.error,
            outcome=Outcome.REFUSED,
        )
        raise InvalidClient(REFUSAL)

    def _find_resource(self, request: TokenRequest, claims: Mapping[str, Any]) -> Resource:
        """The resource that the request and the assertion agree on.

        Raises `ProviderFailure` if the assertion names one that is not declared, `InvalidTarget` if the request names
        another one, or the assertion several and the request none.
        """
        named = texts_of(claims, "resource")
        for url in named:
            try:
                self.resources.find(url)
            except (KeyError, InvalidTarget) as error:
                raise bad_id_jag(f"no resource has the identifier {url!a}") from error
        if not named:
            return self.resources.resolve(request.resources, request.client)
        if not request.resources:
            if not all(is_same_resource(url, named[0]) for url in named):
                raise InvalidTarget("the assertion is for several resources: send one of them as resource")
            return self.resources.resolve(named[:1], request.client)
        resource = self.resources.resolve(request.resources, request.client)
        if not any(is_same_resource(url, resource.url) for url in named):
            raise InvalidTarget("the assertion is for another resource")
        return resource

    async def _check_not_signed_out(
        self, account: Account, provider: IdentityProvider, claims: Mapping[str, Any]
    ) -> None:
        """An assertion from before a sign-out does not count after it."""
        issued_at_seconds = int(claims["iat"])
        ended_at_provider = await self.logouts.has_ended(
            provider=provider.id, account=account.subject, session_id=None, signed_in_at_seconds=issued_at_seconds
        )
        if ended_at_provider or issued_at_seconds < account.signed_out_at_seconds:
            raise bad_id_jag("the user has signed out since it was issued")

    async def _mark_used(self, claims: Mapping[str, Any]) -> None:
        """Raises `ProviderFailure` if a replica has accepted this assertion before, of any client."""
        if not await mark_used(self.redis, _USED, claims, self.clock()):
            raise bad_id_jag("it was used before")

    async def _record_new_account(self, request: TokenRequest, person: Person) -> None:
        await self.record(
            request,
            event_type=EventType.ACCOUNT_CREATED,
            action=Action.ACCOUNT_MADE,
            client_id=request.client.client_id,
            user_id=person.account.subject,
            reason=Reason.LOOK_ALIKE if person.looks_alike else None,
        )

    async def _record_refused_person(self, request: TokenRequest, reason: Reason) -> None:
        await self.record(
            request,
            event_type=EventType.SIGN_IN_REFUSED,
            action=Action.REFUSED,
            client_id=request.client.client_id,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    def _refuse(self, request: TokenRequest, provider_id: str, cause: str, *, hint: str = "") -> InvalidGrant:
        """The error of an assertion that is refused; the cause is only in the log."""
        self.metrics.id_jags.labels(provider_id, "refused").inc()
        log.warning("id_jag_refused", provider=provider_id, cause=cause, hint=hint, trace_id=request.trace_id)
        return InvalidGrant(ASSERTION_REFUSAL)

    def _report_outage(
        self, request: TokenRequest, provider_id: str, failure: ProviderFailure
    ) -> TemporarilyUnavailable:
        """The error while the keys of the provider are not available."""
        self.metrics.id_jags.labels(provider_id, "unavailable").inc()
        log.warning(
            "id_jag_not_verified",
            provider=provider_id,
            cause=failure.description,
            hint=failure.hint,
            trace_id=request.trace_id,
        )
        return TemporarilyUnavailable(
            "the keys of the identity provider are not available", retry_after_seconds=_RETRY_AFTER_SECONDS
        )


def _with_rules(person: Person, provider: IdentityProvider) -> Account:
    return with_claim_grants(person.account, [apply_rules(person.identity.claims, provider.declared.rules)])


def _grant_scopes(
    request: TokenRequest, claims: Mapping[str, Any], resource: Resource, account: Account
) -> tuple[str, ...]:
    """What the request, the assertion, the client and the rules for the user all allow.

    Without `scope` in the request, those of the assertion or else of the client are requested. Raises `InvalidScope` if
    none remain, `ProviderFailure` if the assertion has a scope that the resource does not have.
    """
    asserted = _asserted_scopes(claims, resource)
    requested = request.scopes or asserted or request.client.default_scopes
    allowed = request.client.scopes & resource.scopes.keys()
    if asserted is not None:
        allowed &= frozenset(asserted)
    return _grantable([scope for scope in requested if scope in allowed], account)


def _asserted_scopes(claims: Mapping[str, Any], resource: Resource) -> tuple[str, ...] | None:
    """The scopes of the assertion; None if it has no claim `scope`."""
    value: Any = claims.get("scope")
    if value is None:
        return None
    try:
        scopes = parse_scope(value) if isinstance(value, str) else None
    except InvalidScope as error:
        raise bad_id_jag("scope has characters or a number of values that are not allowed") from error
    if scopes is None:
        raise bad_id_jag("scope is not a list of scopes in one text")
    unknown = [scope for scope in scopes if scope not in resource.scopes and scope not in IDENTITY_SCOPES]
    if unknown:
        raise bad_id_jag(f"{resource.url} does not have the scope {unknown[0]}")
    return scopes


def _grantable(scopes: Sequence[str], account: Account) -> tuple[str, ...]:
    """Raises `InvalidScope` if the user may grant none of them."""
    try:
        return grantable_scopes(scopes, account)
    except AccessDenied as error:  # not an error of the token endpoint (RFC 6749 section 5.2)
        raise InvalidScope("the rules of the user's identity provider allow none of the scopes") from error


def _whole_seconds(seconds: float | None) -> int | None:
    return int(seconds) if seconds is not None and math.isfinite(seconds) else None

"""POST /oauth2/backchannel-logout/{provider}: an identity provider reports that a user has signed out there.

    logout token ─▶ signature, LOGOUT_TOKEN_RULES, not used before ─▶ `sid`: that session    `sub`: all of the user
                                                                  ─▶ sessions here end, and grants

OpenID Connect Back-Channel Logout 1.0. Grants with the scope `offline_access` continue (section 2.7), unless the
declaration of the provider has `on_logout: everything`. Keys: `auth:logout-token:<digest>`, the tokens that were used.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.identities import Identities
from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.declared_providers import OnLogout
from auth_service.errors import InvalidRequest, TemporarilyUnavailable
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.logout_token_rules import LOGOUT_TOKEN_LIFETIME_SECONDS, bad_logout_token, session_id_of
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.http.application import new_router
from auth_service.http.dependencies import FormBody, context_of
from auth_service.http.forms import Form
from auth_service.http.metrics import Metrics
from auth_service.http.openapi import ERROR_RESPONSES
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import NO_STORE
from auth_service.paths import BACKCHANNEL_LOGOUT_PATH
from auth_service.scopes import Scope
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.tokens.live_grants import LiveGrant
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["BackchannelLogout"]

_USED = "auth:logout-token:"
_RETRY_AFTER_SECONDS = 30
_PARAMETERS = ParameterTable(Parameter("logout_token", "The logout token, signed by the provider.", required=True))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackchannelLogout:
    """The endpoint. Raises `RedisError`, `JournalUnavailable`."""

    connections: ProviderConnections
    identities: Identities
    logouts: ProviderLogouts
    revocation: GrantRevocation
    redis: Redis
    record: AuditRecorder
    metrics: Metrics

    def make_router(self) -> APIRouter:
        router = new_router("sign-out")
        router.add_api_route(
            BACKCHANNEL_LOGOUT_PATH,
            self.respond,
            methods=["POST"],
            operation_id="backchannel-logout",
            summary="An identity provider signs a user out (OpenID Connect Back-Channel Logout)",
            responses={
                **ERROR_RESPONSES,
                200: {"description": "The sessions have ended, or there were none. The body is empty."},
                404: {"description": "No identity provider has this id."},
            },
            openapi_extra=_PARAMETERS.as_form(),
        )
        return router

    async def respond(
        self, http: Request, provider: str, form: Annotated[Form, Depends(FormBody(_PARAMETERS))]
    ) -> Response:
        """An empty response with status 200. Raises `InvalidRequest` if the token is refused (section 2.8)."""
        connection = self.connections.find(provider)
        if connection is None:
            raise HTTPException(404)
        source = context_of(http)
        try:
            claims = await connection.read_logout_token(form.require("logout_token"))
            account = await self._end_once(connection.provider, claims)
        except ProviderFailure as failure:
            await self._refuse(connection.provider, failure, source)
            raise _error_of(failure) from failure
        self.metrics.provider_logouts.labels("unknown" if account is None else "ended").inc()
        if account is not None:
            await self.record(
                source,
                event_type=EventType.PROVIDER_LOGOUT,
                action=Action.SIGNED_OUT,
                user_id=account,
                reason=connection.provider.id,
            )
        return Response(headers=NO_STORE)

    async def _end_once(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> str | None:
        """The account whose sign-ins ended; None if there is none. Raises `ProviderFailure` for a used token."""
        used = _USED + hashlib.sha256(f"{provider.id}\n{claims['jti']}".encode()).hexdigest()
        if not await self.redis.set(used, "1", nx=True, ex=LOGOUT_TOKEN_LIFETIME_SECONDS):
            raise bad_logout_token("jti was used before")
        try:
            return await self._end(provider, claims)
        except ProviderFailure:
            raise
        except Exception:
            await self.redis.delete(used)  # so that the provider can send it again
            raise

    async def _end(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> str | None:
        session_id, ends_everything = session_id_of(claims), provider.declared.on_logout is OnLogout.EVERYTHING
        account, is_known = await self._find_account(provider, claims, session_id)
        if session_id is not None:
            # Also if the session is not known: a sign-in can be under way, and it must not begin after its end.
            await self.logouts.end_session(provider.id, session_id, ends_offline_access=ends_everything)
        elif account is not None:
            await self.logouts.end_account(provider.id, account, ends_offline_access=ends_everything)
        if account is None:
            return None

        def is_ended(grant: LiveGrant) -> bool:
            is_of_session = grant.provider == provider.id and session_id in {None, grant.provider_session}
            return is_of_session and (ends_everything or Scope.OFFLINE_ACCESS not in grant.scopes)

        ended = await self.revocation.revoke_all(account, concerns=is_ended)
        if session_id is not None:
            await self.logouts.shorten_end_of_session(provider.id, session_id)
        return account if is_known or ended else None

    async def _find_account(
        self, provider: IdentityProvider, claims: Mapping[str, Any], session_id: str | None
    ) -> tuple[str | None, bool]:
        """The account of `sid`, otherwise of `sub`, and whether a session of it is known.

        Raises `ProviderFailure` if `sid` and `sub` belong to different accounts.
        """
        subject = claims.get(provider.preset.subject_claim)
        if session_id is None and not isinstance(subject, str):
            raise bad_logout_token(f"sid and {provider.preset.subject_claim} are both missing")
        identity = await self.identities.find_at(provider.declared, subject) if isinstance(subject, str) else None
        by_subject = identity.account if identity is not None else None
        by_session = await self.logouts.find_account(provider.id, session_id) if session_id is not None else None
        if by_session is not None and by_subject not in {None, by_session}:
            raise bad_logout_token("sid is a session of another user than sub")
        return by_session or by_subject, by_session is not None or session_id is None

    async def _refuse(self, provider: IdentityProvider, failure: ProviderFailure, source: RequestSource) -> None:
        log.warning(
            "backchannel_logout_refused",
            provider=provider.id,
            problem=failure.problem,
            cause=failure.description,
            hint=failure.hint,
            trace_id=source.trace_id,
        )
        self.metrics.provider_logouts.labels("refused").inc()
        reason = Reason(failure.problem.value) if _is_outage(failure) else Reason.PROVIDER_BAD_LOGOUT_TOKEN
        await self.record(
            source, event_type=EventType.PROVIDER_LOGOUT, action=Action.REFUSED, reason=reason, outcome=Outcome.REFUSED
        )


def _is_outage(failure: ProviderFailure) -> bool:
    """Whether the keys of the provider are not available, so that the token could not be checked."""
    return failure.problem in {ProviderProblem.UNREACHABLE, ProviderProblem.MISCONFIGURED}


def _error_of(failure: ProviderFailure) -> InvalidRequest | TemporarilyUnavailable:
    if _is_outage(failure):
        return TemporarilyUnavailable(
            "the keys of the identity provider are not available", retry_after_seconds=_RETRY_AFTER_SECONDS
        )
    return InvalidRequest("the logout token is not valid; the cause is in the log of this server")

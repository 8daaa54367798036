"""/oauth2/sign-in/{provider} and /oauth2/callback/{provider}: the trip to an identity provider and back.

The response of the provider is accepted for one authorization request, in the browser that began it, once. Whatever the
provider says, the flow then continues as after a sign-in with a password: a session at the provider does not replace
the consent for a client.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.client_redirects import add_query
from auth_service.authorize.interaction_policy import Step
from auth_service.authorize.page_errors import (
    OtherBrowser,
    PersonNotAllowed,
    ProviderClientRefused,
    ProviderFailed,
    ProviderRefusedUser,
    ProviderResponseRefused,
    ProviderSignInRefused,
    ProviderUnavailable,
    ProviderUnknown,
    RequestExpired,
)
from auth_service.authorize.provider_messages import (
    CALLBACK_PARAMETERS,
    authorization_parameters,
    check_issuer,
    check_no_error,
    is_recent_enough,
    read_code,
)
from auth_service.authorize.visits import VISIT_PARAMETERS, Visit
from auth_service.errors import LoginRequired, UnmetAuthenticationRequirements
from auth_service.federation.id_token_rules import subject_of
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.logout_token_rules import session_id_of
from auth_service.federation.pending_sign_ins import PendingSignIn, PendingSignIns, interaction_of
from auth_service.federation.people import People, Person, PersonRefused, SignInAtProvider, authenticated_at, methods_of
from auth_service.federation.provider_connection import ProviderConnection, ProviderTokens
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.rechecks import Rechecks, interval_seconds
from auth_service.federation.refresh_token_encryption import RefreshTokenEncryption
from auth_service.http.application import new_router
from auth_service.http.dependencies import QueryString, context_of
from auth_service.http.forms import Form
from auth_service.http.openapi import PAGE_RESPONSES
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.rate_limits import Throttle
from auth_service.http.responses import see_other
from auth_service.paths import PROVIDER_CALLBACK_PATH, PROVIDER_SIGN_IN_PATH
from auth_service.protocol import Clock
from auth_service.web.error_pages import NextStep, PageError
from auth_service.web.sessions import Sessions
from auth_service.web.visible_names import visible_name
from security_common.audit import Action, EventType, Reason

__all__ = ["ProviderSignIn"]

_START_PARAMETERS = ParameterTable(
    *VISIT_PARAMETERS, Parameter("account", "With the value other, the provider asks which account to use.")
)
_OTHER_ACCOUNT = "other"

_PAGES: Mapping[ProviderProblem, type[PageError]] = MappingProxyType(
    {
        ProviderProblem.UNREACHABLE: ProviderUnavailable,
        ProviderProblem.MISCONFIGURED: ProviderUnavailable,
        ProviderProblem.CLIENT_REFUSED: ProviderClientRefused,
        ProviderProblem.CODE_REFUSED: ProviderSignInRefused,
        ProviderProblem.BAD_RESPONSE: ProviderFailed,
        ProviderProblem.BAD_ID_TOKEN: ProviderFailed,
        ProviderProblem.ERROR: ProviderFailed,
        ProviderProblem.DENIED: ProviderRefusedUser,
    }
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSignIn:
    """`starts` counts the trips that one address began."""

    flow: AuthorizationFlow
    sessions: Sessions
    connections: ProviderConnections
    pending: PendingSignIns
    people: People
    encryption: RefreshTokenEncryption
    rechecks: Rechecks
    logouts: ProviderLogouts
    starts: Throttle
    clock: Clock

    def make_router(self) -> APIRouter:
        router = new_router("pages")
        for path, handler, operation_id, summary, table in (
            (PROVIDER_SIGN_IN_PATH, self.respond, "provider-sign-in", "Sign in at a provider", _START_PARAMETERS),
            (
                PROVIDER_CALLBACK_PATH,
                self.respond_to_callback,
                "provider-callback",
                "Response of a provider",
                CALLBACK_PARAMETERS,
            ),
        ):
            router.add_api_route(
                path,
                handler,
                operation_id=operation_id,
                summary=summary,
                responses=PAGE_RESPONSES,
                openapi_extra=table.as_query(),
            )
        return router

    async def respond(
        self, http: Request, provider: str, form: Annotated[Form, Depends(QueryString(_START_PARAMETERS))]
    ) -> Response:
        """The redirect to the provider."""
        connection = self._connection(provider)
        try:
            visit = await self.flow.visit(form, http)
        except OtherBrowser as error:
            raise RequestExpired(error.description, next_step=error.next_step, ui_locales=error.ui_locales) from error
        return await self.begin(visit, connection, http, other_account=form.get("account") == _OTHER_ACCOUNT)

    async def begin(
        self, visit: Visit, connection: ProviderConnection, http: Request, *, other_account: bool = False
    ) -> Response:
        """The redirect to the provider for this authorization request. Raises a `PageError`."""
        source_address = context_of(http).source_address
        self.starts.check(source_address)
        await self.starts.count(source_address)
        try:
            metadata = await connection.metadata()
        except ProviderFailure as failure:
            raise self._page_of(failure, visit, connection.provider, http) from failure
        pending = PendingSignIn(
            provider=connection.provider.id,
            nonce=self.pending.new_secret(),
            code_verifier=self.pending.new_secret(),
            started_at_seconds=self.clock(),
            max_age_seconds=visit.request.max_age_seconds,
        )
        state = await self.pending.begin(pending, interaction_id=visit.interaction_id, secret=visit.secret)
        other_account = other_account or self.sessions.must_choose_account(http)
        parameters = authorization_parameters(connection.provider, visit.request, pending, state, other_account)
        return see_other(add_query(metadata.authorization_endpoint, parameters))

    def start_address(self, visit: Visit, provider_id: str, *, other_account: bool = False) -> str:
        """The address that begins the trip to this provider."""
        address = visit.address(Step.SIGN_IN).replace(f"/{Step.SIGN_IN}?", f"/{Step.SIGN_IN}/{provider_id}?", 1)
        return f"{address}&account={_OTHER_ACCOUNT}" if other_account else address

    async def respond_to_callback(
        self, http: Request, provider: str, form: Annotated[Form, Depends(QueryString(CALLBACK_PARAMETERS))]
    ) -> Response:
        """What follows after the sign-in: the consent page, or the redirect to the client. Raises a `PageError`."""
        connection = self._connection(provider)
        visit, pending = await self._match(form, provider, http)
        try:
            metadata = await connection.metadata()
            check_issuer(form, connection.provider, metadata)
            check_no_error(form)
            tokens = await connection.redeem_code(
                read_code(form), code_verifier=pending.code_verifier, nonce=pending.nonce
            )
        except ProviderFailure as failure:
            await self.flow.record_refused_sign_in(visit, http, Reason(failure.problem.value))
            raise self._page_of(failure, visit, connection.provider, http) from failure
        except ProviderResponseRefused:
            await self.flow.record_refused_sign_in(visit, http, Reason.RESPONSE_NOT_EXPECTED)
            raise
        if not is_recent_enough(visit.request, pending, tokens.claims, self.clock()):
            await self.flow.record_refused_sign_in(visit, http, Reason.REQUIREMENT_NOT_MET)
            return await self.flow.refuse(visit, LoginRequired("the sign-in at the identity provider is too old"), http)
        return await self._admit(visit, connection, pending, tokens, http)

    async def _match(self, form: Form, provider: str, http: Request) -> tuple[Visit, PendingSignIn]:
        """The authorization request of this response in this browser. Raises `ProviderResponseRefused`."""
        state = form.get("state") or ""
        interaction_id = interaction_of(state)
        if form.repeated or interaction_id is None:
            raise ProviderResponseRefused("state is missing or unknown, or a parameter is repeated")
        try:
            visit = await self.flow.visits.find_by_id(interaction_id, "", http)
        except (OtherBrowser, RequestExpired) as error:
            raise ProviderResponseRefused(error.description) from error
        pending = await self.pending.take(state, interaction_id=interaction_id, secret=visit.secret)
        again = NextStep("next_step.sign_in_again", visit.address(Step.SIGN_IN))
        if visit.interaction.finished:
            raise visit.finished_error()
        if pending is None:
            raise ProviderResponseRefused("this response was used before, or came too late", next_step=again)
        if pending.provider != provider:
            raise ProviderResponseRefused("this response belongs to another identity provider", next_step=again)
        return visit, pending

    async def _admit(
        self,
        visit: Visit,
        connection: ProviderConnection,
        pending: PendingSignIn,
        tokens: ProviderTokens,
        http: Request,
    ) -> Response:
        provider = connection.provider
        subject = subject_of(tokens.claims, provider)
        sign_in = SignInAtProvider(
            provider=provider,
            claims=tokens.claims,
            refresh_token=self.encryption.encrypt(tokens.refresh_token, provider_id=provider.id, subject=subject),
        )
        try:
            person = await self.people.admit(sign_in)
        except PersonRefused as refusal:
            identity = await self.people.identities.find_at(provider.declared, subject)
            if identity is not None:
                await self.rechecks.apply_refusal(identity, refusal.reason, context_of(http))
            return await self._refuse_person(refusal, visit, provider, http)
        await self.rechecks.schedule.plan(person.identity, interval_seconds(person.identity, connection))
        await self._record_sign_in(person, visit, provider, http)
        session_id = session_id_of(tokens.claims)
        if session_id is not None:
            await self.logouts.add_session(provider.id, session_id, person.account.subject)
        browser = await self.sessions.sign_in(
            visit.browser,
            person.account.subject,
            methods_of(tokens.claims),
            provider=provider.id,
            authenticated_at_seconds=authenticated_at(tokens.claims),
            provider_session=session_id,
            interaction_id=visit.interaction_id,
        )
        # After the session has begun: a sign-out from now on ends it.
        has_signed_out = await self.logouts.has_ended(
            provider=provider.id,
            account=person.account.subject,
            session_id=session_id,
            signed_in_at_seconds=pending.started_at_seconds,
        )
        if has_signed_out:
            await self.sessions.sign_out(browser)
            await self.flow.record_refused_sign_in(visit, http, Reason.RESPONSE_NOT_EXPECTED)
            again = NextStep("next_step.sign_in_again", visit.address(Step.SIGN_IN))
            raise ProviderResponseRefused("the user has signed out at the provider during the sign-in", next_step=again)
        return await self.flow.proceed(replace(visit, browser=browser), http, *self.sessions.signed_in_cookies(browser))

    async def _refuse_person(
        self, refusal: PersonRefused, visit: Visit, provider: IdentityProvider, http: Request
    ) -> Response:
        log.warning(
            "person_refused",
            provider=provider.id,
            reason=refusal.reason,
            cause=refusal.description,
            hint=refusal.hint,
            trace_id=context_of(http).trace_id,
        )
        await self.flow.record_refused_sign_in(visit, http, refusal.reason)
        if refusal.reason is Reason.REQUIREMENT_NOT_MET:
            return await self.flow.refuse(visit, UnmetAuthenticationRequirements(refusal.description), http)
        raise PersonNotAllowed(
            refusal.description,
            next_step=NextStep("next_step.other_account", self.start_address(visit, provider.id, other_account=True)),
            other_step=_other_ways(visit),
            ui_locales=visit.request.ui_locales,
            detail="provider.account_used",
            detail_parts={"account": visible_name(refusal.label) or provider.id},
        )

    async def _record_sign_in(self, person: Person, visit: Visit, provider: IdentityProvider, http: Request) -> None:
        if person.is_new:
            await self.flow.record(
                context_of(http),
                event_type=EventType.ACCOUNT_CREATED,
                action=Action.ACCOUNT_MADE,
                client_id=visit.request.client_id,
                user_id=person.account.subject,
                reason=Reason.LOOK_ALIKE if person.looks_alike else None,
            )
        await self.flow.record(
            context_of(http),
            event_type=EventType.SIGN_IN,
            action=Action.SIGNED_IN,
            client_id=visit.request.client_id,
            user_id=person.account.subject,
            reason=provider.id,
        )

    def _connection(self, provider_id: str) -> ProviderConnection:
        connection = self.connections.find(provider_id)
        if connection is None:
            raise ProviderUnknown("no identity provider has this id")
        return connection

    def _page_of(self, failure: ProviderFailure, visit: Visit, provider: IdentityProvider, http: Request) -> PageError:
        """The page for a failure; the operator finds the cause in the log."""
        log.warning(
            "provider_sign_in_failed",
            provider=provider.id,
            problem=failure.problem,
            cause=failure.description,
            hint=failure.hint,
            trace_id=context_of(http).trace_id,
        )
        return _PAGES[failure.problem](
            f"{failure.problem}: the cause is in the log of this server",
            next_step=NextStep("next_step.try_again", self.start_address(visit, provider.id)),
            other_step=_other_ways(visit),
            ui_locales=visit.request.ui_locales,
        )


def _other_ways(visit: Visit) -> NextStep:
    """The sign-in page, with all ways of signing in and a button that goes back to the app."""
    return NextStep("next_step.other_ways", f"{visit.address(Step.SIGN_IN)}&switch=yes")

"""The flow of an authorization request: which page comes next, and the response to the client when none is needed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import Consents, grantable_scopes
from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.audit_recorder import AuditRecorder
from auth_service.authorize.authorization_request import AuthorizationRequest, Prompt
from auth_service.authorize.client_redirects import button_to, error_parameters, is_trusted_target, redirect_to_client
from auth_service.authorize.interaction_policy import (
    ConsentState,
    SignedIn,
    SignInState,
    Step,
    needs_consent,
    needs_sign_in,
)
from auth_service.authorize.page_errors import ResponseHeld
from auth_service.authorize.repeatable_responses import REPEATABLE_SECONDS, RepeatableResponses
from auth_service.authorize.visits import Visit, Visits
from auth_service.clients.client import Client
from auth_service.errors import AccessDenied, ConsentRequired, LoginRequired, OAuthError
from auth_service.federation.rechecks import ProviderCheck
from auth_service.http.dependencies import context_of
from auth_service.http.forms import Form
from auth_service.http.rate_limits import Throttle
from auth_service.http.responses import Header, add_headers, see_other
from auth_service.protocol import Clock
from auth_service.scopes import format_scope
from auth_service.tokens.authorization_codes import AuthorizationCodes, IssuedCode
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.web.error_pages import PageError
from auth_service.web.sessions import Session
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["AuthorizationFlow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationFlow:
    """Every submitted form leads back to the flow, which chooses the next page.

    The only direct link is from the consent page to the sign-in page, to use another account. `waiting_requests` counts
    the requests of an address that wait for their users. Raises `RedisError`, `JournalUnavailable`.
    """

    issuer: str
    visits: Visits
    accounts: AccountDirectory
    provider_check: ProviderCheck
    provider_logouts: ProviderLogouts
    consents: Consents
    codes: AuthorizationCodes
    repeatable: RepeatableResponses
    waiting_requests: Throttle
    record: AuditRecorder
    clock: Clock

    async def begin(self, request: AuthorizationRequest, client: Client, http: Request) -> Response:
        """The first response to a request that all rules accepted: a page, or the redirect to the client.

        Raises an `OAuthError` for the client: `prompt=none` although an interaction is needed, no scope left, or too
        many waiting requests from this address.
        """
        session, now = (await self.visits.sessions.read(http)).session, self.clock()
        signed_in = None
        if session is not None:
            state = SignInState(request=request, session=session, started_at_seconds=now, now=now)
            signed_in = await self._signed_in(state, http)
        next_step = await self._next_step(request, client, signed_in)
        if isinstance(next_step, SignedIn):
            return await self._redirect_with_code(request, next_step, http)
        if Prompt.NONE in request.prompts:
            _refuse_interaction(next_step)
        source_address = context_of(http).source_address
        self.waiting_requests.check(source_address)
        await self.waiting_requests.count(source_address)
        await self.visits.directory.mark_visited(client)
        return await self.visits.begin(request, next_step, http)

    async def visit(self, form: Form, http: Request) -> Visit:
        """The visit of a page. Raises the page errors of `Visits.find`, and `RequestFinished`."""
        visit = await self.visits.find(form, http)
        # A form that is sent again gets the same response as before. A page that is only opened again must not, because
        # the client would get the same code a second time.
        if visit.interaction.finished and http.method != "POST":
            raise visit.finished_error()
        return visit

    async def proceed(self, visit: Visit, http: Request, *headers: Header) -> Response:
        """What follows after a page, with these headers: another page, or the redirect to the client."""
        try:
            next_step = await self._next_step(visit.request, visit.client, await self.signed_in(visit, http))
        except OAuthError as error:
            return await self._finish(visit, partial(self._redirect_with_error, visit, error, http), http, *headers)
        if isinstance(next_step, SignedIn):
            redirect = partial(self._redirect_with_code, visit.request, next_step, http)
            return await self._finish(visit, redirect, http, *headers)
        return see_other(visit.address(next_step), *headers)

    async def allow(self, visit: Visit, signed_in: SignedIn, scopes: tuple[str, ...], http: Request) -> Response:
        """The user allowed these scopes: the consent is stored, and the request answered once."""
        return await self._finish(visit, partial(self._allow, visit, signed_in, scopes, http), http)

    async def deny(self, visit: Visit, http: Request) -> Response:
        """The user denied, on the sign-in page or on the consent page."""
        return await self._finish(visit, partial(self._deny, visit, http), http)

    async def refuse(self, visit: Visit, error: OAuthError, http: Request) -> Response:
        """The request cannot be answered otherwise: this error is sent to the client. Raises `ResponseHeld`."""
        return await self._finish(visit, partial(self._redirect_with_error, visit, error, http), http)

    async def redirect_or_hold(
        self, response: Response, error: OAuthError, client: Client, session: Session | None, ui_locales: str | None
    ) -> Response:
        """The redirect of an error, if the browser may follow it without a question (see `client_redirects`).

        Raises `ResponseHeld`, a page with a button, if the address is unverified and the user has not consented.
        """
        address = response.headers["location"]
        if is_trusted_target(client, address) or await self._has_consented(client, session):
            return response
        raise ResponseHeld(error, next_step=button_to(address), ui_locales=ui_locales) from error

    async def record_refused_sign_in(self, visit: Visit, http: Request, reason: Reason) -> None:
        """Records that a user did not sign in. The name is not recorded: people enter passwords there by mistake."""
        await self.record(
            context_of(http),
            event_type=EventType.SIGN_IN_REFUSED,
            action=Action.REFUSED,
            client_id=visit.request.client_id,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    async def _finish(
        self, visit: Visit, make: Callable[[], Awaitable[Response]], http: Request, *headers: Header
    ) -> Response:
        """The one response to this request, however often and however concurrently a form requests it.

        The cookie of the interaction stays as long as the response can be repeated.
        """

        async def finish() -> Response:
            interaction = await self.visits.interactions.find(visit.interaction_id)
            if interaction is None or interaction.finished:
                raise visit.finished_error()
            try:
                response = await make()
            except PageError:
                raise
            except OAuthError as error:
                response = await self._redirect_with_error(visit, error, http)
            await self.visits.interactions.finish(visit.interaction_id, interaction)
            cookie = self.visits.cookies.expire_after(visit.interaction_id, visit.secret, REPEATABLE_SECONDS)
            return add_headers(response, (cookie, *headers))

        return await self.repeatable.respond_once(visit.interaction_id, "decision", visit.secret, finish)

    async def _allow(self, visit: Visit, signed_in: SignedIn, scopes: tuple[str, ...], http: Request) -> Response:
        request, subject = visit.request, signed_in.account.subject
        await self.consents.give(subject, request.client_id, request.resource, scopes, now=self.clock())
        await self.visits.directory.mark_used(visit.client)
        await self.record(
            context_of(http),
            event_type=EventType.CONSENT_GIVEN,
            action=Action.ALLOWED,
            client_id=request.client_id,
            user_id=subject,
            reason=format_scope(scopes),
        )
        return await self._redirect_with_code(request, signed_in, http)

    async def _deny(self, visit: Visit, http: Request) -> Response:
        session = visit.browser.session
        await self.record(
            context_of(http),
            event_type=EventType.CONSENT_DENIED,
            action=Action.DENIED,
            client_id=visit.request.client_id,
            user_id=session.subject if session else None,
            outcome=Outcome.REFUSED,
        )
        return await self._redirect_with_error(visit, AccessDenied("the user did not allow it"), http)

    async def _has_consented(self, client: Client, session: Session | None) -> bool:
        """Whether the user of the session has a consent for this client."""
        account = await self.account_of(session)
        if account is None:
            return False
        return any(consent.client_id == client.client_id for consent in await self.consents.all(account.subject))

    async def account_of(self, session: Session | None) -> Account | None:
        """The account of a session; None if it was deleted, disabled or signed out in the meantime."""
        account = await self.accounts.find(session.subject, session.provider) if session is not None else None
        if session is None or account is None or session.signed_in_at_seconds < account.signed_out_at_seconds:
            return None
        signed_out_at_provider = await self.provider_logouts.has_ended(
            provider=session.provider,
            account=session.subject,
            session_id=session.provider_session,
            signed_in_at_seconds=session.signed_in_at_seconds,
        )
        return None if signed_out_at_provider else account

    async def signed_in(self, visit: Visit, http: Request) -> SignedIn | None:
        """The user of the visit, or None if the user has to sign in (again) for this request."""
        session, started_at_seconds = visit.browser.session, visit.interaction.started_at_seconds
        if session is None:
            return None
        state = SignInState(
            request=visit.request,
            session=session,
            started_at_seconds=started_at_seconds,
            now=self.clock(),
            interaction_id=visit.interaction_id,
        )
        return await self._signed_in(state, http)

    async def _signed_in(self, state: SignInState, http: Request) -> SignedIn | None:
        session = state.session
        if not await self.provider_check.is_fresh(session.subject, session.provider, context_of(http)):
            return None
        account = await self.account_of(session)
        if account is None:
            return None
        return None if needs_sign_in(state) else SignedIn(account, session)

    async def _next_step(
        self, request: AuthorizationRequest, client: Client, signed_in: SignedIn | None
    ) -> Step | SignedIn:
        """The next page, or the user for whom the request can be answered. Raises `LoginRequired`, `InvalidScope`."""
        if signed_in is None:
            return Step.SIGN_IN
        account = signed_in.account
        # A new sign-in satisfies `SIGN_IN_RULES`, also that of another user than the hint names.
        if request.subject not in {None, account.subject}:
            raise LoginRequired("another user signed in than id_token_hint names")
        scopes = grantable_scopes(request.scopes, account)
        allowed = await self.consents.scopes(account.subject, request.client_id, request.resource)
        state = ConsentState(request=request, client=client, scopes=scopes, allowed=allowed)
        return Step.CONSENT if needs_consent(state) else signed_in

    async def _redirect_with_code(self, request: AuthorizationRequest, signed_in: SignedIn, http: Request) -> Response:
        session = signed_in.session
        authenticated_at_seconds = session.last_authenticated_at_seconds
        scopes = grantable_scopes(request.scopes, signed_in.account)
        newly_dropped = tuple(scope for scope in request.scopes if scope not in scopes)
        code = await self.codes.issue(
            IssuedCode(
                grant=AuthorizationGrant(
                    family_id=self.codes.new_family_id(),
                    client_id=request.client_id,
                    subject=session.subject,
                    resource=request.resource,
                    scopes=scopes,
                    signed_in_at_seconds=int(session.signed_in_at_seconds),
                    methods=session.methods,
                    dropped=request.dropped + newly_dropped,
                    provider=session.provider,
                    authenticated_at_seconds=(
                        int(authenticated_at_seconds) if authenticated_at_seconds is not None else None
                    ),
                    provider_session=session.provider_session,
                ),
                redirect_uri=request.redirect_uri,
                code_challenge=request.code_challenge,
                nonce=request.nonce,
            )
        )
        await self.record(
            context_of(http),
            event_type=EventType.CODE_ISSUED,
            action=Action.ISSUED,
            client_id=request.client_id,
            user_id=session.subject,
        )
        return redirect_to_client(request.redirect_uri, {"code": code}, issuer=self.issuer, state=request.state)

    async def _redirect_with_error(self, visit: Visit, error: OAuthError, http: Request) -> Response:
        """Raises `ResponseHeld`, unless the user has pressed a button: a trip to a provider and back needs no click."""
        request = visit.request
        response = redirect_to_client(
            request.redirect_uri, error_parameters(error), issuer=self.issuer, state=request.state
        )
        if http.method == "POST":  # a form of this server, because those of other sites arrive without its cookies
            return response
        return await self.redirect_or_hold(response, error, visit.client, visit.browser.session, request.ui_locales)


def _refuse_interaction(step: Step) -> NoReturn:
    """The errors of `prompt=none` (OpenID Connect Core section 3.1.2.6)."""
    if step is Step.CONSENT:
        raise ConsentRequired("the user has not allowed this yet")
    raise LoginRequired("the user is not signed in, or not recently enough")

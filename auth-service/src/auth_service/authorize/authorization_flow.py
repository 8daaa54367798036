"""The flow of an authorization request: which page comes next, and the response to the client when none is needed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import Consents, grantable_scopes
from auth_service.audit_recorder import AuditRecorder
from auth_service.authorize.authorization_request import AuthorizationRequest, Prompt
from auth_service.authorize.client_redirects import error_parameters, redirect_to_client
from auth_service.authorize.interaction_policy import ConsentState, SignInState, Step, needs_consent, needs_sign_in
from auth_service.authorize.repeatable_responses import REPEATABLE_SECONDS, RepeatableResponses
from auth_service.authorize.visits import Visit, Visits
from auth_service.clients.client import Client
from auth_service.errors import AccessDenied, ConsentRequired, LoginRequired, OAuthError
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
from security_common.audit import Action, EventType, Outcome

__all__ = ["AuthorizationFlow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationFlow:
    """Every page leads back to the flow, none directly to another page. Raises `RedisError`, `JournalUnavailable`."""

    issuer: str
    visits: Visits
    accounts: AccountDirectory
    consents: Consents
    codes: AuthorizationCodes
    repeatable: RepeatableResponses
    started: Throttle
    record: AuditRecorder
    clock: Clock

    async def begin(self, request: AuthorizationRequest, client: Client, http: Request) -> Response:
        """The first response to a request that all rules accepted: a page, or the redirect to the client.

        Raises an `OAuthError` for the client: `prompt=none` although an interaction is needed, no scope left, or too
        many waiting requests from this address.
        """
        session = (await self.visits.sessions.read(http)).session
        step = await self._next_step(request, client, session, self.clock())
        if step is None and session is not None:
            return await self._redirect_with_code(request, session, http)
        if Prompt.NONE in request.prompts:
            _refuse_interaction(step)
        source_address = context_of(http).source_address
        self.started.check(source_address)
        await self.started.count(source_address)
        await self.visits.directory.mark_visited(client)
        return await self.visits.begin(request, step or Step.SIGN_IN, http)

    async def visit(self, form: Form, http: Request) -> Visit:
        """The visit of a page. Raises the page errors of `Visits.find`, and `RequestFinished`."""
        visit = await self.visits.find(form, http)
        # A form that is sent again gets the same response as before. A page that is only opened again must not, because
        # the client would get the same code a second time.
        if visit.interaction.finished and http.method != "POST":
            raise visit.finished()
        return visit

    async def proceed(self, visit: Visit, http: Request, *headers: Header) -> Response:
        """What follows after a page, with these headers: another page, or the redirect to the client."""
        session = visit.browser.session
        try:
            step = await self._next_step(visit.request, visit.client, session, visit.interaction.started_at_seconds)
        except OAuthError as error:
            return await self._finish(visit, partial(self._redirect_with_error, visit.request, error), *headers)
        if step is not None or session is None:
            return see_other(visit.address(step or Step.SIGN_IN), *headers)
        return await self._finish(visit, partial(self._redirect_with_code, visit.request, session, http), *headers)

    async def allow(self, visit: Visit, session: Session, scopes: tuple[str, ...], http: Request) -> Response:
        """The user allowed these scopes: the consent is stored, and the request answered once."""
        return await self._finish(visit, partial(self._allow, visit, session, scopes, http))

    async def deny(self, visit: Visit, http: Request) -> Response:
        """The user denied, on the sign-in page or on the consent page."""
        return await self._finish(visit, partial(self._deny, visit, http))

    async def _finish(self, visit: Visit, make: Callable[[], Awaitable[Response]], *headers: Header) -> Response:
        """The one response to this request, however often and however concurrently a form asks for it.

        The cookie of the interaction stays as long as the response can be repeated.
        """

        async def finish() -> Response:
            interaction = await self.visits.interactions.find(visit.interaction_id)
            if interaction is None or interaction.finished:
                raise visit.finished()
            try:
                response = await make()
            except PageError:
                raise
            except OAuthError as error:
                response = await self._redirect_with_error(visit.request, error)
            await self.visits.interactions.finish(visit.interaction_id, interaction)
            cookie = self.visits.cookies.expire_after(visit.interaction_id, visit.secret, REPEATABLE_SECONDS)
            return add_headers(response, (cookie, *headers))

        return await self.repeatable.respond_once(visit.interaction_id, "decision", visit.secret, finish)

    async def _allow(self, visit: Visit, session: Session, scopes: tuple[str, ...], http: Request) -> Response:
        request = visit.request
        await self.consents.give(session.subject, request.client_id, request.resource, scopes, now=self.clock())
        await self.visits.directory.mark_used(visit.client)
        await self.record(
            context_of(http),
            event_type=EventType.CONSENT_GIVEN,
            action=Action.ALLOWED,
            client_id=request.client_id,
            user_id=session.subject,
            reason=format_scope(scopes),
        )
        return await self._redirect_with_code(request, session, http)

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
        return await self._redirect_with_error(visit.request, AccessDenied("the user did not allow it"))

    async def has_consented(self, client: Client, http: Request) -> bool:
        """Whether the user who is signed in in this browser has a consent for this client."""
        account = await self.account_of((await self.visits.sessions.read(http)).session)
        if account is None:
            return False
        return any(consent.client_id == client.client_id for consent in await self.consents.all(account.subject))

    async def account_of(self, session: Session | None) -> Account | None:
        """The account of a session; None if it was deleted, disabled or signed out everywhere in the meantime."""
        account = await self.accounts.find(session.subject) if session is not None else None
        if session is None or account is None or session.signed_in_at_seconds < account.signed_out_at_seconds:
            return None
        return account

    async def needs_sign_in(self, request: AuthorizationRequest, session: Session | None, since_seconds: float) -> bool:
        """Whether the user has to sign in (again) for this request, which began at `since_seconds`."""
        if session is None or await self.account_of(session) is None:
            return True
        return needs_sign_in(
            SignInState(request=request, session=session, started_at_seconds=since_seconds, now=self.clock())
        )

    async def _next_step(
        self, request: AuthorizationRequest, client: Client, session: Session | None, since_seconds: float
    ) -> Step | None:
        """The next page, or None if the request can be answered. Raises `LoginRequired`, `InvalidScope`."""
        account = await self.account_of(session)
        if account is None or await self.needs_sign_in(request, session, since_seconds):
            return Step.SIGN_IN
        if request.subject not in {None, account.subject}:
            raise LoginRequired("another user signed in than id_token_hint names")
        scopes = grantable_scopes(request.scopes, account)
        allowed = await self.consents.scopes(account.subject, request.client_id, request.resource)
        state = ConsentState(request=request, client=client, scopes=scopes, allowed=allowed)
        return Step.CONSENT if needs_consent(state) else None

    async def _redirect_with_code(self, request: AuthorizationRequest, session: Session, http: Request) -> Response:
        account = await self.account_of(session)
        if account is None:
            raise AccessDenied("the account does not exist any more")
        scopes = grantable_scopes(request.scopes, account)
        newly_dropped = tuple(scope for scope in request.scopes if scope not in scopes)
        code = await self.codes.issue(
            IssuedCode(
                grant=AuthorizationGrant(
                    family=self.codes.new_family_id(),
                    client_id=request.client_id,
                    subject=session.subject,
                    resource=request.resource,
                    scopes=scopes,
                    signed_in_at_seconds=int(session.signed_in_at_seconds),
                    methods=session.methods,
                    dropped=request.dropped + newly_dropped,
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

    async def _redirect_with_error(self, request: AuthorizationRequest, error: OAuthError) -> Response:
        return redirect_to_client(
            request.redirect_uri, error_parameters(error), issuer=self.issuer, state=request.state
        )


def _refuse_interaction(step: Step | None) -> NoReturn:
    """The errors of `prompt=none` (OpenID Connect Core section 3.1.2.6)."""
    if step is Step.CONSENT:
        raise ConsentRequired("the user has not allowed this yet")
    raise LoginRequired("the user is not signed in, or not recently enough")

"""The flow: what a request lacks decides the next page; when it lacks nothing, the client gets its code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import Consents, grantable_scopes
from auth_service.audit_recorder import AuditRecorder
from auth_service.authorize.answers import client_answer, error_parameters, see_other
from auth_service.authorize.missing import Consenting, SigningIn, Step, lacks_consent, lacks_sign_in
from auth_service.authorize.repeatable_answers import REPEATABLE_SECONDS, RepeatableAnswers
from auth_service.authorize.request import AuthorizationRequest, Prompt
from auth_service.authorize.visits import Visit, Visits
from auth_service.clients.client import Client
from auth_service.errors import AccessDenied, ConsentRequired, LoginRequired, OAuthError
from auth_service.http.forms import Form
from auth_service.http.messages import Answer, HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.protocol import Clock
from auth_service.scopes import format_scope
from auth_service.tokens.authorization_codes import AuthorizationCodes, IssuedCode
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.web.errors import PageError
from auth_service.web.sessions import Session
from security_common.audit import Action, EventType, Outcome

__all__ = ["Flow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Every page leads back here, none to another page. Raises `RedisError`, `JournalUnavailable`."""

    issuer: str
    visits: Visits
    accounts: AccountDirectory
    consents: Consents
    codes: AuthorizationCodes
    repeatable: RepeatableAnswers
    begun: Throttle
    record: AuditRecorder
    clock: Clock

    async def begin(self, request: AuthorizationRequest, client: Client, http: HttpRequest) -> Answer:
        """The first answer to a request that all rules accepted: a page to go to, or the client's answer.

        Raises an `OAuthError` for the client: `prompt=none` with something missing, no scope left, or more requests
        from this address than Redis should keep.
        """
        session = (await self.visits.sessions.read(http)).session
        step = await self._missing(request, client, session, self.clock())
        if step is None and session is not None:
            return await self._answer_with_code(request, session, http)
        if Prompt.NONE in request.prompts:
            _refuse_silently(step)
        self.begun.check(http.source_address)
        await self.begun.count(http.source_address)
        await self.visits.directory.mark_visited(client)
        return await self.visits.begin(request, step or Step.SIGN_IN, http)

    async def visit(self, form: Form, http: HttpRequest) -> Visit:
        """The visit of a page. Raises `RequestGone`, `RequestFinished`, `NotYours`, `ClientUnknown`, all pages."""
        visit = await self.visits.find(form, http)
        # A form that is sent again gets the answer it had; a page that is only opened again must not, since the
        # client would be given the same code a second time.
        if visit.interaction.finished and http.method != "POST":
            raise visit.finished()
        return visit

    async def go_on(self, visit: Visit, http: HttpRequest, *headers: tuple[str, str]) -> Answer:
        """What comes after a page, with these headers: another page, or the client's answer."""
        session = visit.browser.session
        try:
            step = await self._missing(visit.request, visit.client, session, visit.interaction.started_at_seconds)
        except OAuthError as error:
            return await self._settle(visit, partial(self._answer_with_error, visit.request, error), *headers)
        if step is not None or session is None:
            return see_other(visit.address(step or Step.SIGN_IN), *headers)
        return await self._settle(visit, partial(self._answer_with_code, visit.request, session, http), *headers)

    async def allow(self, visit: Visit, session: Session, scopes: tuple[str, ...], http: HttpRequest) -> Answer:
        """The person allowed these scopes: remembered, and answered once."""
        return await self._settle(visit, partial(self._allow, visit, session, scopes, http))

    async def deny(self, visit: Visit, http: HttpRequest) -> Answer:
        """The person said no, at either page."""
        return await self._settle(visit, partial(self._deny, visit, http))

    async def _settle(self, visit: Visit, make: Callable[[], Awaitable[Answer]], *headers: tuple[str, str]) -> Answer:
        """The one answer to this request, however often and however simultaneously a form asks for it.

        Its cookie stays for as long as the answer can be repeated.
        """

        async def settle() -> Answer:
            interaction = await self.visits.interactions.find(visit.interaction_id)
            if interaction is None or interaction.finished:
                raise visit.finished()
            try:
                answer = await make()
            except PageError:
                raise
            except OAuthError as error:
                answer = await self._answer_with_error(visit.request, error)
            await self.visits.interactions.finish(visit.interaction_id, interaction)
            cookie = self.visits.cookies.remove_later(visit.interaction_id, visit.secret, REPEATABLE_SECONDS)
            return replace(answer, headers=(*answer.headers, cookie, *headers))

        return await self.repeatable.answer_once(visit.interaction_id, "decision", visit.secret, settle)

    async def _allow(self, visit: Visit, session: Session, scopes: tuple[str, ...], http: HttpRequest) -> Answer:
        request = visit.request
        await self.consents.give(session.subject, request.client_id, request.resource, scopes, now=self.clock())
        await self.visits.directory.mark_used(visit.client)
        await self.record(
            http,
            event_type=EventType.CONSENT_GIVEN,
            action=Action.ALLOWED,
            client_id=request.client_id,
            user_id=session.subject,
            reason=format_scope(scopes),
        )
        return await self._answer_with_code(request, session, http)

    async def _deny(self, visit: Visit, http: HttpRequest) -> Answer:
        session = visit.browser.session
        await self.record(
            http,
            event_type=EventType.CONSENT_DENIED,
            action=Action.DENIED,
            client_id=visit.request.client_id,
            user_id=session.subject if session else None,
            outcome=Outcome.REFUSED,
        )
        return await self._answer_with_error(visit.request, AccessDenied("the user did not allow it"))

    async def _answer_with_error(self, request: AuthorizationRequest, error: OAuthError) -> Answer:
        return client_answer(request.redirect_uri, error_parameters(error), issuer=self.issuer, state=request.state)

    async def has_allowed(self, client: Client, http: HttpRequest) -> bool:
        """Whether the person who is signed in at this browser has ever allowed this client anything."""
        account = await self.account_of((await self.visits.sessions.read(http)).session)
        if account is None:
            return False
        return any(consent.client_id == client.client_id for consent in await self.consents.all(account.subject))

    async def account_of(self, session: Session | None) -> Account | None:
        """Who is signed in; None also when the account has gone, was disabled or signed out everywhere meanwhile."""
        account = await self.accounts.find(session.subject) if session is not None else None
        if session is None or account is None or session.signed_in_at_seconds < account.signed_out_at_seconds:
            return None
        return account

    async def needs_sign_in(self, request: AuthorizationRequest, session: Session | None, since_seconds: float) -> bool:
        """Whether somebody has to sign in (again) for this request, which began at `since_seconds`."""
        if session is None or await self.account_of(session) is None:
            return True
        state = SigningIn(request=request, session=session, started_at_seconds=since_seconds, now=self.clock())
        return lacks_sign_in(state)

    async def _missing(
        self, request: AuthorizationRequest, client: Client, session: Session | None, since_seconds: float
    ) -> Step | None:
        account = await self.account_of(session)
        if account is None or await self.needs_sign_in(request, session, since_seconds):
            return Step.SIGN_IN
        if request.subject not in {None, account.subject}:
            raise LoginRequired("somebody else signed in than id_token_hint names")
        scopes = grantable_scopes(request.scopes, account)
        allowed = await self.consents.scopes(account.subject, request.client_id, request.resource)
        asked = Consenting(request=request, client=client, scopes=scopes, allowed=allowed)
        return Step.CONSENT if lacks_consent(asked) else None

    async def _answer_with_code(self, request: AuthorizationRequest, session: Session, http: HttpRequest) -> Answer:
        account = await self.account_of(session)
        if account is None:
            raise AccessDenied("the account is gone")
        scopes = grantable_scopes(request.scopes, account)
        granted = IssuedCode(
            grant=AuthorizationGrant(
                family=self.codes.new_family_id(),
                client_id=request.client_id,
                subject=session.subject,
                resource=request.resource,
                scopes=scopes,
                signed_in_at_seconds=int(session.signed_in_at_seconds),
                methods=session.methods,
                dropped=(*request.dropped, *(scope for scope in request.scopes if scope not in scopes)),
            ),
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            nonce=request.nonce,
        )
        code = await self.codes.issue(granted)
        await self.record(
            http,
            event_type=EventType.CODE_ISSUED,
            action=Action.ISSUED,
            client_id=request.client_id,
            user_id=session.subject,
        )
        return client_answer(request.redirect_uri, {"code": code}, issuer=self.issuer, state=request.state)


def _refuse_silently(step: Step | None) -> NoReturn:
    if step is Step.CONSENT:
        raise ConsentRequired("the user has not allowed this yet")
    raise LoginRequired("the user is not signed in, or not recently enough")

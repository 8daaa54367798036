"""The flow: what a request lacks decides the next page; when it lacks nothing, the client gets its code."""

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from auth_service.accounts.model import Account, AccountDirectory
from auth_service.authorize.answers import client_answer, error_parameters, see_other
from auth_service.authorize.codes import Codes, Granted, UserGrant
from auth_service.authorize.consents import Consents
from auth_service.authorize.errors import ClientUnknown, NotYours, RequestGone
from auth_service.authorize.interactions import Interaction, Interactions
from auth_service.authorize.missing import Consenting, SigningIn, Step, lacks_consent, lacks_sign_in
from auth_service.authorize.request import AuthorizationRequest, Prompt, grantable
from auth_service.clients.model import Client, ClientDirectory
from auth_service.errors import AccessDenied, ConsentRequired, LoginRequired, OAuthError
from auth_service.http.messages import Answer, HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.record import Recorder
from auth_service.vocabulary import Clock, format_scope
from auth_service.web.sessions import Browser, Session, Sessions
from security_common.journal import Outcome

__all__ = ["Flow", "Visit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A browser at one of the pages, with the request it is there for."""

    interaction_id: str
    interaction: Interaction
    browser: Browser
    client: Client

    @property
    def request(self) -> AuthorizationRequest:
        return self.interaction.request


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Every page leads back here, none to another page. Raises `RedisError`, `JournalUnavailable`."""

    issuer: str
    directory: ClientDirectory
    accounts: AccountDirectory
    sessions: Sessions
    interactions: Interactions
    consents: Consents
    codes: Codes
    begun: Throttle
    record: Recorder
    clock: Clock

    async def begin(self, request: AuthorizationRequest, client: Client, http: HttpRequest) -> Answer:
        """The first answer to a request that all rules accepted: a page to go to, or the client's answer.

        Raises an `OAuthError` for the client: `prompt=none` with something missing, no scope left, or more requests
        from this address than Redis should keep.
        """
        browser = await self.sessions.read(http)
        step = await self._missing(request, client, browser.session, self.clock())
        if step is None and browser.session is not None:
            return await self._answer_with_code(request, browser.session, http)
        if Prompt.NONE in request.prompts:
            _refuse_silently(step)
        self.begun.check(http.source_address)
        await self.begun.count(http.source_address)
        interaction_id = await self.interactions.start(request, browser.browser_id)
        return see_other(_page(step or Step.SIGN_IN, interaction_id), self.sessions.cookie(browser))

    async def visit(self, interaction_id: str | None, http: HttpRequest) -> Visit:
        """The visit of a page. Raises `RequestGone`, `NotYours`, `ClientUnknown`, all pages."""
        interaction = await self.interactions.find(interaction_id or "")
        if interaction is None or interaction_id is None:
            raise RequestGone("the request is finished or was left for too long")
        browser = await self.sessions.read(http)
        if not browser.owns(interaction.browser_id):
            raise NotYours("the request was begun by another browser")
        client = await self.directory.find(interaction.request.client_id, source_address=http.source_address)
        if client is None:
            raise ClientUnknown("the client is gone")
        return Visit(interaction_id=interaction_id, interaction=interaction, browser=browser, client=client)

    async def go_on(self, visit: Visit, http: HttpRequest) -> Answer:
        """What comes after a page: another one, or the client's answer."""
        session = visit.browser.session
        try:
            step = await self._missing(visit.request, visit.client, session, visit.interaction.started_at_seconds)
            if step is not None or session is None:
                address = _page(step or Step.SIGN_IN, visit.interaction_id)
                return see_other(address, self.sessions.cookie(visit.browser))
            await self._finish(visit)
            return await self._answer_with_code(visit.request, session, http, self.sessions.cookie(visit.browser))
        except RequestGone:
            raise
        except OAuthError as error:
            await self.interactions.finish(visit.interaction_id)
            return self.error_answer(visit.request, error)

    async def allow(self, visit: Visit, session: Session, scopes: tuple[str, ...], http: HttpRequest) -> Answer:
        """The person allowed these scopes: remembered, and answered once."""
        request = visit.request
        await self._finish(visit)
        await self.consents.give(session.subject, request.client_id, request.resource, scopes, now=self.clock())
        await self.directory.mark_used(visit.client)
        await self.record(
            http,
            event_type="consent_given",
            action="allowed",
            client_id=request.client_id,
            user_id=session.subject,
            reason=format_scope(scopes),
        )
        return await self._answer_with_code(request, session, http)

    async def deny(self, visit: Visit, http: HttpRequest) -> Answer:
        """The person said no, at either page."""
        await self._finish(visit)
        session = visit.browser.session
        await self.record(
            http,
            event_type="consent_denied",
            action="denied",
            client_id=visit.request.client_id,
            user_id=session.subject if session else None,
            outcome=Outcome.REFUSED,
        )
        return self.error_answer(visit.request, AccessDenied("the user did not allow it"))

    def error_answer(self, request: AuthorizationRequest, error: OAuthError) -> Answer:
        return client_answer(request.redirect_uri, error_parameters(error), issuer=self.issuer, state=request.state)

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
        scopes = grantable(request.scopes, account)
        allowed = await self.consents.scopes(account.subject, request.client_id, request.resource)
        asked = Consenting(request=request, client=client, scopes=scopes, allowed=allowed)
        return Step.CONSENT if lacks_consent(asked) else None

    async def _finish(self, visit: Visit) -> None:
        if not await self.interactions.finish(visit.interaction_id):
            raise RequestGone("the request is finished")

    async def _answer_with_code(
        self, request: AuthorizationRequest, session: Session, http: HttpRequest, *headers: tuple[str, str]
    ) -> Answer:
        account = await self.account_of(session)
        if account is None:
            raise AccessDenied("the account is gone")
        granted = Granted(
            grant=UserGrant(
                family=self.codes.new_family(),
                client_id=request.client_id,
                subject=session.subject,
                resource=request.resource,
                scopes=grantable(request.scopes, account),
                signed_in_at_seconds=int(session.signed_in_at_seconds),
                methods=session.methods,
            ),
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            nonce=request.nonce,
        )
        code = await self.codes.issue(granted)
        await self.record(
            http, event_type="code_issued", action="issued", client_id=request.client_id, user_id=session.subject
        )
        return client_answer(
            request.redirect_uri, {"code": code}, issuer=self.issuer, state=request.state, headers=headers
        )


def _refuse_silently(step: Step | None) -> NoReturn:
    if step is Step.CONSENT:
        raise ConsentRequired("the user has not allowed this yet")
    raise LoginRequired("the user is not signed in, or not recently enough")


def _page(step: Step, interaction_id: str) -> str:
    return f"/oauth2/{step}?request={quote(interaction_id)}"

"""Sign-in, callback and sign-out of the audit page."""

import secrets
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mcp_resource_service.audit_page.auditors import AuditorAccess
from mcp_resource_service.audit_page.oauth_sign_in import AuditScopeMissing, OAuthSignIn, SignInFailed, TooManySignIns
from mcp_resource_service.audit_page.rendering import Rendering
from mcp_resource_service.audit_page.sessions import (
    AuditorSession,
    EndedSession,
    PendingSignIn,
    SignedInUser,
    read_cookies,
    sign_in_cookie,
    surplus_sign_ins,
)
from mcp_resource_service.audit_page.trail_query import Language, parse_query
from security_common.audit import Action
from security_common.edge import network_of
from security_common.errors import SecurityError
from security_common.guard import RequestRates

__all__ = ["SIGN_INS_PER_MINUTE", "SignInPages"]

SIGN_IN_SECONDS = 600
SIGN_OUT_SECONDS = 30
STATE_BYTES = 24
SIGN_INS_PER_MINUTE = 120

log = structlog.get_logger("mcp_resource_service")


class SignInPages:
    """The pages under /audit that begin and end a session; `clock` returns seconds since the epoch."""

    def __init__(
        self, auditors: AuditorAccess, oauth: OAuthSignIn, rendering: Rendering, *, clock: Callable[[], float]
    ) -> None:
        self._auditors = auditors
        self._sessions = auditors.sessions
        self._cookies = auditors.cookies
        self._oauth = oauth
        self._rendering = rendering
        self._clock = clock
        # By client address, because a sign-in can be started without any authentication.
        self._rates = RequestRates(SIGN_INS_PER_MINUTE, clock=clock)

    async def sign_in(self, request: Request) -> Response:
        """Redirects to the issuer. Each sign-in has a session and a cookie of its own."""
        address = request.client.host if request.client else ""
        # Callers are counted by issuer and subject; before the sign-in there is only the address.
        if self._rates.take(issuer="", subject=network_of(address)) is not None:
            raise TooManySignIns("too many sign-ins were started from this address", hint="try again in a minute")
        query = parse_query(request)
        state = secrets.token_urlsafe(STATE_BYTES)
        other_account = request.query_params.get("prompt") == "login"
        redirect, oauth_state = await self._oauth.begin(
            request, state=state, language=query.language, other_account=other_account
        )
        session_id = await self._sessions.begin(
            PendingSignIn(dict(oauth_state), query.language, query.link()), lifetime_seconds=SIGN_IN_SECONDS
        )
        cookie = self._cookies.set_header(sign_in_cookie(state), session_id, max_age_seconds=SIGN_IN_SECONDS)
        redirect.headers.append(*cookie)
        for surplus in surplus_sign_ins(self._cookies, read_cookies(request)):
            redirect.headers.append(*self._cookies.delete_header(surplus))
        return redirect

    async def callback(self, request: Request) -> Response:
        """Completes the sign-in with the issuer's authorization response, and redirects to the page."""
        cookie = sign_in_cookie(request.query_params.get("state", ""))
        sign_in_id = self._cookies.read(read_cookies(request), cookie)
        pending = await self._sessions.load(sign_in_id)
        if sign_in_id is None or not isinstance(pending, PendingSignIn):
            if await self._auditors.of_request(request) is not None:
                # The callback was opened again after the sign-in, by a reload or the back button.
                return RedirectResponse(f"/audit{parse_query(request).link()}", status_code=303)
            raise SignInFailed("this sign-in has expired, or another browser started it", hint="sign in again")
        await self._sessions.end(sign_in_id)
        request.state.language = pending.language
        try:
            auditor = await self._oauth.finish(request, pending.state)
        except AuditScopeMissing as refusal:
            await self._auditors.record(request, refusal.user, Action.REFUSED, reason=refusal.error)
            raise
        session_id = await self._sessions.begin(
            AuditorSession(auditor), lifetime_seconds=auditor.expires_at_seconds - self._clock()
        )
        await self._auditors.record(request, auditor, Action.SIGNED_IN)
        redirect = RedirectResponse(f"/audit{pending.query}", status_code=303)
        redirect.headers.append(*self._cookies.set_header("", session_id))
        redirect.headers.append(*self._cookies.delete_header(cookie))
        return redirect

    async def sign_out(self, request: Request) -> Response:
        """Ends the session, and redirects to the issuer to end its session too.

        Otherwise the next person at this browser would be signed in without a password.
        """
        self._auditors.require_own_form(request)
        query = parse_query(request)
        logout_url = await self._end_session(request, query.language)
        if logout_url is None:
            return await self.signed_out(request)
        if not logout_url:
            return self._rendering.message(query, "signed_out_here", status=200)
        return RedirectResponse(logout_url, status_code=303)

    async def signed_out(self, request: Request) -> Response:
        """Confirms that the session has ended."""
        return self._rendering.message(parse_query(request), "signed_out", status=200)

    async def _end_session(self, request: Request, language: Language) -> str | None:
        """Ends the session; returns the issuer's logout URL, empty without one, and None if no auditor was signed in.

        The URL is kept for SIGN_OUT_SECONDS. After a double click the browser shows only the second response, which
        therefore has to redirect to the same URL as the first.
        """
        session_id = self._auditors.session_id(request)
        session = await self._sessions.load(session_id)
        if isinstance(session, EndedSession):
            return session.signed_out_to
        auditor = self._auditors.of_session(session) if isinstance(session, AuditorSession) else None
        if session_id is None or auditor is None:
            return None
        ended = EndedSession(await self._logout_url(auditor, language))
        # Recorded first: if that fails, the session continues and the next attempt is recorded.
        await self._auditors.record(request, auditor, Action.SIGNED_OUT)
        previous = await self._sessions.replace(session_id, ended, lifetime_seconds=SIGN_OUT_SECONDS)
        if isinstance(previous, EndedSession):  # another request with this cookie was faster
            return previous.signed_out_to
        return ended.signed_out_to

    async def _logout_url(self, auditor: SignedInUser, language: Language) -> str:
        try:
            return await self._oauth.logout_url(auditor, language=language)
        except SecurityError as failure:
            log.warning("issuer_session_not_ended", cause=failure.description)
            return ""

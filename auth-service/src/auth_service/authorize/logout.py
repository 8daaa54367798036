"""/oauth2/logout: RP-Initiated Logout 1.0. Ends the session here; what apps were allowed stays allowed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from auth_service.accounts.account import Account
from auth_service.authorize.answers import again_by_get, see_other
from auth_service.authorize.errors import LogoutRefused
from auth_service.authorize.flow import Flow
from auth_service.authorize.redirect_trust import button_to, is_trusted_target
from auth_service.clients.loopback_redirects import matches_registered
from auth_service.errors import InvalidClient, OAuthError
from auth_service.http.forms import Form, parse_form, parse_query
from auth_service.http.messages import PAGE, Answer, Endpoint, HttpRequest
from auth_service.tokens.issued_tokens import ID_TOKEN_TYPE, IssuedTokenVerifier
from auth_service.web.content_security import form_target
from auth_service.web.form_keys import FormKeys
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages
from auth_service.web.sessions import Browser, Sessions
from security_common.audit import Action, EventType

__all__ = ["LogoutEndpoint"]

_CARRIED = ("client_id", "post_logout_redirect_uri", "state", "ui_locales")
_PURPOSE = "logout"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go after the logout; without asking only when `is_trusted`."""

    address: str
    is_trusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutEndpoint:
    """Without proof that the client knows who is signed in, the person is asked: else any page could sign them out."""

    flow: Flow
    sessions: Sessions
    form_keys: FormKeys
    tokens: IssuedTokenVerifier
    pages: Pages
    word_error: Callable[[OAuthError, HttpRequest], Answer]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/logout",
            handler=self.answer,
            methods=PAGE,
            metadata={"end_session_endpoint": "/oauth2/logout"},
            word_error=self.word_error,
        )

    async def answer(self, http: HttpRequest) -> Answer:
        """The question, the page that says it is done, or the way back to the client. Raises `LogoutRefused`."""
        form = parse_form(http) if http.method == "POST" else parse_query(http)
        if http.method == "POST" and "form_key" not in form:
            return again_by_get(http)
        hint = self.tokens.verify(form.get("id_token_hint") or "", token_type=ID_TOKEN_TYPE, accept_expired=True)
        target = await self._target(form, hint, http)
        browser = await self.sessions.read(http)
        account = await self.flow.account_of(browser.session)
        if account is None:
            return self._done(form, target, http)
        # Only a client that this person allowed has an ID token about them.
        is_known = hint is not None and hint.get("sub") == account.subject
        if target is not None and is_known:
            target = replace(target, is_trusted=True)
        confirmed = self.form_keys.is_right(browser.secret, _PURPOSE, form.get("form_key"))
        if not confirmed and not is_known:
            return self._ask(form, browser, account, target, http)
        await self.sessions.sign_out(browser)
        client_id = str(hint["aud"]) if hint is not None else form.get("client_id")
        await self.flow.record(
            http, event_type=EventType.LOGOUT, action=Action.SIGNED_OUT, client_id=client_id, user_id=account.subject
        )
        return self._done(form, target, http)

    async def _target(self, form: Form, hint: Mapping[str, Any] | None, http: HttpRequest) -> Target | None:
        """Where to go afterwards: only where the client said that it would want people to go."""
        client_id = _client_id(form, hint)
        wanted = form.get("post_logout_redirect_uri")
        if wanted is None:
            return None
        try:
            directory = self.flow.visits.directory
            client = await directory.find(client_id, source_address=http.source_address) if client_id else None
        except InvalidClient as error:
            raise LogoutRefused(error.description) from error
        if client is None or not matches_registered(wanted, client.post_logout_redirect_uris):
            raise LogoutRefused("post_logout_redirect_uri is not one that the client registered")
        return Target(_with_state(wanted, form.get("state")), is_trusted=is_trusted_target(client, wanted))

    def _ask(self, form: Form, browser: Browser, account: Account, target: Target | None, http: HttpRequest) -> Answer:
        return self.pages.answer(
            "sign_out",
            choose_language(form.get("ui_locales"), http.header("accept-language")),
            form_targets=(form_target(target.address),) if target is not None and target.is_trusted else (),
            account_name=account.name,
            carried=form.subset(_CARRIED),
            form_key=self.form_keys.make(browser.secret, _PURPOSE),
        )

    def _done(self, form: Form, target: Target | None, http: HttpRequest) -> Answer:
        cookie = self.sessions.expired_cookie()
        if target is not None and target.is_trusted:
            return see_other(target.address, cookie)
        language = choose_language(form.get("ui_locales"), http.header("accept-language"))
        way_on = button_to(target.address) if target is not None else None
        return self.pages.answer("signed_out", language, headers=(cookie,), way_on=way_on)


def _client_id(form: Form, hint: Mapping[str, Any] | None) -> str | None:
    """The client that asks. Raises `LogoutRefused` when the two ways of saying it differ (RP-Initiated Logout 1.0
    section 2: the provider MUST verify that they match).
    """
    named = form.get("client_id")
    hinted = str(hint["aud"]) if hint is not None else None
    if named is not None and hinted is not None and named != hinted:
        raise LogoutRefused("client_id differs from the one in id_token_hint")
    return named or hinted


def _with_state(address: str, state: str | None) -> str:
    if state is None:
        return address
    return f"{address}{'&' if '?' in address else '?'}state={quote(state, safe='')}"

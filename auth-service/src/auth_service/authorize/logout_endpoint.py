"""/oauth2/logout: RP-Initiated Logout 1.0. Ends the session of this server; consents are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account
from auth_service.authorize.authorization_endpoint import redirect_as_get
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.client_redirects import add_query, button_to, is_trusted_target
from auth_service.authorize.page_errors import LogoutRefused
from auth_service.clients.loopback_redirects import matches_registered
from auth_service.errors import InvalidClient
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.http.application import new_page_router
from auth_service.http.dependencies import FormBody, QueryString, context_of
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import see_other
from auth_service.paths import LOGOUT_PATH
from auth_service.tokens.issued_tokens import IssuedTokenVerifier
from auth_service.web.browser_keys import BrowserKeys
from auth_service.web.content_security import form_target
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages
from auth_service.web.sessions import Browser, Sessions
from security_common.audit import Action, EventType

__all__ = ["LogoutEndpoint"]

_PARAMETERS = ParameterTable(
    Parameter("id_token_hint", "An ID token of the user who signs out; it may have expired."),
    Parameter("client_id", "The client, if there is no id_token_hint."),
    Parameter("post_logout_redirect_uri", "Where to go afterwards: an address that the client registered for this."),
    Parameter("state", "Returned unchanged in the redirect."),
    Parameter("ui_locales", "Preferred languages of the pages."),
)
_FORM_PARAMETERS = _PARAMETERS.extended_by([Parameter("csrf_token", "The CSRF token of this server's own form.")])

# What the confirmation form repeats of the request.
_CARRIED = ("client_id", "post_logout_redirect_uri", "state", "ui_locales")
_CSRF_PURPOSE = "logout"


@dataclass(frozen=True, slots=True)
class LogoutTarget:
    """Where to go after the logout. Without a question only if `is_trusted`."""

    address: str
    is_trusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutEndpoint:
    """Without an ID token of the signed-in user the page asks first; otherwise any site could sign users out."""

    flow: AuthorizationFlow
    sessions: Sessions
    browser_keys: BrowserKeys
    verifier: IssuedTokenVerifier
    pages: Pages
    connections: ProviderConnections

    def make_router(self) -> APIRouter:
        return new_page_router(
            LOGOUT_PATH,
            operation_id="logout",
            show=self.respond,
            show_summary="Sign out",
            query=_PARAMETERS,
            submit=self.respond_to_post,
            submit_summary="Sign out",
            form=_FORM_PARAMETERS,
        )

    async def respond(self, http: Request, form: Annotated[Form, Depends(QueryString(_PARAMETERS))]) -> Response:
        """The question, the page that says that the user is signed out, or a redirect. Raises `LogoutRefused`."""
        return await self._log_out(http, form, csrf_token=None)

    async def respond_to_post(
        self, http: Request, form: Annotated[Form, Depends(FormBody(_FORM_PARAMETERS))]
    ) -> Response:
        """The response to this server's own form. A form of another site is redirected, see `redirect_as_get`."""
        if "csrf_token" not in form:
            return await redirect_as_get(http, _FORM_PARAMETERS)
        return await self._log_out(http, form, csrf_token=form.get("csrf_token"))

    async def _log_out(self, http: Request, form: Form, *, csrf_token: str | None) -> Response:
        hint = self.verifier.read_id_token_hint(form.get("id_token_hint"))
        client_id = _client_id(form, hint)
        target = await self._find_target(form, client_id, context_of(http).source_address)
        browser = await self.sessions.read(http)
        account = await self.flow.account_of(browser.session)
        if account is None:
            await self.sessions.sign_out(browser)  # it would be valid again after a sign-in at the provider
            return self._signed_out(form, browser, target, http)
        # Only a client that this user has consented to has an ID token about the user.
        is_known = hint is not None and hint.get("sub") == account.subject
        if target is not None and is_known:
            target = replace(target, is_trusted=True)
        is_confirmed = self.browser_keys.is_valid(browser.secret, _CSRF_PURPOSE, csrf_token)
        if not is_confirmed and not is_known:
            return self._question(form, browser, account, target, http)
        await self.flow.record(
            context_of(http),
            event_type=EventType.SIGN_OUT,
            action=Action.SIGNED_OUT,
            client_id=client_id,
            user_id=account.subject,
        )
        # Recorded first: if that fails, the session continues and the next attempt is recorded.
        await self.sessions.sign_out(browser)
        return self._signed_out(form, browser, target, http)

    async def _find_target(self, form: Form, client_id: str | None, source_address: str) -> LogoutTarget | None:
        """The address to go to afterwards. Raises `LogoutRefused` if the client has not registered it."""
        address = form.get("post_logout_redirect_uri")
        if address is None:
            return None
        try:
            directory = self.flow.visits.directory
            client = await directory.find(client_id, source_address=source_address) if client_id else None
        except InvalidClient as error:
            raise LogoutRefused(error.description) from error
        if client is None or not matches_registered(address, client.post_logout_redirect_uris):
            raise LogoutRefused("post_logout_redirect_uri is not one that the client registered")
        state = form.subset(["state"])
        return LogoutTarget(
            add_query(address, state) if state else address, is_trusted=is_trusted_target(client, address)
        )

    def _question(
        self, form: Form, browser: Browser, account: Account, target: LogoutTarget | None, http: Request
    ) -> Response:
        return self.pages.render(
            "sign_out",
            choose_language(http, form.get("ui_locales")),
            http,
            form_targets=(form_target(target.address),) if target is not None and target.is_trusted else (),
            account_name=account.visible_name,
            carried=form.subset(_CARRIED),
            csrf_token=self.browser_keys.make(browser.secret, _CSRF_PURPOSE),
        )

    def _signed_out(self, form: Form, browser: Browser, target: LogoutTarget | None, http: Request) -> Response:
        cookies = self.sessions.signed_out_cookies(browser)
        if target is not None and target.is_trusted:
            return see_other(target.address, *cookies)
        language = choose_language(http, form.get("ui_locales"))
        provider = browser.session.provider if browser.session is not None else None
        connection = self.connections.find(provider) if provider is not None else None
        return self.pages.render(
            "signed_out",
            language,
            http,
            headers=cookies,
            next_step=button_to(target.address) if target is not None else None,
            provider=connection.provider.name(language) if connection is not None else None,
        )


def _client_id(form: Form, hint: Mapping[str, Any] | None) -> str | None:
    """The client that sent the request.

    Raises `LogoutRefused` if `client_id` and `id_token_hint` differ: the provider MUST verify that they match
    (RP-Initiated Logout 1.0 section 2).
    """
    client_id = form.get("client_id")
    hinted = str(hint["aud"]) if hint is not None else None
    if client_id is not None and hinted is not None and client_id != hinted:
        raise LogoutRefused("client_id differs from the one in id_token_hint")
    return client_id or hinted

"""/account: users see and end their sessions, connected apps and ways to sign in.

Without a session the page sends the browser to the authorization endpoint, as a client of this server: so it offers the
same ways to sign in. The code that comes back is not redeemed; the session is what the page needs.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account
from auth_service.authorize.account_overview import AccountOverview
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.http.application import new_page_router
from auth_service.http.dependencies import FormBody, QueryString, context_of
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import see_other
from auth_service.paths import ACCOUNT_PATH, AUTHORIZATION_PATH
from auth_service.protocol import RandomBytes, base64url
from auth_service.scopes import Scope
from auth_service.web.browser_keys import BrowserKeys
from auth_service.web.error_pages import FormInvalid, NextStep
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages
from auth_service.web.sessions import Browser, Sessions
from security_common.audit import Action, EventType

__all__ = ["AccountPage"]

_QUERY_PARAMETERS = ParameterTable(
    Parameter("code", "The authorization code after a sign-in; it is not used."),
    Parameter("error", "The error of an authorization request that the user ended."),
    Parameter("ui_locales", "Preferred languages of the page."),
)
_FORM_PARAMETERS = ParameterTable(
    Parameter("csrf_token", "The CSRF token of the form."),
    Parameter("action", "What to end.", values=("end_session", "end_app", "remove_method")),
    Parameter("target", "The session, the client or the identity provider; empty for the password."),
)
_CSRF_PURPOSE = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """Every form is a POST that is answered with a redirect to the page. Raises `RedisError`, `JournalUnavailable`."""

    issuer: str
    flow: AuthorizationFlow
    sessions: Sessions
    overview: AccountOverview
    browser_keys: BrowserKeys
    pages: Pages
    random_bytes: RandomBytes

    def make_router(self) -> APIRouter:
        return new_page_router(
            ACCOUNT_PATH,
            operation_id="account",
            show=self.respond,
            show_summary="The user's sessions, connected apps and ways to sign in",
            query=_QUERY_PARAMETERS,
            submit=self.respond_to_post,
            submit_summary="End one of them",
            form=_FORM_PARAMETERS,
        )

    async def respond(self, http: Request, form: Annotated[Form, Depends(QueryString(_QUERY_PARAMETERS))]) -> Response:
        """The page, or a redirect to the sign-in. The user who cancelled the sign-in gets the page of a sign-out."""
        browser, account = await self._read(http)
        if account is None and "error" in form:
            return self.pages.render(
                "signed_out", choose_language(http, form.get("ui_locales")), http, next_step=None, provider=None
            )
        if account is None:
            return see_other(self._sign_in_address())
        if "code" in form or "error" in form:
            return see_other(ACCOUNT_PATH)  # so that loading the page again repeats nothing
        return await self._page(http, form, browser, account)

    async def respond_to_post(
        self, http: Request, form: Annotated[Form, Depends(FormBody(_FORM_PARAMETERS))]
    ) -> Response:
        """A redirect to the page. What was ended before, by the first click on a button, is not an error."""
        browser, account = await self._read(http)
        if account is None:
            return see_other(ACCOUNT_PATH)
        if not self.browser_keys.is_valid(browser.secret, _purpose(account), form.get("csrf_token")):
            raise FormInvalid(
                "the form was not made for this browser and account",
                next_step=NextStep("next_step.load_again", ACCOUNT_PATH),
            )
        await self._end(http, account, form.get("action") or "", form.get("target") or "")
        return see_other(ACCOUNT_PATH)

    async def _end(self, http: Request, account: Account, action: str, target: str) -> None:
        if action == "end_session" and await self.overview.end_session(account, target):
            await self._record(http, account, Action.SESSION_ENDED)
        elif action == "end_app" and await self.overview.end_app(account, target):
            await self._record(http, account, Action.CONSENT_WITHDRAWN, client_id=target)
        elif action == "remove_method" and await self.overview.remove_method(account, target):
            await self._record(http, account, Action.USER_UNLINKED, reason=target or "password")

    async def _record(
        self,
        http: Request,
        account: Account,
        action: Action,
        *,
        client_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        await self.flow.record(
            context_of(http),
            event_type=EventType.ACCOUNT_CHANGE,
            action=action,
            client_id=client_id,
            user_id=account.subject,
            reason=reason,
        )

    async def _read(self, http: Request) -> tuple[Browser, Account | None]:
        browser = await self.sessions.read(http)
        return browser, await self.flow.account_of(browser.session)

    async def _page(self, http: Request, form: Form, browser: Browser, account: Account) -> Response:
        language = choose_language(http, form.get("ui_locales"))
        return self.pages.render(
            "account",
            language,
            http,
            provider_names={each.provider.id: each.provider.name(language) for each in self.overview.connections},
            account_name=account.name,
            username=account.username,
            sessions=await self.overview.open_sessions(account, browser),
            apps=await self.overview.connected_apps(account),
            methods=await self.overview.sign_in_methods(account),
            csrf_token=self.browser_keys.make(browser.secret, _purpose(account)),
        )

    def _sign_in_address(self) -> str:
        """An authorization request. Its code verifier is thrown away: nobody can redeem the code."""
        verifier = base64url(self.random_bytes(32))
        query = {
            "client_id": self.issuer + ACCOUNT_PATH,
            "redirect_uri": self.issuer + ACCOUNT_PATH,
            "response_type": "code",
            "scope": Scope.OPENID.value,
            "code_challenge": base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{AUTHORIZATION_PATH}?{urlencode(query)}"


def _purpose(account: Account) -> str:
    return f"{_CSRF_PURPOSE}:{account.subject}"

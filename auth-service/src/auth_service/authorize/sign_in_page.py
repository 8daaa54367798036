"""/oauth2/sign-in: the page where a user chooses an identity provider, or enters username and password."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import MAX_USERNAME_LENGTH, Account, PasswordSignIn, fold_username
from auth_service.accounts.local_accounts import BuiltIn
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.client_redirects import client_name
from auth_service.authorize.interaction_policy import Step
from auth_service.authorize.provider_sign_in import ProviderSignIn
from auth_service.authorize.visits import VISIT_PARAMETERS, Visit
from auth_service.declared_providers import LocalSignIn
from auth_service.errors import TooManyRequests
from auth_service.http.application import new_page_router
from auth_service.http.dependencies import FormBody, QueryString, context_of
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.rate_limits import SerialWork, Throttle
from auth_service.paths import SIGN_IN_PATH
from auth_service.web.browser_keys import BrowserKeys
from auth_service.web.content_security import form_target
from auth_service.web.error_pages import FormInvalid, NextStep
from auth_service.web.language import Language, choose_language
from auth_service.web.pages import Pages
from auth_service.web.sessions import Sessions
from security_common.audit import Action, EventType, Reason
from security_common.edge import network_of

__all__ = ["SignInPage"]


# How the user was authenticated (RFC 8176).
_METHODS = ("pwd",)

_QUERY_PARAMETERS = ParameterTable(
    *VISIT_PARAMETERS, Parameter("switch", "Shows the page although a user is signed in, to use another account.")
)
_FORM_PARAMETERS = ParameterTable(
    *VISIT_PARAMETERS,
    Parameter("csrf_token", "The CSRF token of the form."),
    Parameter("action", "The button that was pressed.", values=("sign_in", "cancel")),
    Parameter("username", "The username."),
    Parameter("password", "The password."),
)


class _PasswordWrong(Exception):
    """There is no account with this username and password."""


class _ProviderFirst(Exception):
    """The account is one of an identity provider, at which the user has to sign in before."""


class _PasswordTooEarly(Exception):
    """After too many failures, the next password is checked only after `wait_seconds`."""

    def __init__(self, wait_seconds: int | None) -> None:
        super().__init__()
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """Failures are counted per name and address, and per address: the waiting time grows, no account is locked.

    Passwords from one address are checked one after the other, so that each check counts the failures before it.
    """

    flow: AuthorizationFlow
    sessions: Sessions
    browser_keys: BrowserKeys
    password_sign_in: PasswordSignIn
    pages: Pages
    failures_by_name: Throttle
    failures_by_address: Throttle
    serial_work: SerialWork
    demo: BuiltIn | None
    provider_sign_in: ProviderSignIn
    local: LocalSignIn

    def make_router(self) -> APIRouter:
        return new_page_router(
            SIGN_IN_PATH,
            operation_id="sign-in",
            show=self.respond,
            show_summary="The sign-in page",
            query=_QUERY_PARAMETERS,
            submit=self.respond_to_post,
            submit_summary="Sign in",
            form=_FORM_PARAMETERS,
        )

    async def respond(self, http: Request, form: Annotated[Form, Depends(QueryString(_QUERY_PARAMETERS))]) -> Response:
        """The page; or a redirect, if the user does not need to sign in, or can only sign in at one provider."""
        visit = await self.flow.visit(form, http)
        wants_page = bool(form.get("switch"))
        if not wants_page and await self.flow.signed_in(visit, http) is not None:
            return await self.flow.proceed(visit, http)
        connections = tuple(self.provider_sign_in.connections)
        if not wants_page and self.local is LocalSignIn.OFF and len(connections) == 1:
            return await self.provider_sign_in.begin(visit, connections[0], http)
        return self._page(visit, http, username=visit.request.login_hint or "", other_account=wants_page)

    async def respond_to_post(
        self, http: Request, form: Annotated[Form, Depends(FormBody(_FORM_PARAMETERS))]
    ) -> Response:
        """A redirect; or the page again with what was wrong. Raises `FormInvalid`."""
        visit = await self.flow.visit(form, http)
        if not self.browser_keys.is_valid(visit.secret, _purpose(visit), form.get("csrf_token")):
            raise FormInvalid(
                "the form was not made for this browser and this request",
                next_step=NextStep("next_step.load_again", visit.address(Step.SIGN_IN)),
                ui_locales=visit.request.ui_locales,
            )
        if form.get("action") == "cancel":
            return await self.flow.deny(visit, http)
        if self.local is LocalSignIn.OFF:
            return self._page(visit, http, username="")
        # The same form sent twice is one sign-in; with another password it is a second one.
        fingerprint = self.browser_keys.make(visit.secret, (await http.body()).decode("latin-1"))
        return await self.flow.repeatable.respond_once(
            visit.interaction_id, f"sign-in:{fingerprint}", visit.secret, partial(self._sign_in, visit, form, http)
        )

    async def _sign_in(self, visit: Visit, form: Form, http: Request) -> Response:
        if visit.interaction.finished:
            raise visit.finished_error()
        username = (form.get("username") or "")[:MAX_USERNAME_LENGTH]
        password = form.get("password") or ""
        try:
            async with self.serial_work.wait_for(network_of(context_of(http).source_address)):
                account = await self._check_password(visit, username, password, http)
        except _PasswordTooEarly as error:
            return self._page(visit, http, username=username, wait_seconds=error.wait_seconds)
        except _PasswordWrong:
            return self._page(visit, http, username=username, problem="sign_in.wrong")
        except _ProviderFirst:
            return self._page(visit, http, username=username, problem="sign_in.provider_first")
        # A user of a provider is checked there, whatever way the user signs in here.
        browser = await self.sessions.sign_in(
            visit.browser,
            account.subject,
            _METHODS,
            provider=account.provider,
            authenticated_at_seconds=self.flow.clock() if account.provider is not None else None,
        )
        await self.flow.record(
            context_of(http),
            event_type=EventType.SIGN_IN,
            action=Action.SIGNED_IN,
            client_id=visit.request.client_id,
            user_id=account.subject,
        )
        return await self.flow.proceed(replace(visit, browser=browser), http, self.sessions.cookie(browser))

    async def _check_password(self, visit: Visit, username: str, password: str, http: Request) -> Account:
        """The account. Raises `_PasswordWrong`, `_PasswordTooEarly` or `_ProviderFirst`, which are recorded."""
        source_address = context_of(http).source_address
        name = hashlib.sha256(fold_username(username).encode()).hexdigest()[:24]
        try:
            self.failures_by_address.check(source_address)
            self.failures_by_name.check(name, source_address)
        except TooManyRequests as error:
            await self.flow.record_refused_sign_in(visit, http, Reason.TOO_MANY_FAILURES)
            raise _PasswordTooEarly(error.retry_after_seconds) from error
        account = await self.password_sign_in.check(username, password)
        if account is None:
            await self.failures_by_name.count(name, source_address)
            await self.failures_by_address.count(source_address)
            await self.flow.record_refused_sign_in(visit, http, Reason.WRONG_PASSWORD)
            raise _PasswordWrong
        if await self.flow.accounts.find(account.subject, account.provider) is None:
            await self.flow.record_refused_sign_in(visit, http, Reason.LOGIN_REQUIRED)
            raise _ProviderFirst
        return account

    def _page(
        self,
        visit: Visit,
        http: Request,
        *,
        username: str,
        problem: str | None = None,
        wait_seconds: int | None = None,
        other_account: bool = False,
    ) -> Response:
        language = choose_language(http, visit.request.ui_locales)
        status, problem_text = 200, None
        if wait_seconds == 1:
            status, problem_text = 429, self.pages.text(language, "sign_in.wait_one_second")
        elif wait_seconds is not None:
            status, problem_text = 429, self.pages.text(language, "sign_in.wait", seconds=wait_seconds)
        elif problem is not None:
            status, problem_text = 400, self.pages.text(language, problem)
        return self.pages.render(
            "sign_in",
            language,
            http,
            status=status,
            address=f"{visit.address(Step.SIGN_IN)}{'&switch=yes' if other_account else ''}",
            has_script=self.local is not LocalSignIn.OFF,
            form_targets=(form_target(visit.request.redirect_uri),),
            headers=(("retry-after", str(wait_seconds)),) if wait_seconds is not None else (),
            client_name=client_name(visit.client, visit.request.redirect_uri, self.pages, language),
            username=username,
            problem=problem_text,
            demo=self.demo if self.local is LocalSignIn.EVERYONE else None,
            local=self.local.value,
            providers=self._providers(visit, language, other_account),
            hidden=visit.hidden_fields,
            csrf_token=self.browser_keys.make(visit.secret, _purpose(visit)),
        )

    def _providers(self, visit: Visit, language: Language, other_account: bool) -> list[Mapping[str, str]]:
        """The buttons of the identity providers."""
        return [
            {
                "name": connection.provider.name(language),
                "address": self.provider_sign_in.start_address(
                    visit, connection.provider.id, other_account=other_account
                ),
            }
            for connection in self.provider_sign_in.connections
        ]


def _purpose(visit: Visit) -> str:
    return f"sign-in:{visit.interaction_id}"

"""/oauth2/sign-in: the page where a person says who they are."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from auth_service.accounts.account import Account, SignIn, fold_username
from auth_service.accounts.local_accounts import BuiltIn
from auth_service.authorize.flow import Flow
from auth_service.authorize.missing import Step
from auth_service.authorize.redirect_trust import client_title
from auth_service.authorize.visits import Visit
from auth_service.errors import OAuthError, TooManyRequests
from auth_service.http.forms import Form, parse_form, parse_query
from auth_service.http.messages import PAGE, Answer, Endpoint, HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.http.turns import Turns
from auth_service.web.content_security import form_target
from auth_service.web.errors import FormStale, WayOn
from auth_service.web.form_keys import FormKeys
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages
from auth_service.web.sessions import Sessions
from security_common.audit import Action, EventType, Outcome, Reason
from security_common.edge.client_address import network_of

__all__ = ["SignInPage"]

_LONGEST_NAME = 256

# How the person was recognised (RFC 8176); a company's identity provider will bring its own.
_METHODS = ("pwd",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """Failures are counted for the name from this address, and for this address: growing waits, no locked accounts.

    Passwords from one address are checked one after the other, so that each sees the failures before it.
    """

    flow: Flow
    sessions: Sessions
    form_keys: FormKeys
    sign_in: SignIn
    pages: Pages
    names: Throttle
    addresses: Throttle
    turns: Turns
    demo: BuiltIn | None
    word_error: Callable[[OAuthError, HttpRequest], Answer]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(path="/oauth2/sign-in", handler=self.answer, methods=PAGE, word_error=self.word_error)

    async def answer(self, http: HttpRequest) -> Answer:
        form = parse_form(http) if http.method == "POST" else parse_query(http)
        visit = await self.flow.visit(form, http)
        if http.method == "POST":
            return await self._post(visit, form, http)
        started = visit.interaction.started_at_seconds
        if not form.get("switch") and not await self.flow.needs_sign_in(visit.request, visit.browser.session, started):
            return await self.flow.go_on(visit, http)
        return self._page(visit, http, username=visit.request.login_hint or "")

    async def _post(self, visit: Visit, form: Form, http: HttpRequest) -> Answer:
        if not self.form_keys.is_right(visit.secret, _purpose(visit), form.get("form_key")):
            reload = WayOn("way_on.load_again", visit.address(Step.SIGN_IN))
            raise FormStale(
                "the form was not made for this browser and this request",
                way_on=reload,
                ui_locales=visit.request.ui_locales,
            )
        if form.get("action") == "cancel":
            return await self.flow.deny(visit, http)
        # The same form sent twice is one sign-in; with another password it is another one.
        sent = self.form_keys.make(visit.secret, http.body.decode("latin-1"))
        return await self.flow.repeatable.answer_once(
            visit.interaction_id, f"sign-in:{sent}", visit.secret, partial(self._sign_in, visit, form, http)
        )

    async def _sign_in(self, visit: Visit, form: Form, http: HttpRequest) -> Answer:
        if visit.interaction.finished:
            raise visit.finished()
        username = (form.get("username") or "")[:_LONGEST_NAME]
        async with self.turns.wait_for(network_of(http.source_address)):
            account = await self._check_password(visit, username, form.get("password") or "", http)
        if not isinstance(account, Account):
            return account
        browser = await self.sessions.sign_in(visit.browser, account.subject, _METHODS)
        await self.flow.record(
            http,
            event_type=EventType.SIGN_IN,
            action=Action.SIGNED_IN,
            client_id=visit.request.client_id,
            user_id=account.subject,
        )
        return await self.flow.go_on(replace(visit, browser=browser), http, self.sessions.cookie(browser))

    async def _check_password(self, visit: Visit, username: str, password: str, http: HttpRequest) -> Account | Answer:
        """Whose password it is, or the page that says that it is wrong or that it is too early to try again."""
        name = hashlib.sha256(fold_username(username).encode()).hexdigest()[:24]
        try:
            self.addresses.check(http.source_address)
            self.names.check(name, http.source_address)
        except TooManyRequests as error:
            await self._record_refusal(visit, http, Reason.TOO_MANY_FAILURES)
            return self._page(visit, http, username=username, wait_seconds=error.retry_after_seconds)
        account = await self.sign_in.sign_in(username, password)
        if account is None:
            await self.names.count(name, http.source_address)
            await self.addresses.count(http.source_address)
            await self._record_refusal(visit, http, Reason.WRONG_PASSWORD)
            return self._page(visit, http, username=username, wrong=True)
        return account

    async def _record_refusal(self, visit: Visit, http: HttpRequest, reason: str) -> None:
        """Without the name that was typed: people type passwords there."""
        await self.flow.record(
            http,
            event_type=EventType.SIGN_IN_REFUSED,
            action=Action.REFUSED,
            client_id=visit.request.client_id,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    def _page(
        self, visit: Visit, http: HttpRequest, *, username: str, wrong: bool = False, wait_seconds: int | None = None
    ) -> Answer:
        language = choose_language(visit.request.ui_locales, http.header("accept-language"))
        title = client_title(visit.client, visit.request.redirect_uri)
        problem: Markup | None = None
        if wait_seconds is not None:
            problem = self.pages.say(language, "sign_in.wait", seconds=wait_seconds)
        elif wrong:
            problem = self.pages.say(language, "sign_in.wrong")
        return self.pages.answer(
            "sign_in",
            language,
            status=429 if wait_seconds is not None else 400 if wrong else 200,
            form_targets=(form_target(visit.request.redirect_uri),),
            headers=(("retry-after", str(wait_seconds)),) if wait_seconds is not None else (),
            client_name=title or self.pages.say(language, "client.nameless"),
            username=username,
            problem=problem,
            demo=self.demo,
            hidden=visit.hidden_fields,
            form_key=self.form_keys.make(visit.secret, _purpose(visit)),
        )


def _purpose(visit: Visit) -> str:
    return f"sign-in:{visit.interaction_id}"

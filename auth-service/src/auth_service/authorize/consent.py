"""/oauth2/consent: the page where a person is told who asks for what, and decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from auth_service.accounts.account import Account
from auth_service.accounts.consents import grantable_scopes
from auth_service.authorize.flow import Flow
from auth_service.authorize.missing import Step
from auth_service.authorize.redirect_trust import VOUCHED_ORIGINS, client_title, target_name
from auth_service.authorize.visits import Visit
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.errors import OAuthError
from auth_service.http.forms import parse_form, parse_query
from auth_service.http.messages import PAGE, Answer, Endpoint, HttpRequest
from auth_service.scopes import IDENTITY_SCOPES, format_scope
from auth_service.tokens.resources import Resource, Resources
from auth_service.web.content_security import form_target
from auth_service.web.errors import FormStale, WayOn
from auth_service.web.form_keys import FormKeys
from auth_service.web.language import Language, choose_language
from auth_service.web.pages import Pages

__all__ = ["ConsentPage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """What is allowed is what the stored request asks for: a form says yes or no and nothing else."""

    flow: Flow
    form_keys: FormKeys
    resources: Resources
    pages: Pages
    word_error: Callable[[OAuthError, HttpRequest], Answer]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(path="/oauth2/consent", handler=self.answer, methods=PAGE, word_error=self.word_error)

    async def answer(self, http: HttpRequest) -> Answer:
        form = parse_form(http) if http.method == "POST" else parse_query(http)
        visit = await self.flow.visit(form, http)
        session, started = visit.browser.session, visit.interaction.started_at_seconds
        account = await self.flow.account_of(session)
        if session is None or account is None or await self.flow.needs_sign_in(visit.request, session, started):
            return await self.flow.go_on(visit, http)
        scopes = grantable_scopes(visit.request.scopes, account)
        if http.method != "POST":
            return self._page(visit, account, scopes, http)
        if not self.form_keys.is_right(visit.secret, _purpose(visit, account, scopes), form.get("form_key")):
            reload = WayOn("way_on.load_again", visit.address(Step.CONSENT))
            raise FormStale(
                "the form was not made for this browser, account and request",
                way_on=reload,
                ui_locales=visit.request.ui_locales,
            )
        if form.get("action") == "allow":
            return await self.flow.allow(visit, session, scopes, http)
        return await self.flow.deny(visit, http)

    def _page(self, visit: Visit, account: Account, scopes: tuple[str, ...], http: HttpRequest) -> Answer:
        request, client = visit.request, visit.client
        language = choose_language(request.ui_locales, http.header("accept-language"))
        resource = self.resources.resolve((request.resource,), client)
        return self.pages.answer(
            "consent",
            language,
            form_targets=(form_target(request.redirect_uri),),
            client_name=client_title(client, request.redirect_uri) or self.pages.say(language, "client.nameless"),
            host=client.host,
            vouched=client.origin in VOUCHED_ORIGINS,
            scopes=[self._describe(scope, resource, language) for scope in scopes],
            resource=resource,
            redirect_host=target_name(request.redirect_uri),
            on_this_device=is_loopback_redirect(request.redirect_uri),
            loopback_only=all(map(is_loopback_redirect, client.redirect_uris)),
            account_name=account.name,
            hidden=visit.hidden_fields,
            switch_address=f"{visit.address(Step.SIGN_IN)}&switch=yes",
            form_key=self.form_keys.make(visit.secret, _purpose(visit, account, scopes)),
        )

    def _describe(self, scope: str, resource: Resource, language: Language) -> Mapping[str, str]:
        if scope in IDENTITY_SCOPES:
            return {"name": scope, "text": self.pages.say(language, f"scope.{scope}")}
        text = resource.scopes[scope]
        return {"name": scope, "text": text.ko if language is Language.KOREAN else text.en}


def _purpose(visit: Visit, account: Account, scopes: tuple[str, ...]) -> str:
    """A form is good for what its page showed: this person granting these scopes for this request."""
    return f"consent:{visit.interaction_id}:{account.subject}:{format_scope(scopes)}"

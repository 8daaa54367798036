"""/oauth2/consent: the page that shows which client requests which scopes, where the user allows or denies them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account
from auth_service.accounts.consents import grantable_scopes
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.client_documents import client_documents
from auth_service.authorize.client_redirects import client_name, target_name
from auth_service.authorize.interaction_policy import Step
from auth_service.authorize.visits import VISIT_PARAMETERS, Visit
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.http.application import new_page_router
from auth_service.http.dependencies import FormBody, QueryString
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import see_other
from auth_service.paths import CONSENT_PATH
from auth_service.scopes import IDENTITY_SCOPES, format_scope
from auth_service.tokens.resources import Resource, Resources
from auth_service.web.browser_keys import BrowserKeys
from auth_service.web.content_security import form_target
from auth_service.web.error_pages import FormInvalid, NextStep
from auth_service.web.language import Language, choose_language
from auth_service.web.pages import Pages

__all__ = ["ConsentPage"]

_QUERY_PARAMETERS = ParameterTable(*VISIT_PARAMETERS)
_FORM_PARAMETERS = ParameterTable(
    *VISIT_PARAMETERS,
    Parameter("csrf_token", "The CSRF token of the form."),
    Parameter("action", "The button that was pressed.", values=("allow", "deny")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """The stored request decides what can be allowed; the form only says allow or deny."""

    flow: AuthorizationFlow
    browser_keys: BrowserKeys
    resources: Resources
    pages: Pages

    def make_router(self) -> APIRouter:
        return new_page_router(
            CONSENT_PATH,
            operation_id="consent",
            show=self.respond,
            show_summary="The consent page",
            query=_QUERY_PARAMETERS,
            submit=self.respond_to_post,
            submit_summary="Allow or deny",
            form=_FORM_PARAMETERS,
        )

    async def respond(self, http: Request, form: Annotated[Form, Depends(QueryString(_QUERY_PARAMETERS))]) -> Response:
        """The page; or a redirect to the sign-in page, if no user is signed in."""
        visit = await self.flow.visit(form, http)
        signed_in = await self.flow.signed_in(visit, http)
        if signed_in is None:
            return await self.flow.proceed(visit, http)
        scopes = grantable_scopes(visit.request.scopes, signed_in.account)
        return self._page(visit, signed_in.account, scopes, http)

    async def respond_to_post(
        self, http: Request, form: Annotated[Form, Depends(FormBody(_FORM_PARAMETERS))]
    ) -> Response:
        """The redirect to the client, with a code or with an error. Raises `FormInvalid`."""
        visit = await self.flow.visit(form, http)
        signed_in = await self.flow.signed_in(visit, http)
        if signed_in is None:
            # Not directly to a provider: the policy of the page would not let a form follow a redirect there.
            return see_other(f"{visit.address(Step.SIGN_IN)}&switch=yes")
        account = signed_in.account
        scopes = grantable_scopes(visit.request.scopes, account)
        if not self.browser_keys.is_valid(visit.secret, _purpose(visit, account, scopes), form.get("csrf_token")):
            raise FormInvalid(
                "the form was not made for this browser, account and request",
                next_step=NextStep("next_step.load_again", visit.address(Step.CONSENT)),
                ui_locales=visit.request.ui_locales,
            )
        if form.get("action") == "allow":
            return await self.flow.allow(visit, signed_in, scopes, http)
        return await self.flow.deny(visit, http)

    def _page(self, visit: Visit, account: Account, scopes: tuple[str, ...], http: Request) -> Response:
        request, client = visit.request, visit.client
        language = choose_language(http, request.ui_locales)
        resource = self.resources.resolve((request.resource,), client)
        return self.pages.render(
            "consent",
            language,
            http,
            form_targets=(form_target(request.redirect_uri),),
            client_name=client_name(client, request.redirect_uri, self.pages, language),
            host=client.host,
            declared_by_operator=client.is_from_operator,
            scopes=[self._describe(scope, resource, language) for scope in scopes],
            refused=self._refused(visit, scopes, resource, language),
            documents=client_documents(client, request.redirect_uri),
            resource=resource,
            resource_name=resource.name.ko if language is Language.KOREAN else resource.name.en,
            redirect_host=target_name(request.redirect_uri),
            on_this_device=is_loopback_redirect(request.redirect_uri),
            loopback_only=all(is_loopback_redirect(redirect_uri) for redirect_uri in client.redirect_uris),
            account_name=account.visible_name,
            hidden=visit.hidden_fields,
            switch_address=f"{visit.address(Step.SIGN_IN)}&switch=yes",
            csrf_token=self.browser_keys.make(visit.secret, _purpose(visit, account, scopes)),
        )

    def _refused(
        self, visit: Visit, granted: tuple[str, ...], resource: Resource, language: Language
    ) -> list[Mapping[str, str]]:
        """The requested scopes that are not granted, with the reason. Unknown ones are left out: an app chose them."""
        known = resource.scopes.keys() | IDENTITY_SCOPES
        requested = visit.request
        reasons = {scope: "consent.refused_to_user" for scope in requested.scopes if scope not in granted}
        reasons |= {scope: "consent.refused_to_app" for scope in requested.dropped if scope in known}
        return [{"name": scope, "text": self.pages.text(language, reason)} for scope, reason in reasons.items()]

    def _describe(self, scope: str, resource: Resource, language: Language) -> Mapping[str, str]:
        if scope in IDENTITY_SCOPES:
            return {"name": scope, "text": self.pages.text(language, f"scope.{scope}")}
        text = resource.scopes[scope]
        return {"name": scope, "text": text.ko if language is Language.KOREAN else text.en}


def _purpose(visit: Visit, account: Account, scopes: tuple[str, ...]) -> str:
    """A form is valid for what its page showed: this user grants these scopes for this request."""
    return f"consent:{visit.interaction_id}:{account.subject}:{format_scope(scopes)}"

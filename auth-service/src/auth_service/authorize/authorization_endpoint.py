"""GET and POST /oauth2/authorize (RFC 6749 section 3.1)."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.authorization_request import (
    AUTHORIZATION_PARAMETERS,
    REQUEST_RULES,
    SentRequest,
    find_redirect_uri,
    make_request,
)
from auth_service.authorize.client_redirects import error_parameters, redirect_to_client
from auth_service.authorize.page_errors import ClientUnknown
from auth_service.authorize.visits import find_client
from auth_service.clients.client import Client
from auth_service.errors import OAuthError
from auth_service.http.application import new_page_router
from auth_service.http.dependencies import QueryString, context_of
from auth_service.http.forms import Form, parse_body
from auth_service.http.parameters import ParameterTable
from auth_service.http.responses import see_other
from auth_service.paths import AUTHORIZATION_PATH
from auth_service.tokens.issued_tokens import IssuedTokenVerifier
from auth_service.tokens.resources import Resources

__all__ = ["AuthorizationEndpoint", "redirect_as_get"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationEndpoint:
    """Checks a request and passes it to the flow."""

    flow: AuthorizationFlow
    resources: Resources
    verifier: IssuedTokenVerifier

    def make_router(self) -> APIRouter:
        return new_page_router(
            AUTHORIZATION_PATH,
            operation_id="authorize",
            show=self.respond,
            show_summary="Ask a user for an authorization grant",
            query=AUTHORIZATION_PARAMETERS,
            submit=self.respond_to_post,
            submit_summary="Ask a user for an authorization grant",
            form=AUTHORIZATION_PARAMETERS,
        )

    async def respond(
        self, http: Request, form: Annotated[Form, Depends(QueryString(AUTHORIZATION_PARAMETERS))]
    ) -> Response:
        """A redirect. Raises a `PageError` unless an error can safely be redirected to the client."""
        client = await self._find_client(form, context_of(http).source_address)
        sent = SentRequest(form, client)
        redirect_uri = find_redirect_uri(sent)
        try:
            for check in REQUEST_RULES:
                check(sent)
            hint = self.verifier.read_id_token_hint(form.get("id_token_hint"))
            request = make_request(form, client, redirect_uri, self.resources, str(hint["sub"]) if hint else None)
            return await self.flow.begin(request, client, http)
        except OAuthError as error:
            return await self._redirect_with_error(error, sent, redirect_uri, http)

    async def respond_to_post(self, http: Request) -> Response:
        """The same request as GET: see `redirect_as_get`."""
        return await redirect_as_get(http, AUTHORIZATION_PARAMETERS)

    async def _find_client(self, form: Form, source_address: str) -> Client:
        client_id = form.get("client_id")
        if client_id is None or "client_id" in form.repeated:
            raise ClientUnknown("client_id is missing or repeated")
        return await find_client(
            client_id, self.flow.visits.directory, source_address=source_address, ui_locales=form.get("ui_locales")
        )

    async def _redirect_with_error(
        self, error: OAuthError, sent: SentRequest, redirect_uri: str, http: Request
    ) -> Response:
        # A repeated state is not sent back: which of the values is the client's cannot be known.
        state = None if "state" in sent.form.repeated else sent.form.get("state")
        response = redirect_to_client(redirect_uri, error_parameters(error), issuer=self.flow.issuer, state=state)
        session = (await self.flow.visits.sessions.read(http)).session
        return await self.flow.redirect_or_hold(response, error, sent.client, session, sent.form.get("ui_locales"))


async def redirect_as_get(http: Request, table: ParameterTable) -> Response:
    """A redirect to the same parameters in the query string.

    A form that another site posts arrives without this server's cookies, which are SameSite=Lax; a GET request has
    them. Raises `InvalidRequest` if the body is not a valid form.
    """
    body = await http.body()
    parse_body(body, http.headers.get("content-type"), table)
    return see_other(f"{http.scope['path']}?{quote(body, safe='&=+%')}")

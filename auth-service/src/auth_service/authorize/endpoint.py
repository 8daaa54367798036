"""GET and POST /oauth2/authorize (RFC 6749 section 3.1)."""

from collections.abc import Callable

from auth_service.authorize.answers import client_answer, error_parameters
from auth_service.authorize.flow import Flow
from auth_service.authorize.operations import page_operations
from auth_service.authorize.request import read_request
from auth_service.authorize.rules import RULES, Inquiry, find_client, find_redirect
from auth_service.clients.model import ClientDirectory
from auth_service.errors import OAuthError
from auth_service.http.forms import parse_body, parse_query
from auth_service.http.messages import Answer, Endpoint, HttpRequest
from auth_service.tokens.resources import Resources

__all__ = ["AuthorizationEndpoint"]

_REQUIRED = ("client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method")
_OPTIONAL = ["scope", "resource", "state", "nonce", "prompt", "max_age", "login_hint", "ui_locales", "response_mode"]


class AuthorizationEndpoint:
    """Judges a request and hands it to the flow."""

    def __init__(
        self,
        *,
        directory: ClientDirectory,
        resources: Resources,
        flow: Flow,
        word_error: Callable[[OAuthError, HttpRequest], Answer],
    ) -> None:
        self._directory = directory
        self._resources = resources
        self._flow = flow
        self._word_error = word_error

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/authorize",
            handler=self.answer,
            operations=page_operations("authorize", "Ask a person for a grant", _REQUIRED, _OPTIONAL),
            metadata={"authorization_endpoint": "/oauth2/authorize"},
            word_error=self._word_error,
        )

    async def answer(self, http: HttpRequest) -> Answer:
        """A redirect. Raises a `PageError` while it is not known where an error could safely go."""
        form = parse_body(http) if http.method == "POST" else parse_query(http)
        client = await find_client(form, self._directory)
        inquiry = Inquiry(form, client)
        redirect_uri = find_redirect(inquiry)
        try:
            for check in RULES:
                check(inquiry)
            request = read_request(form, client, redirect_uri, self._resources)
            return await self._flow.begin(request, client, http)
        except OAuthError as error:
            # Which of two states is the client's own, nobody knows: then none is sent back.
            state = None if "state" in form.repeated else form.get("state")
            return client_answer(redirect_uri, error_parameters(error), issuer=self._flow.issuer, state=state)

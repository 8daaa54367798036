"""GET and POST /oauth2/authorize (RFC 6749 section 3.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.authorize.answers import again_by_get, client_answer, error_parameters
from auth_service.authorize.errors import AnswerHeld
from auth_service.authorize.flow import Flow
from auth_service.authorize.redirect_trust import button_to, is_trusted_target
from auth_service.authorize.request import read_request
from auth_service.authorize.rules import RULES, Inquiry, find_client, find_redirect
from auth_service.errors import OAuthError
from auth_service.http.forms import parse_query
from auth_service.http.messages import PAGE, Answer, Endpoint, HttpRequest
from auth_service.tokens.issued_tokens import ID_TOKEN_TYPE, IssuedTokenVerifier
from auth_service.tokens.resources import Resources

__all__ = ["AuthorizationEndpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationEndpoint:
    """Judges a request and hands it to the flow."""

    flow: Flow
    resources: Resources
    tokens: IssuedTokenVerifier
    word_error: Callable[[OAuthError, HttpRequest], Answer]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/authorize",
            handler=self.answer,
            methods=PAGE,
            metadata={"authorization_endpoint": "/oauth2/authorize"},
            word_error=self.word_error,
        )

    async def answer(self, http: HttpRequest) -> Answer:
        """A redirect. Raises a `PageError` where it is not known that an error could safely be sent to the client."""
        if http.method == "POST":
            return again_by_get(http)
        form = parse_query(http)
        client = await find_client(form, self.flow.visits.directory, http.source_address)
        inquiry = Inquiry(form, client)
        redirect_uri = find_redirect(inquiry)
        try:
            for check in RULES:
                check(inquiry)
            hint = self.tokens.verify(form.get("id_token_hint") or "", token_type=ID_TOKEN_TYPE, accept_expired=True)
            request = read_request(form, client, redirect_uri, self.resources, str(hint["sub"]) if hint else None)
            return await self.flow.begin(request, client, http)
        except OAuthError as error:
            # Which of two states is the client's own, nobody knows: then none is sent back.
            state = None if "state" in form.repeated else form.get("state")
            answer = client_answer(redirect_uri, error_parameters(error), issuer=self.flow.issuer, state=state)
            if is_trusted_target(client, redirect_uri) or await self.flow.has_allowed(client, http):
                return answer
            way_on = button_to(dict(answer.headers)["location"])
            raise AnswerHeld(error, way_on=way_on, ui_locales=form.get("ui_locales")) from error

"""POST /oauth2/token: the phases that all grants share (RFC 6749 section 3.2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client
from auth_service.clients.credentials import CLIENT_PARAMETERS
from auth_service.errors import InvalidClient, OAuthError, UnauthorizedClient, UnsupportedGrantType
from auth_service.grants.grant_handler import ClientFinder, GrantHandler, TokenRequest, TokenResponse
from auth_service.http.dependencies import context_of, read_form
from auth_service.http.forms import Form, refuse_repeated_parameters
from auth_service.http.metrics import Metrics
from auth_service.http.openapi import CLIENT_AUTHENTICATION, ERROR_RESPONSES, json_result
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import json_response
from auth_service.scopes import format_scope, parse_scope
from auth_service.tokens.resources import normalize_identifier
from security_common.audit import Action, EventType, Outcome
from security_common.edge import RequestContext

__all__ = ["GRANT_RULES", "TokenEndpoint"]

_SHARED_PARAMETERS = (
    *CLIENT_PARAMETERS,
    Parameter("scope", "Space-separated scopes. Default: those of the client or of the user's grant."),
    Parameter("resource", "The resource that the token is for (RFC 8707).", repeatable=True),
)


class TokenEndpoint:
    """Every request passes the same phases in the order of `respond`; a grant adds what is unique to it.

    `client_finder` is the one grant, if it is offered, that can prove the client of a request itself.
    """

    def __init__(
        self,
        *,
        authenticator: ClientAuthenticator,
        grants: Sequence[GrantHandler],
        record: AuditRecorder,
        metrics: Metrics,
        client_finder: ClientFinder | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._grants = {grant.grant_type.value: grant for grant in grants}
        self._record = record
        self._metrics = metrics
        self._client_finder = client_finder
        # Looking up a counter by its labels for each token would cost more than counting.
        self._tokens_issued = {grant: metrics.tokens_issued.labels(grant) for grant in self._grants}
        grant_type = Parameter("grant_type", "The grant.", required=True, values=tuple(self._grants))
        specific = (parameter for grant in grants for parameter in grant.parameters)
        self.parameters = ParameterTable(grant_type, *_SHARED_PARAMETERS).extended_by(specific)

    async def respond(self, request: Request) -> Response:
        """The token response.

        Raises an `OAuthError` once the refusal is recorded. No token is sent before its audit event is on disk.
        Refusals above the limit of an address (`AuditRecorder`) are only counted.
        """
        source = context_of(request)
        client: Client | None = None
        try:
            form = read_form(request, self.parameters)
            refuse_repeated_parameters(form)
            grant = self._find_grant(form)
            client = await self._find_client(grant, form, source)
            tokens = await _exchange(form, client, grant, source)
        except OAuthError as error:
            await self._record_refusal(error, source, client)
            raise
        await self._record(
            source,
            event_type=EventType.TOKEN_EXCHANGED if tokens.exchanged_for else EventType.TOKEN_ISSUED,
            action=Action.ISSUED,
            client_id=client.client_id,
            user_id=tokens.subject,
            reason=tokens.exchanged_for or tokens.actor,
        )
        self._tokens_issued[grant.grant_type].inc()
        return json_response(_members(tokens))

    def describe(self) -> Mapping[str, Any]:
        """The operation of the OpenAPI document."""
        success = json_result(
            "RFC 6749 section 5.1",
            required=("access_token", "token_type", "expires_in", "scope"),
            properties={
                "access_token": {"type": "string"},
                "token_type": {"const": "Bearer"},
                "expires_in": {"type": "integer", "description": "Seconds."},
                "scope": {"type": "string"},
                "refresh_token": {"type": "string"},
                "id_token": {"type": "string"},
                "issued_token_type": {"type": "string", "description": "Of a token exchange (RFC 8693)."},
            },
        )
        return {
            "operationId": "token",
            "summary": "Tokens for a grant",
            "tags": ["tokens"],
            **self.parameters.as_form(),
            **CLIENT_AUTHENTICATION,
            "responses": {str(status): response for status, response in {**ERROR_RESPONSES, **success}.items()},
        }

    def _find_grant(self, form: Form) -> GrantHandler:
        grant = self._grants.get(form.require("grant_type"))
        if grant is None:
            raise UnsupportedGrantType(f"grant_type must be one of: {', '.join(self._grants)}")
        return grant

    async def _find_client(self, grant: GrantHandler, form: Form, source: RequestContext) -> Client:
        """The client that the grant itself proves, or that authenticates."""
        finder = self._client_finder
        if finder is not None and grant is finder:
            client = await finder.find_client(form, source)
            if client is not None:
                return client
        return await self._authenticator.authenticate(form, source)

    async def _record_refusal(self, error: OAuthError, source: RequestSource, client: Client | None) -> None:
        """`client` is None if it is not authenticated yet.

        A failed client authentication is already recorded by `ClientAuthenticator` or the `ClientFinder`.
        """
        self._metrics.tokens_refused.labels(error.error).inc()
        if isinstance(error, InvalidClient):
            return
        await self._record(
            source,
            event_type=EventType.TOKEN_REFUSED,
            action=Action.REFUSED,
            outcome=Outcome.REFUSED,
            client_id=client.client_id if client else None,
            reason=error.error,
        )


def check_grant_allowed(client: Client, grant: GrantHandler) -> None:
    if grant.grant_type not in client.grant_types:
        raise UnauthorizedClient(f"the client is not allowed to use {grant.grant_type}")


GRANT_RULES: tuple[Callable[[Client, GrantHandler], None], ...] = (check_grant_allowed,)


async def _exchange(form: Form, client: Client, grant: GrantHandler, source: RequestSource) -> TokenResponse:
    for check in GRANT_RULES:
        check(client, grant)
    return await grant.exchange(_read_request(form, client, grant, source))


def _read_request(form: Form, client: Client, grant: GrantHandler, source: RequestSource) -> TokenRequest:
    parameters = [parameter.name for parameter in grant.parameters]
    targets = form.all("resource")
    if "audience" in parameters:  # RFC 8693 section 2.1 has both; here they name the same resources
        targets += form.all("audience")
    return TokenRequest(
        client=client,
        scopes=parse_scope(form.get("scope")),
        resources=tuple(map(normalize_identifier, targets)),
        parameters=form.subset(parameters),
        source_address=source.source_address,
        trace_id=source.trace_id,
    )


def _members(tokens: TokenResponse) -> Mapping[str, Any]:
    members: dict[str, Any] = {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in_seconds,
        "scope": format_scope(tokens.scopes),
    }
    if tokens.refresh_token is not None:
        members["refresh_token"] = tokens.refresh_token
    if tokens.id_token is not None:
        members["id_token"] = tokens.id_token
    if tokens.issued_token_type is not None:
        members["issued_token_type"] = tokens.issued_token_type
    return members

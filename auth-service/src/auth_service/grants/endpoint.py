"""POST /oauth2/token: the phases that every grant shares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.credentials import CLIENT_PARAMETERS
from auth_service.clients.model import Client
from auth_service.errors import OAuthError, UnauthorizedClient, UnsupportedGrantType
from auth_service.grants.contract import Grant, TokenAnswer, TokenRequest
from auth_service.http.answers import json_answer
from auth_service.http.forms import Form, parse_form
from auth_service.http.messages import Answer, Endpoint, HttpRequest
from auth_service.http.metrics import Metrics
from auth_service.http.openapi import ERROR_RESPONSES, form_body, json_response
from auth_service.tokens.resources import normalise_resource
from auth_service.vocabulary import format_scope, parse_scope
from security_common.journal import AuditEvent, Journal, Outcome

__all__ = ["CLIENT_RULES", "TokenEndpoint"]


class TokenEndpoint:
    """Holds the grants by name; each request walks the same phases, in the order of `_exchange`."""

    def __init__(
        self, *, authenticator: ClientAuthenticator, grants: Sequence[Grant], journal: Journal, metrics: Metrics
    ) -> None:
        self._authenticator = authenticator
        self._grants = {grant.grant_type: grant for grant in grants}
        self._journal = journal
        self._metrics = metrics

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/token",
            handler=self.answer,
            operations={"post": _operation(self._grants.values())},
            cross_origin=True,
            metadata={"token_endpoint": "/oauth2/token"},
        )

    async def answer(self, request: HttpRequest) -> Answer:
        """The token answer, or the error raised again once it is on record. No answer leaves before its event is."""
        clients: list[Client] = []
        try:
            grant, granted = await self._exchange(request, clients)
        except OAuthError as error:
            self._metrics.tokens_refused.labels(error.error).inc()
            await self._journal.record(
                AuditEvent(
                    event_type="token_refused",
                    action_taken="refused",
                    outcome=Outcome.REFUSED,
                    client_id=clients[0].client_id if clients else None,
                    reason=error.error,
                    source_address=request.source_address,
                    trace_id=request.trace_id,
                )
            )
            raise
        await self._journal.record(
            AuditEvent(
                event_type="token_issued",
                action_taken="issued",
                outcome=Outcome.SUCCESS,
                client_id=clients[0].client_id,
                user_id=granted.subject,
                source_address=request.source_address,
                trace_id=request.trace_id,
            )
        )
        self._metrics.tokens_issued.labels(grant.grant_type.value).inc()
        return json_answer(_members(granted))

    async def _exchange(self, request: HttpRequest, clients: list[Client]) -> tuple[Grant, TokenAnswer]:
        """The phases. The client is put into `clients` as soon as it is known, for the record of a refusal."""
        form = parse_form(request)
        grant = self._find_grant(form)
        client = await self._authenticator.authenticate(request, form)
        clients.append(client)
        for check in CLIENT_RULES:
            check(client, grant)
        return grant, await grant.exchange(_read_request(request, form, client, grant))

    def _find_grant(self, form: Form) -> Grant:
        wanted = form.require("grant_type")
        for name, grant in self._grants.items():
            if name == wanted:
                return grant
        raise UnsupportedGrantType(f"grant_type must be one of: {', '.join(self._grants)}")


def check_grant_allowed(client: Client, grant: Grant) -> None:
    if grant.grant_type not in client.grant_types:
        raise UnauthorizedClient(f"the client may not use {grant.grant_type}")


CLIENT_RULES: tuple[Callable[[Client, Grant], None], ...] = (check_grant_allowed,)


def _read_request(request: HttpRequest, form: Form, client: Client, grant: Grant) -> TokenRequest:
    scope = form.get("scope")
    resources = form.all("resource")
    for resource in resources:
        normalise_resource(resource)
    return TokenRequest(
        client=client,
        scopes=parse_scope(scope) if scope is not None else None,
        resources=resources,
        parameters=form.subset(grant.parameters - CLIENT_PARAMETERS),
        source_address=request.source_address,
        trace_id=request.trace_id,
    )


def _members(granted: TokenAnswer) -> Mapping[str, Any]:
    members: dict[str, Any] = {
        "access_token": granted.access_token,
        "token_type": "Bearer",
        "expires_in": granted.expires_in_seconds,
        "scope": format_scope(granted.scopes),
    }
    if granted.refresh_token is not None:
        members["refresh_token"] = granted.refresh_token
    if granted.id_token is not None:
        members["id_token"] = granted.id_token
    return members


def _operation(grants: Iterable[Grant]) -> Mapping[str, Any]:
    text = {"type": "string"}
    listed = list(grants)
    names = {
        "client_id",
        "client_secret",
        "scope",
        "resource",
        *(name for grant in listed for name in grant.parameters),
    }
    properties: dict[str, Mapping[str, Any]] = dict.fromkeys(sorted(names), text)
    properties["grant_type"] = {"type": "string", "enum": [grant.grant_type.value for grant in listed]}
    answer = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": text,
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": text,
            "refresh_token": text,
            "id_token": text,
        },
    }
    return {
        "operationId": "token",
        "summary": "Tokens for a grant",
        "tags": ["tokens"],
        "security": [{}, {"clientBasic": []}],
        "requestBody": form_body(properties, ["grant_type"]),
        "responses": {"200": json_response("RFC 6749 section 5.1", answer), **ERROR_RESPONSES},
    }

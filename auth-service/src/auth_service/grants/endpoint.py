"""POST /oauth2/token: the phases that every grant shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client
from auth_service.clients.credentials import CLIENT_PARAMETERS
from auth_service.errors import InvalidClient, OAuthError, UnauthorizedClient, UnsupportedGrantType
from auth_service.grants.grant_handler import GrantHandler, TokenRequest, TokenResponse
from auth_service.http.answers import json_answer
from auth_service.http.forms import Form, parse_form
from auth_service.http.messages import WRITE, Answer, Endpoint, HttpRequest
from auth_service.http.metrics import Metrics
from auth_service.scopes import format_scope, parse_scope
from auth_service.tokens.resources import normalize_identifier
from security_common.audit import Action, EventType, Outcome

__all__ = ["CLIENT_RULES", "TokenEndpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Each request walks the same phases, in the order of `_exchange`, whichever of the grants it asks for."""

    authenticator: ClientAuthenticator
    grants: Sequence[GrantHandler]
    record: AuditRecorder
    metrics: Metrics

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/token",
            handler=self.answer,
            methods=WRITE,
            cross_origin=True,
            metadata={"token_endpoint": "/oauth2/token"},
        )

    async def answer(self, request: HttpRequest) -> Answer:
        """The token answer, or the error raised again once it is on record. No answer leaves before its event is."""
        clients: list[Client] = []
        try:
            grant, granted = await self._exchange(request, clients)
        except OAuthError as error:
            self.metrics.tokens_refused.labels(error.error).inc()
            # That the client was not who it says is on record already.
            if not isinstance(error, InvalidClient):
                await self.record(
                    request,
                    event_type=EventType.TOKEN_REFUSED,
                    action=Action.REFUSED,
                    outcome=Outcome.REFUSED,
                    client_id=clients[0].client_id if clients else None,
                    reason=error.error,
                )
            raise
        await self.record(
            request,
            event_type=EventType.TOKEN_ISSUED,
            action=Action.ISSUED,
            client_id=clients[0].client_id,
            user_id=granted.subject,
        )
        self.metrics.tokens_issued.labels(grant.grant_type.value).inc()
        return json_answer(_members(granted))

    async def _exchange(self, request: HttpRequest, clients: list[Client]) -> tuple[GrantHandler, TokenResponse]:
        """The phases. The client is put into `clients` as soon as it is known, for the record of a refusal."""
        form = parse_form(request)
        grant = self._find_grant(form)
        client = await self.authenticator.authenticate(request, form)
        clients.append(client)
        for check in CLIENT_RULES:
            check(client, grant)
        return grant, await grant.exchange(_read_request(request, form, client, grant))

    def _find_grant(self, form: Form) -> GrantHandler:
        wanted = form.require("grant_type")
        for grant in self.grants:
            if grant.grant_type == wanted:
                return grant
        offered = ", ".join(grant.grant_type for grant in self.grants)
        raise UnsupportedGrantType(f"grant_type must be one of: {offered}")


def check_grant_allowed(client: Client, grant: GrantHandler) -> None:
    if grant.grant_type not in client.grant_types:
        raise UnauthorizedClient(f"the client may not use {grant.grant_type}")


CLIENT_RULES: tuple[Callable[[Client, GrantHandler], None], ...] = (check_grant_allowed,)


def _read_request(request: HttpRequest, form: Form, client: Client, grant: GrantHandler) -> TokenRequest:
    scope = form.get("scope")
    resources = form.all("resource")
    for resource in resources:
        normalize_identifier(resource)
    return TokenRequest(
        client=client,
        scopes=parse_scope(scope) if scope is not None else None,
        resources=resources,
        parameters=form.subset(grant.parameters - CLIENT_PARAMETERS),
        source_address=request.source_address,
        trace_id=request.trace_id,
    )


def _members(granted: TokenResponse) -> Mapping[str, Any]:
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

"""POST /oauth2/register: dynamic client registration (RFC 7591), for clients without a client id metadata document.

A registration that no user ever consents to is deleted after 30 days, counted from the last visit of its sign-in page.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter
from limits.aio.storage import Storage
from starlette.requests import Request
from starlette.responses import Response

from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_metadata import (
    Members,
    find_dropped,
    make_self_described_client,
    parse_members,
    read_text,
    refuse_unknown_values,
)
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.store import UNUSED_LIFETIME_SECONDS, ClientStore
from auth_service.errors import InvalidClientMetadata, InvalidToken, OAuthError, TooManyRequests
from auth_service.http.application import new_router
from auth_service.http.dependencies import context_of
from auth_service.http.forms import media_type_of
from auth_service.http.openapi import ERROR_RESPONSES, json_result
from auth_service.http.rate_limits import Throttle
from auth_service.http.responses import json_response
from auth_service.paths import REGISTRATION_PATH
from auth_service.protocol import SECRET_METHODS, AuthMethod, Clock, RandomBytes, base64url
from auth_service.scopes import format_scope
from security_common.audit import Action, EventType, Outcome

__all__ = ["MAX_BODY_BYTES", "REGISTRATION_RULES", "RegistrationEndpoint", "registration_throttle"]

MAX_BODY_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationEndpoint:
    """If there is an `initial_access_token`, registration requires it; otherwise it is open, within rate limits."""

    store: ClientStore
    secrets: ClientSecrets
    record: AuditRecorder
    throttle: Throttle
    clock: Clock
    random_bytes: RandomBytes
    scopes: tuple[str, ...]
    initial_access_token: bytes | None = field(repr=False)

    def make_router(self) -> APIRouter:
        router = new_router("clients")
        router.add_api_route(
            REGISTRATION_PATH,
            self.respond,
            methods=["POST"],
            status_code=201,
            operation_id="register",
            summary="Register a client (RFC 7591)",
            responses={**ERROR_RESPONSES, **json_result("RFC 7591 section 3.2.1", status=201)},
            openapi_extra={
                "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST_SCHEMA}}},
                "security": [{}, {"bearer": []}],
            },
        )
        return router

    async def respond(self, request: Request) -> Response:
        """201 with the client as it was registered (RFC 7591 section 3.2.1)."""
        source = context_of(request)
        await self._check_permission(request.headers.get("authorization"), source)
        await self.throttle.count(source.source_address)
        members = _parse(await request.body(), request.headers.get("content-type") or "")
        for check in REGISTRATION_RULES:
            check(members)
        client, secret = self._make_client(members)
        await self.store.save(client, lifetime_seconds=UNUSED_LIFETIME_SECONDS)
        await self.record(
            source, event_type=EventType.CLIENT_REGISTERED, action=Action.REGISTERED, client_id=client.client_id
        )
        return json_response(_describe(client, secret, dropped=find_dropped(members)), status=201)

    async def _check_permission(self, authorization: str | None, source: RequestSource) -> None:
        """Raises `TooManyRequests` or `InvalidToken` after the refusal was recorded."""
        try:
            self.throttle.check(source.source_address)
            self._check_initial_token(authorization or "")
        except OAuthError as error:
            await self.record(
                source,
                event_type=EventType.REGISTRATION_REFUSED,
                action=Action.REFUSED,
                reason=error.error,
                outcome=Outcome.REFUSED,
            )
            raise

    def _check_initial_token(self, authorization: str) -> None:
        """RFC 7591 section 3: the initial access token is a bearer token."""
        if self.initial_access_token is None:
            return
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.initial_access_token):
            raise InvalidToken("registration needs an initial access token; ask the operator of this server")

    def _make_client(self, members: Members) -> tuple[Client, str | None]:
        """The client, and its secret if it authenticates with one."""
        method = AuthMethod(read_text(members, "token_endpoint_auth_method") or AuthMethod.CLIENT_SECRET_BASIC)
        client = make_self_described_client(
            members,
            client_id="c_" + base64url(self.random_bytes(18)),
            origin=ClientOrigin.REGISTERED,
            auth_methods=frozenset({method}),
            scopes=self.scopes,
            now=self.clock(),
        )
        if method not in SECRET_METHODS:
            return client, None
        secret = self.secrets.generate()
        return replace(client, secret=self.secrets.hash(secret)), secret


def registration_throttle(limit: int, *, storage: Storage, clock: Clock) -> Throttle:
    """Lets one address register `limit` clients in an hour; after that each registration doubles the wait."""
    return Throttle(
        name="registration",
        storage=storage,
        clock=clock,
        free=limit,
        window_seconds=3600,
        error=TooManyRequests,
        description=f"{limit} clients have registered from this address within an hour; wait for the seconds in"
        " Retry-After, or ask the operator to raise AUTH_REGISTRATIONS_PER_HOUR",
    )


def refuse_secret(members: Members) -> None:
    if any(name.startswith("client_secret") for name in members):
        raise InvalidClientMetadata("client_secret is made by the server; leave it out")


def check_method(members: Members) -> None:
    method = read_text(members, "token_endpoint_auth_method")
    if method is not None and method not in set(AuthMethod):
        raise InvalidClientMetadata(f"token_endpoint_auth_method must be one of: {', '.join(AuthMethod)}")
    if method == AuthMethod.PRIVATE_KEY_JWT and not (members.get("jwks") or members.get("jwks_uri")):
        raise InvalidClientMetadata("private_key_jwt needs jwks or jwks_uri")


REGISTRATION_RULES: tuple[Callable[[Members], None], ...] = (refuse_secret, check_method, refuse_unknown_values)


def _parse(body: bytes, content_type: str) -> Members:
    if media_type_of(content_type) != "application/json":
        raise InvalidClientMetadata("Content-Type must be application/json")
    try:
        return parse_members(body)
    except ValueError as error:
        raise InvalidClientMetadata("the body must be one JSON object in UTF-8, each member once") from error


def _describe(client: Client, secret: str | None, *, dropped: Sequence[str]) -> Mapping[str, Any]:
    """The client as it is registered, which may be less than was requested.

    Two members are not from RFC 7591: `warnings`, and `client_id_expires_at`, the earliest time at which the client can
    be deleted. A client that a user has consented to is never deleted. `client_secret_expires_at` is the same time: it
    is the only member that makes existing clients register again, and this server deletes the unused ones by then.
    """
    issued_at_seconds = int(client.created_at_seconds)
    expires_at_seconds = issued_at_seconds + UNUSED_LIFETIME_SECONDS
    members: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": issued_at_seconds,
        "client_id_expires_at": expires_at_seconds,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": sorted(client.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": next(iter(client.auth_methods)),
        "application_type": client.application_type,
        "scope": format_scope(client.scopes),
        "post_logout_redirect_uris": client.post_logout_redirect_uris or None,
        "client_uri": client.client_uri,
        "logo_uri": client.logo_uri,
        "policy_uri": client.policy_uri,
        "tos_uri": client.tos_uri,
        "jwks": client.signing_keys,
        "jwks_uri": client.signing_keys_uri,
        "warnings": [f"{name} was left out: it must be an https URL" for name in dropped] or None,
        "client_secret": secret,
        "client_secret_expires_at": expires_at_seconds if secret else None,
    }
    return {name: value for name, value in members.items() if value is not None}


_STRING: Mapping[str, Any] = {"type": "string"}
_STRINGS: Mapping[str, Any] = {"type": "array", "items": _STRING}
_REQUEST_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["redirect_uris"],
    "properties": {
        "redirect_uris": {**_STRINGS, "minItems": 1},
        "client_name": _STRING,
        "token_endpoint_auth_method": {"enum": [method.value for method in AuthMethod]},
        "grant_types": _STRINGS,
        "response_types": _STRINGS,
        "application_type": {"enum": ["web", "native"]},
    },
}

"""POST /oauth2/register: dynamic client registration (RFC 7591), for clients that have no metadata document.

A registration that no user ever consents to is deleted after 30 days, counted from the last visit of its sign-in page.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from limits.aio.storage import Storage

from auth_service.audit_recorder import AuditRecorder
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
from auth_service.http.answers import json_answer
from auth_service.http.messages import WRITE, Answer, Endpoint, HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.protocol import SECRET_METHODS, AuthMethod, Clock, RandomBytes
from auth_service.scopes import format_scope
from security_common.audit import Action, EventType, Outcome

__all__ = ["REGISTRATION_RULES", "Registration", "registration_throttle"]

_MAX_BODY_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The endpoint. With `initial_access_token` only who has it may register; without, everyone, within limits."""

    store: ClientStore
    secrets: ClientSecrets
    record: AuditRecorder
    throttle: Throttle
    clock: Clock
    random_bytes: RandomBytes
    scopes: tuple[str, ...]
    initial_access_token: bytes | None = field(repr=False)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/register",
            handler=self.answer,
            methods=WRITE,
            cross_origin=True,
            max_body_bytes=_MAX_BODY_BYTES,
            metadata={"registration_endpoint": "/oauth2/register"},
        )

    async def answer(self, request: HttpRequest) -> Answer:
        """201 with the client as it was registered (RFC 7591 section 3.2.1)."""
        try:
            self.throttle.check(request.source_address)
            self._check_initial_token(request)
        except OAuthError as error:
            await self.record(
                request,
                event_type=EventType.REGISTRATION_REFUSED,
                action=Action.REFUSED,
                reason=error.error,
                outcome=Outcome.REFUSED,
            )
            raise
        await self.throttle.count(request.source_address)
        members = _read(request)
        for check in REGISTRATION_RULES:
            check(members)
        client, secret = self._make(members)
        await self.store.save(client, lifetime_seconds=UNUSED_LIFETIME_SECONDS)
        await self.record(
            request, event_type=EventType.CLIENT_REGISTERED, action=Action.REGISTERED, client_id=client.client_id
        )
        return json_answer(_describe(client, secret, dropped=find_dropped(members)), status=201)

    def _check_initial_token(self, request: HttpRequest) -> None:
        """RFC 7591 section 3: the initial access token is a bearer token."""
        if self.initial_access_token is None:
            return
        scheme, _, given = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.initial_access_token):
            raise InvalidToken("registration needs an initial access token; ask the operator of this server")

    def _make(self, members: Members) -> tuple[Client, str | None]:
        method = AuthMethod(read_text(members, "token_endpoint_auth_method") or AuthMethod.CLIENT_SECRET_BASIC)
        client = make_self_described_client(
            members,
            client_id="c_" + urlsafe_b64encode(self.random_bytes(18)).decode("ascii"),
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
    """Lets one address register `limit` clients in an hour, then makes it wait longer with each further one."""
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
        raise InvalidClientMetadata("client_secret is made by the server, not sent")


def check_method(members: Members) -> None:
    method = read_text(members, "token_endpoint_auth_method")
    if method is not None and method not in set(AuthMethod):
        raise InvalidClientMetadata(f"token_endpoint_auth_method must be one of: {', '.join(AuthMethod)}")
    if method == AuthMethod.PRIVATE_KEY_JWT and not (members.get("jwks") or members.get("jwks_uri")):
        raise InvalidClientMetadata("private_key_jwt needs jwks or jwks_uri")


REGISTRATION_RULES: tuple[Callable[[Members], None], ...] = (refuse_secret, check_method, refuse_unknown_values)


def _read(request: HttpRequest) -> Members:
    if request.media_type != "application/json":
        raise InvalidClientMetadata("Content-Type must be application/json")
    try:
        return parse_members(request.body)
    except ValueError as error:
        raise InvalidClientMetadata("the body must be one JSON object in UTF-8, each member once") from error


def _describe(client: Client, secret: str | None, *, dropped: Sequence[str]) -> Mapping[str, Any]:
    """The client as it is registered, which may be less than was asked for.

    Two members are not from RFC 7591: `warnings`, and `client_id_expires_at`, the earliest time at which the client may
    be deleted. That never happens once a person has allowed the client. RFC 7591 can say so of a secret only.
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

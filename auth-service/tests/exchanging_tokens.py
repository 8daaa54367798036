"""Clients and users for the tests of token exchange (RFC 8693), and the requests that they send."""

import asyncio
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import jwt
from provider_users import in_redis
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import CALLBACK, Person, Request, redeem

from auth_service.accounts.account import Account, Role
from auth_service.accounts.consents import Consents
from auth_service.accounts.store import AccountStore
from auth_service.grants.token_exchange import ACCESS_TOKEN_URI
from auth_service.protocol import GrantType

FRONT, FRONT_OF_ONE = "http://localhost:8083/mcp", "http://localhost:8083/mcp/crm"
TARGET, NEXT, OTHER = "http://localhost:8082/mcp", "http://localhost:8084/mcp", "http://localhost:8085/mcp"
GRANT = GrantType.TOKEN_EXCHANGE.value

RESOURCES = f"""
resources:
  - {{url: {FRONT}, default: true, scopes: {{mcp.access: {{ko: 가, en: a}}, crm.read: {{ko: 나, en: b}},
      crm.audit: {{ko: 다, en: c}}, unmapped: {{ko: 라, en: d}}}}}}
  - {{url: {FRONT_OF_ONE}, scopes: {{mcp.access: {{ko: 가, en: a}}}}}}
  - {{url: {TARGET}, scopes: {{mcp.access: {{ko: 가, en: a}}, mcp.decrypt: {{ko: 나, en: b}},
      mcp.audit: {{ko: 다, en: c}}}}}}
  - {{url: {NEXT}, scopes: {{next.use: {{ko: 가, en: a}}}}}}
  - {{url: {OTHER}, scopes: {{mcp.access: {{ko: 가, en: a}}}}}}
"""
DECLARATION = f"""
{RESOURCES}
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{CALLBACK}]
    scopes: [openid, mcp.access, crm.read, crm.audit, unmapped]
    extra_audiences: [app]
  - client_id: batch
    secret_file: secret
    scopes: [mcp.access, crm.read, unmapped]
  - client_id: gateway
    secret_file: secret
    grant_types: [client_credentials, "{GRANT}"]
    extra_audiences: [gateway]
    may_exchange:
      - from: [{FRONT}, {FRONT_OF_ONE}]
        to: {TARGET}
        scopes: {{mcp.access: mcp.access, crm.read: mcp.access mcp.decrypt, crm.audit: [mcp.audit]}}
      - from: [{FRONT}]
        to: {NEXT}
        scopes: {{mcp.access: next.use}}
        lifetime_seconds: 120
  - client_id: inner-gateway
    secret_file: secret
    grant_types: ["{GRANT}"]
    may_exchange: [{{from: [{TARGET}], to: {TARGET}, scopes: {{mcp.access: mcp.access}}}}]
"""


def start_exchanging_service(start_service: StartService, folder: Path) -> Service:
    (folder / "secret").write_text("secret")
    (folder / "auth.yaml").write_text(DECLARATION)
    return start_service(config=folder / "auth.yaml", trusted_proxies="127.0.0.1")


def user_tokens(user: Person, scope: str = "mcp.access", resource: str = FRONT) -> dict[str, Any]:
    request = Request("app", {"scope": scope, "resource": resource})
    return redeem(user.http, request, user.grant(request)["code"]).json()


def client_token(service: Service, **changes: str) -> str:
    form = {"grant_type": "client_credentials", "resource": FRONT, **changes}
    return service.http.post("/oauth2/token", data=form, auth=("batch", "secret")).json()["access_token"]


def exchange(service: Service, token: str | None, client_id: str = "gateway", **changes: str | None) -> httpx2.Response:
    form = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN_URI,
        "resource": TARGET,
        **changes,
    }
    given = {name: value for name, value in form.items() if value is not None}
    return service.http.post("/oauth2/token", data=given, auth=(client_id, "secret"))


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def sign(service: Service, claims: dict[str, Any], token_type: str = "at+jwt") -> str:
    """A token that this service would have to accept by its signature."""
    keys = service.app.state.parts.keys
    return asyncio.run(keys.sign(claims, token_type=token_type))


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error_description"].isascii()
    return answer.status_code, answer.json()["error"]


def is_active(service: Service, token: str) -> bool:
    answer = service.http.post("/oauth2/introspect", data={"token": token}, auth=("gateway", "secret"))
    return answer.json()["active"]


def add_account(service: Service, *roles: Role) -> str:
    """The subject of a new account, stored as `auth-service user add` does."""
    subject = f"u_{secrets.token_hex(8)}"
    account = Account(subject=subject, username=subject, name="A user", roles=frozenset(roles))

    async def add(connection: Redis) -> None:
        assert await AccountStore(connection).add(account)

    in_redis(service, add)
    return subject


def change_account(service: Service, subject: str, **changes: Any) -> None:
    async def change(connection: Redis) -> None:
        assert await AccountStore(connection).change(subject, lambda account: replace(account, **changes)) is not None

    in_redis(service, change)


def allow(service: Service, subject: str, *scopes: str) -> None:
    """Stores the consent of a user for the client `app`."""
    in_redis(service, lambda connection: Consents(connection).give(subject, "app", FRONT, scopes, now=time.time()))

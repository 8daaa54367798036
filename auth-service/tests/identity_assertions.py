"""A provider that issues identity assertions (ID-JAG), and the clients that redeem them. Only tests issue them."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwk
from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, sign
from provider_users import start_with_provider
from running_auth import Service, StartService
from signing_in import CALLBACK

from auth_service.protocol import GrantType

JWT_BEARER = GrantType.JWT_BEARER.value
EDITOR, OTHER_EDITOR = "https://editor.example/client.json", "https://editor.example/other.json"
FIRST, SECOND = "http://localhost:8082/mcp", "http://localhost:8084/mcp"

DECLARATION = """
resources:
  - {{url: {first}, default: true, scopes: {{mcp.access: {{ko: 가, en: a}}, mcp.decrypt: {{ko: 나, en: b}},
      mcp.audit: {{ko: 다, en: c}}}}}}
  - {{url: {second}, scopes: {{second.use: {{ko: 가, en: a}}}}}}
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{callback}]
    scopes: [openid, mcp.access]
  - client_id: agent
    secret_file: provider.secret
    grant_types: ["{grant}"]
    scopes: [mcp.access, mcp.decrypt, mcp.audit, second.use, openid]
  - client_id: other-agent
    secret_file: provider.secret
    grant_types: ["{grant}"]
    scopes: [mcp.access]
    resources: [{first}]
  - client_id: gateway
    secret_file: gateway.secret
    grant_types: ["urn:ietf:params:oauth:grant-type:token-exchange"]
    may_exchange: [{{from: [{first}], to: {second}, scopes: {{mcp.access: second.use}}}}]
  - client_id: without-grant
    secret_file: provider.secret
  - client_id: listed
    grant_types: [authorization_code, "{grant}"]
    redirect_uris: [{callback}]
  - client_id: not-listed
    grant_types: [authorization_code, "{grant}"]
    redirect_uris: [{callback}]
registration: {{metadata_documents: listed, hosts: [editor.example], pinned_directory: documents}}
identity_providers:
  - id: company
    issuer: {issuer}
    client_id: {client_id}
    client_secret_file: provider.secret
    accounts: {accounts}
    enterprise_managed: {{public_clients: [listed, "{editor}"]}}
    allow: [{{claim: groups, has: staff}}, {{claim: groups, has: audit}}, {{claim: realm.roles, has: staff}}]
    rules:
      - {{when: {{claim: groups, has: staff}}, scopes: [mcp.access, second.use]}}
      - {{when: {{claim: realm.roles, has: staff}}, scopes: [mcp.access]}}
      - {{when: {{claim: groups, has: clear}}, scopes: [mcp.decrypt]}}
      - {{when: {{claim: groups, has: audit}}, roles: [auditor]}}
  - id: silent
    issuer: http://localhost:9
    client_id: auth-service
    client_secret_file: provider.secret
    enterprise_managed: {{}}
    allow: {{everyone: true}}
  - id: without-assertions
    issuer: http://localhost:10
    client_id: auth-service
    client_secret_file: provider.secret
    allow: {{everyone: true}}
"""


def start_enterprise_managed(
    start_service: StartService, folder: Path, provider: OpenIdProvider, *, redis_url: str, accounts: str = "create"
) -> Service:
    declaration = DECLARATION.format(
        first=FIRST,
        second=SECOND,
        callback=CALLBACK,
        grant=JWT_BEARER,
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        accounts=accounts,
        editor=EDITOR,
    )
    (folder / "gateway.secret").write_text("secret")
    (folder / "documents").mkdir()
    for number, client_id in enumerate((EDITOR, OTHER_EDITOR)):
        document = {"client_id": client_id, "client_name": "Editor", "redirect_uris": [CALLBACK]}
        (folder / "documents" / f"{number}.json").write_text(json.dumps(document))
    return start_with_provider(start_service, folder, declaration, redis_url=redis_url)


def id_jag(
    provider: OpenIdProvider, service: Service, *, key: jwk.Key | None = None, header: Any = None, **changes: Any
) -> str:
    """An assertion for the client `agent`. `changes` replace claims, None removes one; times are seconds from now."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": provider.issuer,
        "sub": "person-1",
        "aud": service.issuer,
        "client_id": "agent",
        "jti": secrets.token_hex(8),
        "iat": now,
        "exp": now + 300,
        "groups": ["staff"],
        **changes,
    }
    for name in ("iat", "nbf", "exp"):
        if isinstance(changes.get(name), int):
            claims[name] = now + int(changes[name])
    kept = {name: value for name, value in claims.items() if value is not None}
    sent_header = {"alg": "RS256", "kid": "first", "typ": "oauth-id-jag+jwt", **(header or {})}
    return sign(sent_header, kept, key or provider.key)


def redeem(
    service: Service, assertion: str, client_id: str = "agent", secret: str = CLIENT_SECRET, **changes: Any
) -> httpx2.Response:
    """The request of a client with a secret; an empty secret is that of a public client."""
    form = {"grant_type": JWT_BEARER, "assertion": assertion, "client_id": client_id, **changes}
    if secret:
        form["client_secret"] = secret
    return service.http.post("/oauth2/token", data=form)

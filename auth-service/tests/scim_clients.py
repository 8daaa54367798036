"""An auth-service that identity providers use over SCIM, and the requests of a provider."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from openid_provider import OpenIdProvider
from provider_users import USUAL_RULES, CompanyUser, declare, start_with_provider
from running_auth import Service, StartService
from signing_in import Request

TOKEN, PREVIOUS_TOKEN, OTHER_TOKEN = "scim-token-of-company-" * 2, "previous-token-of-company-" * 2, "partner-" * 5
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

PROFILE = Request("app", {"scope": "openid profile email offline_access mcp.access"})

_PARTNER = """
  - id: partner
    issuer: https://partner.example.com
    client_id: auth-service
    client_secret_file: provider.secret
    allow: {everyone: true}
    scim: {token_file: partner.token, subject: userName}
"""
_numbers = itertools.count(1)


def start_scim_service(
    start_service: StartService, folder: Path, provider: OpenIdProvider, *, redis_url: str
) -> Service:
    """A service at which the providers `company` and `partner` manage their users."""
    for name, token in (("company", TOKEN), ("previous", PREVIOUS_TOKEN), ("partner", OTHER_TOKEN)):
        (folder / f"{name}.token").write_text(token + "\n")
    scim = "    scim: {token_file: company.token, previous_token_file: previous.token}\n"
    declaration = declare(provider, more=USUAL_RULES + scim + _PARTNER)
    return start_with_provider(start_service, folder, declaration, redis_url=redis_url)


@dataclass
class ScimClient:
    """Sends requests with the token of one provider."""

    service: Service
    token: str = field(default=TOKEN, repr=False)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/scim+json"}
        sent = {"json": body} if body is not None else {}
        return self.service.http.request(method, f"/scim/v2/{path}", **{"headers": headers, **sent, **more})

    def add(self, **attributes: Any) -> dict[str, Any]:
        answer = self.send("POST", "Users", new_user(**attributes))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def patch(self, user_id: str, *operations: dict[str, Any]) -> httpx2.Response:
        return self.send("PATCH", f"Users/{user_id}", {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})

    def find(self, text: str, **parameters: str) -> httpx2.Response:
        return self.send("GET", "Users", params={"filter": text, **parameters})


def new_user(**attributes: Any) -> dict[str, Any]:
    """A resource with a name of its own. `attributes` replace members; None removes one."""
    number = next(_numbers)
    members = {
        "schemas": [USER_SCHEMA],
        "externalId": f"scim-person-{number}",
        "userName": f"person{number}@example.com",
        "displayName": f"Person {number}",
        "active": True,
        **attributes,
    }
    return {name: value for name, value in members.items() if value is not None}


def sign_in_of_scim_user(provider: OpenIdProvider, user: CompanyUser, subject: str) -> dict[str, str]:
    """The tokens after a sign-in at the provider."""
    provider.claims = {"sub": subject, "groups": ["staff"], "name": "Name at the provider"}
    return user.tokens(PROFILE).json()


def subject_of(user: CompanyUser, tokens: dict[str, str]) -> str:
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    return user.http.get("/oauth2/userinfo", headers=bearer).json()["sub"]


def actions(service: Service, account: str) -> list[str]:
    lines = [
        json.loads(line)
        for path in service.settings.security.audit_dir.rglob("security_audit.log")
        for line in path.read_text().splitlines()
    ]
    events = [line for line in lines if line["event_type"] == "account_provisioning"]
    return [event["action_taken"] for event in events if event["user_id"] == account]

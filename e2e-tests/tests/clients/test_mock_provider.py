"""A user signs in at oauth2-mock-server of npm, which sends claims as vendors do, and wrong responses."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from company_browser import CALLBACK, Browser
from joserfc import jws

from local_stack.ports import StackPorts, free_ports
from local_stack.stack import AUTH, REDIS, Stack

pytestmark = pytest.mark.clients

APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
DECLARATION = """
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{callback}]
    scopes: [openid, offline_access, mcp.access, mcp.decrypt]
sign_in: {{local: "off"}}
identity_providers:
  - id: company
    kind: keycloak
    issuer: http://localhost:{port}
    client_id: auth-service
    client_secret_file: provider.secret
    allow: [{{claim: groups, has: staff}}, {{claim: realm_access.roles, has: staff}}]
    rules:
      - {{when: {{claim: groups, has: staff}}, scopes: [mcp.access]}}
      - {{when: {{claim: realm_access.roles, has: staff}}, scopes: [mcp.access]}}
      - {{when: {{claim: groups, has: clear}}, scopes: [mcp.decrypt]}}
"""
STAFF = {"sub": "person-1", "groups": ["staff"]}

ACCEPTED: dict[str, tuple[dict[str, Any], str]] = {
    "a list of groups": ({"id_token": STAFF}, "mcp.access"),
    "two groups": ({"id_token": {**STAFF, "groups": ["clear", "staff"]}}, "mcp.access mcp.decrypt"),
    "one group as text": ({"id_token": {**STAFF, "groups": "staff"}}, "mcp.access"),
    "roles in an object": ({"id_token": {"sub": "person-1", "realm_access": {"roles": ["staff"]}}}, "mcp.access"),
    "groups at userinfo": (
        {"id_token": {"sub": "person-1"}, "userinfo": {"sub": "person-1", "groups": ["staff"]}},
        "mcp.access",
    ),
    "two audiences": ({"id_token": {**STAFF, "aud": ["auth-service", "other"], "azp": "auth-service"}}, "mcp.access"),
    "no refresh token": ({"id_token": STAFF, "tokens": {"refresh_token": None}}, "mcp.access"),
}
REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "another nonce (E29)": ({"id_token": {**STAFF, "nonce": "of-another-sign-in"}}, 502),
    "no nonce (E29)": ({"id_token": {**STAFF, "nonce": None}}, 502),
    "another audience (E27)": ({"id_token": {**STAFF, "aud": "other"}}, 502),
    "two audiences without azp (E27)": ({"id_token": {**STAFF, "aud": ["auth-service", "other"]}}, 502),
    "another issuer (E26)": ({"id_token": {**STAFF, "iss": "http://localhost:1"}}, 502),
    "expired (E28)": ({"id_token": {**STAFF, "exp": 1_700_000_000}}, 502),
    "no subject (E31)": ({"id_token": {**STAFF, "sub": None}}, 502),
    "an unknown key (E25)": ({"id_token": STAFF, "header": {"kid": "unknown"}}, 502),
    "no ID token (E23)": ({"tokens": {"id_token": None}}, 502),
    "userinfo of another person (E32)": ({"id_token": STAFF, "userinfo": {"sub": "person-2"}}, 502),
    "the code is refused (E18)": ({"status": 400, "tokens": {"error": "invalid_grant"}}, 400),
    "the client is refused (E19)": ({"status": 401, "tokens": {"error": "invalid_client"}}, 503),
    "an error of the provider (E20)": ({"status": 500}, 503),
    "iss of another provider (E14)": ({"id_token": STAFF, "redirect": {"iss": "http://localhost:1"}}, 400),
    "another state (E7)": ({"id_token": STAFF, "redirect": {"state": "made-up"}}, 400),
    "no group (E35)": ({"id_token": {**STAFF, "groups": []}}, 403),
    "another case (E57)": ({"id_token": {**STAFF, "groups": ["Staff"]}}, 403),
    "too many groups (E54)": ({"id_token": {"sub": "person-1", "_claim_names": {"groups": "src1"}}}, 403),
}


@dataclass(frozen=True)
class Company:
    """auth-service and the provider at which its users sign in."""

    auth_url: str
    provider: str
    http: httpx2.Client

    def send(self, **changes: Any) -> None:
        """What the provider sends from now on. Its userinfo response is about the person of the ID token."""
        userinfo = {"sub": changes.get("id_token", {}).get("sub")}
        answer = self.http.post(f"{self.provider}/next", json={"userinfo": userinfo, **changes})
        assert answer.status_code == 204

    @contextmanager
    def browser(self) -> Iterator[Browser]:
        """The browser of a user who has not signed in."""
        with httpx2.Client(timeout=20) as http:
            yield Browser(self.auth_url, http)

    def subject_of(self, id_token: dict[str, Any]) -> str:
        """The `sub` of the access token of a user who signs in with these claims."""
        self.send(id_token=id_token)
        with self.browser() as browser:
            access_token = browser.tokens("mcp.access")["access_token"]
        return json.loads(jws.extract_compact(access_token.encode()).payload)["sub"]


@pytest.fixture(scope="module")
def company(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    (port,) = free_ports(1)
    (folder / "provider.secret").write_text("secret-of-auth-service")
    (folder / "auth.yaml").write_text(DECLARATION.format(callback=CALLBACK, port=port))
    stack = Stack(StackPorts.ephemeral(), folder / "stack", {"AUTH_CONFIG": str(folder / "auth.yaml")})
    command = [str(node), "mock_provider.mjs", str(port)]
    with subprocess.Popen(command, cwd=APPLICATIONS, stdout=subprocess.PIPE, text=True) as provider:
        try:
            assert provider.stdout is not None
            assert provider.stdout.readline()
            stack.start(REDIS, AUTH)
            with httpx2.Client(timeout=20) as http:
                yield Company(stack.auth_url, f"http://localhost:{port}", http)
        finally:
            stack.stop()
            provider.terminate()


@pytest.mark.parametrize(("changes", "scope"), ACCEPTED.values(), ids=ACCEPTED)
def test_claims_in_the_form_of_a_vendor_give_scopes(company: Company, changes: dict[str, Any], scope: str) -> None:
    company.send(**changes)
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access mcp.decrypt offline_access")
        assert set(tokens["scope"].split()) == {*scope.split(), "offline_access"}
        assert "access_token" in browser.refresh(tokens)


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_response_ends_with_a_page(company: Company, changes: dict[str, Any], status: int) -> None:
    company.send(**changes)
    with company.browser() as browser:
        assert browser.page_after_sign_in("mcp.access").status_code == status


def test_an_account_belongs_to_the_subject_and_not_to_the_address(company: Company) -> None:
    claims = {**STAFF, "preferred_username": "hong", "email": "hong@example.com", "email_verified": True}
    account = company.subject_of(claims)
    assert company.subject_of({**claims, "preferred_username": "kim", "email": "kim@example.com"}) == account
    assert company.subject_of({**claims, "sub": "person-2"}) != account

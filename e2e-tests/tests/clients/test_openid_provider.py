"""A user signs in at oidc-provider of npm, a certified implementation, and signs out there."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from company_browser import CALLBACK, Browser

from local_stack.ports import free_ports
from local_stack.stack import start_stack

pytestmark = pytest.mark.clients

APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
SECRET = "secret-of-auth-service"
PERSON = "person-at-the-provider"

DECLARATION = """
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{callback}]
    scopes: [openid, profile, email, offline_access, mcp.access]
sign_in: {{local: "off"}}
identity_providers:
  - id: company
    issuer: http://localhost:{port}
    client_id: auth-service
    client_secret_file: provider.secret
    allow: [{{claim: groups, has: staff}}]
    rules: [{{when: {{claim: groups, has: staff}}, scopes: [mcp.access]}}]
"""


@dataclass(frozen=True)
class Provider:
    address: str
    process: subprocess.Popen[str]

    def next_report(self) -> dict[str, Any]:
        """The next line of JSON that the provider prints; warnings are left out."""
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if line.startswith("{"))
        return json.loads(line)


@pytest.fixture
def browser_and_provider(node: Path, tmp_path: Path) -> Iterator[tuple[Browser, Provider]]:
    (port,) = free_ports(1)
    (tmp_path / "provider.secret").write_text(SECRET)
    (tmp_path / "auth.yaml").write_text(DECLARATION.format(callback=CALLBACK, port=port))
    with start_stack(tmp_path, overrides={"AUTH_CONFIG": str(tmp_path / "auth.yaml")}) as stack:
        given = {
            "port": port,
            "client_id": "auth-service",
            "client_secret": SECRET,
            "redirect_uri": f"{stack.auth_url}/oauth2/callback/company",
            "backchannel_logout_uri": f"{stack.auth_url}/oauth2/backchannel-logout/company",
            "person": PERSON,
        }
        command = [str(node), "openid_provider.mjs", json.dumps(given)]
        with subprocess.Popen(command, cwd=APPLICATIONS, stdout=subprocess.PIPE, text=True) as process:
            provider = Provider(f"http://localhost:{port}", process)
            try:
                assert provider.next_report() == {"listening": True}
                with httpx2.Client(timeout=20) as http:
                    yield Browser(stack.auth_url, http), provider
            finally:
                process.terminate()


def test_a_sign_out_at_the_provider_ends_what_the_session_gave(browser_and_provider: tuple[Browser, Provider]) -> None:
    browser, provider = browser_and_provider
    online, offline = browser.tokens("mcp.access"), browser.tokens("mcp.access offline_access")
    assert "error" not in browser.refresh(online), "the session is alive"
    online = browser.tokens("mcp.access")
    browser.sign_out_at(provider.address)
    assert provider.next_report() == {"logout_token": "accepted"}
    assert browser.refresh(online)["error"] == "invalid_grant"
    assert "refresh_token" in browser.refresh(offline), "Back-Channel Logout 1.0 section 2.7"
    assert "access_token" in browser.tokens("mcp.access"), "a new sign-in"

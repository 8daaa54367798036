"""A user signs in at oidc-provider of npm, a certified implementation, and signs out there."""

import base64
import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest

from local_stack.ports import free_ports
from local_stack.stack import start_stack

pytestmark = pytest.mark.clients

APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
CALLBACK = "http://127.0.0.1:7777/callback"
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


class Form(HTMLParser):
    """The action and the hidden fields of the form of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action, self.fields = "", {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given["action"]
        if tag == "input" and given.get("name"):
            self.fields[given["name"]] = given.get("value") or ""


@dataclass
class Browser:
    """A user's browser with cookies for all hosts. It allows what apps request."""

    issuer: str
    http: httpx2.Client

    def tokens(self, scope: str) -> dict[str, Any]:
        """The token response for an authorization request of the app."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": scope,
        }
        address = self.follow(f"{self.issuer}/oauth2/authorize?{urlencode(query)}")
        (code,) = parse_qs(urlsplit(address).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "client_id": "app",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": CALLBACK,
        }
        return self.http.post(f"{self.issuer}/oauth2/token", data=form).json()

    def refresh(self, tokens: dict[str, Any]) -> dict[str, Any]:
        form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": tokens["refresh_token"]}
        return self.http.post(f"{self.issuer}/oauth2/token", data=form).json()

    def follow(self, address: str) -> str:
        """Follows redirects, and allows on the consent page, until the app has the browser."""
        answer = self.http.get(address)
        while not (address := urljoin(address, answer.headers.get("location", ""))).startswith(CALLBACK):
            answer = self.http.get(address) if "location" in answer.headers else self._allow(address, answer)
        return address

    def sign_out_at(self, provider: str) -> None:
        page = Form(self.http.get(f"{provider}/session/end").text)
        assert self.http.post(page.action, data={**page.fields, "logout": "yes"}).status_code == 303

    def _allow(self, address: str, answer: httpx2.Response) -> httpx2.Response:
        page = Form(answer.text)
        assert page.action == "/oauth2/consent", answer.text
        return self.http.post(urljoin(address, page.action), data={**page.fields, "action": "allow"})


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

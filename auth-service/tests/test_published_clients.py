"""Recorded requests of published MCP clients: each one signs its user in and stays connected."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
import yaml
from registering_clients import DOCUMENTS, PASSWORD, auditor_name, user_name
from running_auth import Service
from signing_in import RESOURCE, Page, Person, audiences_of, sent_to_client

CLIENTS: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("published_clients.yaml").read_text(encoding="utf-8")
)


@dataclass
class PublishedClient:
    """A client of the table. `values` replace the placeholders of its templates; they are not yet encoded."""

    sent: Mapping[str, Any]
    http: httpx2.Client
    values: dict[str, str] = field(default_factory=dict)
    method: str = "none"

    def introduce(self) -> None:
        """Registers the client, unless its id is the URL of a metadata document."""
        if "document" in self.sent:
            document = json.loads((DOCUMENTS / f"{self.sent['document']}.json").read_text(encoding="utf-8"))
            self.values["client_id"] = document["client_id"]
            return
        answer = self.send("POST", "/oauth2/register", "application/json", json.dumps(self.sent["registration"]))
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store"), answer.text
        registered = answer.json()
        check_registration(self.sent["registration"], registered)
        self.method = registered["token_endpoint_auth_method"]
        self.values |= {name: registered[name] for name in ("client_id", "client_secret") if name in registered}

    def begin(self, scope: str) -> str:
        """The address that it opens in the browser."""
        verifier = secrets.token_urlsafe(96)
        assert len(verifier) == 128  # the longest that RFC 7636 allows; the Python SDKs send it
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        self.values |= {
            "scope": scope,
            "state": secrets.token_urlsafe(16),
            "code_verifier": verifier,
            "code_challenge": challenge,
            "redirect_uri": self.sent["redirect_uri"],
            "resource": RESOURCE,
        }
        address = f"/oauth2/authorize?{self._fill(self.sent['authorize'])}"
        if self.sent.get("probes_first"):
            probed = self.send("GET", address)
            assert probed.status_code in {200, 302, 303}, probed.text
        return address

    def finish(self, sent: Mapping[str, str]) -> dict[str, Any]:
        """Redeems the code that the browser delivered; returns the tokens."""
        has_state = "$state" in self.sent["authorize"]
        assert sent.get("state") == (self.values["state"] if has_state else None)
        self.values["code"] = sent["code"]
        return self._ask_for_tokens(self.sent["token"])

    def refresh(self) -> dict[str, Any]:
        return self._ask_for_tokens(self.sent["refresh"])

    def _ask_for_tokens(self, template: str) -> dict[str, Any]:
        authorization = {}
        if self.sent.get("basic"):
            pair = f"{quote(self.values['client_id'])}:{quote(self.values['client_secret'])}"
            authorization = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form = self._fill(template)
        answer = self.send("POST", "/oauth2/token", "application/x-www-form-urlencoded", form, **authorization)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
        tokens = answer.json()
        assert tokens["token_type"] == "Bearer"
        assert audiences_of(tokens["access_token"])[0] == RESOURCE
        self.values |= {"refresh_token": tokens["refresh_token"], "granted": tokens["scope"]}
        return tokens

    def send(
        self, method: str, path: str, content_type: str | None = None, body: str | None = None, **headers: str
    ) -> httpx2.Response:
        """With the headers that the client sends, and no others."""
        request = self.http.build_request(method, path, content=body, headers=headers)
        for name in ("user-agent", "accept", "accept-encoding"):
            del request.headers[name]
        if content_type:
            request.headers["content-type"] = content_type
        if "user_agent" in self.sent:
            request.headers["user-agent"] = self.sent["user_agent"]
            request.headers["accept"] = "application/json"
        return self.http.send(request)

    def _fill(self, template: str) -> str:
        return Template(template).substitute({name: quote_plus(value) for name, value in self.values.items()})


def check_registration(sent: Mapping[str, Any], registered: Mapping[str, Any]) -> None:
    """The response has what clients read: the members of RFC 7591 section 3.2.1, and the registered metadata."""
    assert registered["client_id"].startswith("c_")
    assert isinstance(registered["client_id_issued_at"], int)
    for member in ("client_name", "redirect_uris", "response_types"):
        assert registered[member] == sent[member]
    assert set(registered["grant_types"]) == set(sent["grant_types"])
    assert registered["token_endpoint_auth_method"] == sent.get("token_endpoint_auth_method", "client_secret_basic")
    assert registered["application_type"] == "native"
    assert set(sent["scope"].split()) <= set(registered["scope"].split()) | {"mcp.audit"}
    is_confidential = registered["token_endpoint_auth_method"] != "none"
    assert ("client_secret" in registered) == is_confidential
    assert ("client_secret_expires_at" in registered) == is_confidential
    if is_confidential:
        assert registered["client_secret_expires_at"] > registered["client_id_issued_at"]


def get_in(client: PublishedClient, user: Person, scope: str, account: str, issuer: str) -> set[str]:
    """Takes the user through sign-in and consent; returns the scopes of the tokens that the client gets."""
    page = user.open(client.begin(scope))
    if Page(page.text).action == "/oauth2/sign-in":
        page = user.sign_in(page, account, PASSWORD)
    assert Page(page.text).action == "/oauth2/consent", "each of these asks for more than was allowed before"
    sent = user.allow(page)
    assert sent.headers["location"].startswith(f"{client.sent['redirect_uri']}?")
    answer = sent_to_client(sent)
    assert answer["iss"] == issuer
    return set(client.finish(answer)["scope"].split())


@pytest.mark.parametrize("name", CLIENTS)
def test_a_published_client_signs_its_user_in_and_stays_connected(
    open_server: Service, user: Person, name: str
) -> None:
    client = PublishedClient(CLIENTS[name], user.http)
    client.introduce()
    granted: set[str] = set()
    for scope in (client.sent[step] for step in ("scope", "step_up") if step in client.sent):
        granted = get_in(client, user, scope, user_name(open_server), open_server.issuer)
        assert granted == set(scope.split()) - {"mcp.audit"}, "this user is not an auditor"
    if "refresh" in client.sent:
        assert set(client.refresh()["scope"].split()) == granted


def test_a_client_that_requests_every_scope_gets_those_of_an_auditor_too(open_server: Service, user: Person) -> None:
    client = PublishedClient(CLIENTS["Gemini CLI 0.61.0"], user.http)
    client.introduce()
    scope = client.sent["scope"]
    assert get_in(client, user, scope, auditor_name(open_server), open_server.issuer) == set(scope.split())


def test_gemini_with_a_stored_token_is_refused_a_registration_without_redirects(
    open_server: Service, user: Person
) -> None:
    """`gemini mcp list` sends this after a 401 and continues without a client; it needs a protocol error."""
    client = PublishedClient({"user_agent": "node"}, user.http)
    body = {
        "client_name": "Gemini CLI (Stored OAuth)",
        "redirect_uris": [],
        "grant_types": [],
        "response_types": [],
        "token_endpoint_auth_method": "none",
    }
    answer = client.send("POST", "/oauth2/register", "application/json", json.dumps(body))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")

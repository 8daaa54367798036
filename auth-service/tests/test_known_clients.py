"""The requests of known MCP clients, from registration to the first refresh, with and without demo mode."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from registering_clients import DOCUMENTS, PASSWORD, user_name
from running_auth import Service
from signing_in import RESOURCE, Person, Request, audiences_of, redeem, refresh, sent_to_client

CLIENTS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("known_clients.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_known_client_signs_its_user_in(open_server: Service, user: Person, name: str) -> None:
    sent: dict[str, Any] = CLIENTS[name]
    client_id, secret = introduce(user, sent)
    request = Request(client_id, {"resource": RESOURCE, **sent["authorize"]})
    page = user.sign_in(user.open(request.path), user_name(open_server), PASSWORD)
    if page.status_code == 200:  # another of the client's addresses may have been allowed before
        page = user.allow(page)
    answer = sent_to_client(page)
    assert page.headers["location"].startswith(sent["authorize"]["redirect_uri"])
    assert answer["iss"] == open_server.issuer
    tokens = redeem(user.http, request, answer["code"], resource=RESOURCE, **secret).json()
    asked = set(sent["authorize"]["scope"].split())
    assert set(tokens["scope"].split()) == asked - {"mcp.audit", "claudeai"}
    assert audiences_of(tokens["access_token"])[0] == RESOURCE
    resource = {"resource": RESOURCE} if sent.get("refresh_names_resource", True) else {}
    fresh = refresh(user.http, client_id, tokens["refresh_token"], **resource, **secret)
    assert (fresh.status_code, fresh.json()["scope"]) == (200, tokens["scope"])


def introduce(user: Person, sent: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The client's id, and its secret if it is sent in forms. A secret for the header is set for later requests."""
    if "document" in sent:
        document = json.loads((DOCUMENTS / f"{sent['document']}.json").read_text())
        return document["client_id"], {}
    answer = user.http.post("/oauth2/register", json=sent["registration"])
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store"), answer.text
    registered = answer.json()
    assert registered["redirect_uris"] == sent["registration"]["redirect_uris"]
    assert set(registered["grant_types"]) == {"authorization_code", "refresh_token"}
    assert registered["client_id"].startswith("c_")
    if registered["token_endpoint_auth_method"] == "client_secret_basic":
        user.http.auth = (registered["client_id"], registered["client_secret"])
    by_post = registered["token_endpoint_auth_method"] == "client_secret_post"
    return registered["client_id"], {"client_secret": registered["client_secret"]} if by_post else {}

"""From a client's link to tokens: what a person sees, what the client gets."""

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from running_auth import Service, StartService
from signing_in import CALLBACK, RESOURCE, Page, Person, Request, redeem, refresh, sent_to_client

DECLARATION = f"""
clients:
  - client_id: app
    name: Example application
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{CALLBACK}, "https://app.example/callback?tenant=1"]
    post_logout_redirect_uris: [https://app.example/bye]
    scopes: [openid, profile, email, offline_access, mcp.access, mcp.decrypt, mcp.audit]
  - client_id: other
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{CALLBACK}]
    scopes: [mcp.access]
"""


@pytest.fixture(scope="module")
def people(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with two public clients that people sign in to."""
    config: Path = tmp_path_factory.mktemp("declaration") / "auth.yaml"
    config.write_text(DECLARATION)
    return start_service(config=config, trusted_proxies="127.0.0.1")


@pytest.fixture
def person(people: Service) -> Iterator[Person]:
    person = Person(f"http://127.0.0.1:{people.settings.port}")
    yield person
    person.http.close()


def test_a_person_signs_in_allows_and_the_client_gets_tokens(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "openid profile offline_access mcp.access mcp.audit", "nonce": "n-1"})
    page = person.open(request.path)
    assert Page(page.text).action == "/oauth2/sign-in"
    page = person.sign_in(page)
    words = Page(page.text).text
    for shown in ("Example application", RESOURCE, "127.0.0.1:7777", "Read everybody's access records", "Demo User"):
        assert shown in words
    answer = sent_to_client(person.allow(page))
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("some state", people.issuer)
    tokens = redeem(people.http, request, answer["code"])
    assert tokens.status_code == 200, tokens.text
    members = tokens.json()
    assert members["scope"] == "openid profile offline_access mcp.access mcp.audit"
    access = jwt.decode(members["access_token"], options={"verify_signature": False})
    identity = jwt.decode(members["id_token"], options={"verify_signature": False})
    assert access["aud"] == RESOURCE
    assert access["client_id"] == identity["aud"] == "app"
    assert access["sub"] == identity["sub"]
    assert access["sub"].startswith("u_")
    assert (identity["nonce"], identity["amr"]) == ("n-1", ["pwd"])
    claims = people.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {members['access_token']}"})
    assert claims.json() == {"sub": access["sub"], "name": "Demo User", "preferred_username": "demo"}
    again = refresh(people.http, "app", members["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] != members["refresh_token"]

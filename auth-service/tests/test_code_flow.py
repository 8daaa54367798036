"""The authorization code flow: the pages that a user sees, and the tokens that the client gets."""

import asyncio
import time
from typing import Any

import jwt
from running_auth import Service
from signing_in import RESOURCE, Page, Person, Request, redeem, refresh, sent_to_client


def test_a_user_signs_in_and_consents_and_the_client_gets_tokens(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "openid profile offline_access mcp.access mcp.audit", "nonce": "n-1"})
    page = person.open(request.path)
    assert Page(page.text).action == "/oauth2/sign-in"
    page = person.sign_in(page)
    words = Page(page.text).text
    for shown in ("Example application", RESOURCE, "127.0.0.1:7777", "Read the audit trail of all users", "Demo User"):
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
    assert access["aud"] == [RESOURCE, f"{people.issuer}/oauth2/userinfo"]
    assert access["client_id"] == identity["aud"] == "app"
    assert access["sub"] == identity["sub"]
    assert access["sub"].startswith("u_")
    assert (identity["nonce"], identity["amr"]) == ("n-1", ["pwd"])
    claims = people.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {members['access_token']}"})
    assert claims.json() == {"sub": access["sub"], "name": "Demo User", "preferred_username": "demo"}
    again = refresh(people.http, "app", members["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] != members["refresh_token"]


def test_userinfo_accepts_only_tokens_with_its_audience(people: Service, person: Person) -> None:
    """RFC 9068 section 4. A token is for userinfo if the user allowed the scope openid, whether or not the request
    names a resource as well.
    """
    for changes in ({"scope": "openid"}, {"scope": "openid mcp.access", "resource": RESOURCE}):
        request = Request("app", dict(changes))
        token = redeem(people.http, request, person.grant(request)["code"]).json()["access_token"]
        answer = people.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
    request = Request("app", {"scope": "openid offline_access mcp.access"})
    tokens = redeem(people.http, request, person.grant(request)["code"]).json()
    narrow = refresh(people.http, "app", tokens["refresh_token"], scope="mcp.access").json()["access_token"]
    assert jwt.decode(narrow, options={"verify_signature": False})["aud"] == RESOURCE
    refused = people.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {narrow}"})
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


def test_userinfo_refuses_a_token_for_another_resource_with_any_scope(people: Service) -> None:
    foreign = sign(
        people,
        {"aud": RESOURCE, "scope": "openid", "sub": "u_demo", "jti": "j", "client_id": "app", "iss": people.issuer},
    )
    refused = people.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {foreign}"})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert "another resource" in refused.json()["error_description"]


def sign(service: Service, claims: dict[str, Any]) -> str:
    """With the key of the service: as an earlier version of it might have."""
    now = int(time.time())
    signed = service.app.state.parts.keys.sign({**claims, "iat": now, "exp": now + 600}, token_type="at+jwt")
    return asyncio.run(signed)

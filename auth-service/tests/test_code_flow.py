"""From a client's link to tokens: what a person sees, what the client gets."""

import jwt
from running_auth import Service
from signing_in import RESOURCE, Page, Person, Request, redeem, refresh, sent_to_client


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

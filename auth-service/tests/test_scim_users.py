"""Identity providers add, change, deactivate and delete their users over SCIM 2.0."""

import time
from typing import Any

import pytest
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, wait_until
from reading_status_lists import is_revoked
from running_auth import Service
from scim_clients import (
    OTHER_TOKEN,
    PREVIOUS_TOKEN,
    PROFILE,
    USER_SCHEMA,
    ScimClient,
    actions,
    new_user,
    sign_in_of_scim_user,
    subject_of,
)
from signing_in import Page, Request, refresh


def test_a_user_who_was_added_signs_in_to_that_account(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    sent = new_user(emails=[{"value": "hong@example.com", "type": "work", "primary": True}], title="Engineer")
    answer = scim.send("POST", "Users", sent)
    created = answer.json()
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.headers["location"] == created["meta"]["location"]
    assert created["meta"]["location"].endswith(f"/scim/v2/Users/{created['id']}")
    assert {name: created[name] for name in ("externalId", "userName", "displayName", "active", "emails")} == {
        name: sent[name] for name in ("externalId", "userName", "displayName", "active", "emails")
    }
    assert "title" not in created
    assert scim.send("GET", f"Users/{created['id']}").json() == created
    tokens = sign_in_of_scim_user(provider, scim_user, sent["externalId"])
    assert subject_of(scim_user, tokens) == created["id"]
    assert scim.send("GET", f"Users/{created['id']}").json()["displayName"] == "Name at the provider"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "value": {"active": False}},
        {"op": "replace", "path": "active", "value": [{"value": "False"}]},
        {"op": "Replace", "path": f"{USER_SCHEMA}:active", "value": False},
    ],
    ids=["Entra ID", "Okta", "wrapped", "with schema"],
)
def test_item_e141_deactivation_ends_sessions_and_grants_at_once(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser, operation: dict[str, Any]
) -> None:
    user = scim.add()
    tokens = sign_in_of_scim_user(provider, scim_user, user["externalId"])
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = scim.patch(user["id"], operation)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert refresh(scim_user.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert scim_user.http.get("/oauth2/userinfo", headers=bearer).status_code == 401
    assert is_revoked(scim_user.service, tokens["access_token"])
    assert Page(scim_user.open(Request("app").path).text).action == "/oauth2/sign-in"
    page = scim_user.sign_in_at_provider(Request("app"))
    assert (page.status_code, "cannot be used here" in page.text) == (403, True)
    assert actions(scim.service, user["id"]) == ["account_provisioned", "account_deactivated"]


def test_an_activated_user_signs_in_again_and_earlier_grants_stay_ended(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    user = scim.add()
    token = sign_in_of_scim_user(provider, scim_user, user["externalId"])["refresh_token"]
    scim.patch(user["id"], {"op": "Replace", "path": "active", "value": "False"})
    ended_at = time.time()
    again = scim.patch(user["id"], {"op": "Replace", "path": "active", "value": "True"})
    assert again.json()["active"] is True
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    assert subject_of(scim_user, sign_in_of_scim_user(provider, scim_user, user["externalId"])) == user["id"]
    assert refresh(scim_user.http, "app", token).json()["error"] == "invalid_grant"
    assert actions(scim.service, user["id"])[-1] == "account_activated"


def test_deactivation_is_done_and_recorded_although_another_change_is_refused(scim: ScimClient) -> None:
    user, other = scim.add(), scim.add()
    changes = {"active": False, "userName": other["userName"]}
    refused = scim.patch(user["id"], {"op": "replace", "value": changes})
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    assert scim.send("GET", f"Users/{user['id']}").json()["active"] is False
    assert actions(scim.service, user["id"]) == ["account_provisioned", "account_deactivated"]


def test_a_user_who_was_added_as_inactive_cannot_sign_in(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    user = scim.add(active=False)
    provider.claims = {"sub": user["externalId"], "groups": ["staff"]}
    assert scim_user.sign_in_at_provider(Request("app")).status_code == 403


def test_a_user_who_signed_in_first_is_found_and_changed(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    provider.claims = {"sub": "signed in first", "groups": ["staff"], "preferred_username": "first@example.com"}
    scim_user.tokens(PROFILE)
    (found,) = scim.find('userName eq "First@example.com"').json()["Resources"]
    (same,) = scim.find('externalId eq "signed in first" and userName eq "first@example.com"').json()["Resources"]
    assert found == same
    assert scim.find('externalId eq "signed in first" and userName eq "other"').json()["Resources"] == []
    assert scim.send("POST", "Users", new_user(externalId="signed in first")).json()["scimType"] == "uniqueness"
    assert scim.patch(found["id"], {"op": "replace", "value": {"active": False}}).json()["active"] is False


ENTRA_CHANGES = [
    {"op": "Replace", "path": "displayName", "value": "Hong Gildong"},
    {"op": "Replace", "path": "userName", "value": "hong.gildong@example.com"},
    {"op": "Add", "path": 'emails[type eq "work"].value', "value": "gildong@example.com"},
    {"op": "Add", "path": "name.givenName", "value": "Gildong"},
    {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "010-0000-0000"},
    {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "R&D"},
]
ENTRA_VALUES = {
    "displayName": "Kim",
    "name.givenName": "K",
    'emails[type eq "work"].value': "kim-new@example.com",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "R&D",
}


def test_the_changes_of_entra_id(scim: ScimClient) -> None:
    user = scim.add()
    changed = scim.patch(user["id"], *ENTRA_CHANGES).json()
    assert (changed["displayName"], changed["userName"]) == ("Hong Gildong", "hong.gildong@example.com")
    assert changed["emails"] == [{"value": "gildong@example.com", "type": "work", "primary": True}]
    assert scim.find(f'userName eq "{user["userName"]}"').json()["totalResults"] == 0
    assert scim.find('userName eq "hong.gildong@example.com"').json()["Resources"] == [changed]
    values = scim.patch(user["id"], {"op": "Add", "value": ENTRA_VALUES}).json()
    assert (values["displayName"], values["emails"][0]["value"]) == ("Kim", "kim-new@example.com")
    removed = scim.patch(user["id"], {"op": "Remove", "path": 'emails[type eq "work"]'}).json()
    assert "emails" not in removed
    assert actions(scim.service, user["id"]) == ["account_provisioned", *["account_changed"] * 3]


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([{"op": "replace", "path": "name.formatted", "value": "Formatted"}], "Formatted"),
        ([{"op": "replace", "value": {"name": {"givenName": "Gildong", "familyName": "Hong"}}}], "Gildong Hong"),
        (
            [
                {"op": "Replace", "path": "displayName", "value": "Shown"},
                {"op": "Replace", "path": "name.formatted", "value": "Formatted"},
            ],
            "Shown",
        ),
    ],
    ids=["formatted", "parts", "both"],
)
def test_the_name_that_is_shown(scim: ScimClient, operations: list[dict[str, Any]], name: str) -> None:
    user = scim.add()
    assert scim.patch(user["id"], *operations).json()["displayName"] == name


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"attributes": "userName, active"}, {"schemas", "id", "userName", "active"}),
        ({"attributes": f"{USER_SCHEMA}:displayName"}, {"schemas", "id", "displayName"}),
        ({"attributes": "name.formatted"}, {"schemas", "id", "name"}),
        ({"excludedAttributes": "id,meta,externalId,name,displayName"}, {"schemas", "id", "userName", "active"}),
    ],
)
def test_a_part_of_the_attributes(scim: ScimClient, parameters: dict[str, str], names: set[str]) -> None:
    user = scim.add()
    assert scim.send("GET", f"Users/{user['id']}", params=parameters).json().keys() == names
    (found,) = scim.find(f'id eq "{user["id"]}"', **parameters).json()["Resources"]
    assert found.keys() == names


def test_item_e145_the_whole_user_as_okta_sends_it(scim: ScimClient) -> None:
    user = scim.add()
    whole = {
        "schemas": [USER_SCHEMA],
        "id": "another id",
        "meta": {"resourceType": "Group"},
        "userName": "okta-user@example.com",
        "name": {"givenName": "Gildong", "familyName": "Hong"},
        "emails": [
            {"value": "private@example.com", "type": "home"},
            {"primary": True, "value": "okta-user@example.com", "type": "work"},
        ],
        "externalId": user["externalId"],
        "groups": [],
        "password": "not stored",
        "active": True,
    }
    changed = scim.send("PUT", f"Users/{user['id']}", whole).json()
    assert (changed["id"], changed["userName"]) == (user["id"], "okta-user@example.com")
    assert (changed["displayName"], changed["emails"][0]["value"]) == ("Gildong Hong", "okta-user@example.com")
    patched = scim.patch(user["id"], {"op": "replace", "value": {**whole, "id": user["id"]} | {"meta": None}})
    assert (patched.status_code, patched.json()["scimType"]) == (400, "mutability")
    inactive = scim.send("PUT", f"Users/{user['id']}", {**whole, "active": False}).json()
    assert inactive["active"] is False
    kept = scim.send("PUT", f"Users/{user['id']}", {name: whole[name] for name in whole if name != "active"}).json()
    assert kept["active"] is False, "a resource that says nothing does not activate the user"


def test_items_e139_and_e140_an_unknown_user_and_one_that_exists(scim: ScimClient) -> None:
    empty = scim.find('userName eq "nobody@example.com"')
    assert (empty.status_code, empty.json()["totalResults"], empty.json()["Resources"]) == (200, 0, [])
    user = scim.add()
    for changes in ({"userName": user["userName"].upper()}, {"externalId": user["externalId"]}):
        refused = scim.send("POST", "Users", new_user(**changes))
        assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    other = scim.add()
    renamed = scim.patch(other["id"], {"op": "replace", "path": "userName", "value": user["userName"]})
    assert (renamed.status_code, renamed.json()["scimType"]) == (409, "uniqueness")


def test_item_e138_each_provider_has_its_own_token_and_people(scim: ScimClient, scim_service: Service) -> None:
    user = scim.add()
    partner = ScimClient(scim_service, OTHER_TOKEN)
    assert partner.send("GET", f"Users/{user['id']}").status_code == 404
    assert partner.patch(user["id"], {"op": "replace", "value": {"active": False}}).status_code == 404
    assert partner.send("DELETE", f"Users/{user['id']}").status_code == 404
    assert partner.find(f'userName eq "{user["userName"]}"').json()["totalResults"] == 0
    assert partner.find(f'id eq "{user["id"]}"').json()["totalResults"] == 0
    assert ScimClient(scim_service, PREVIOUS_TOKEN).send("GET", f"Users/{user['id']}").json() == user
    same = partner.send("POST", "Users", new_user(externalId=user["externalId"], userName="partner-1"))
    assert same.status_code == 201, "the same subject at another issuer is another person"


def test_with_user_name_as_the_subject(scim_service: Service) -> None:
    partner = ScimClient(scim_service, OTHER_TOKEN)
    user = partner.add(userName="uid-1", externalId=None)
    assert "externalId" not in user
    assert partner.find('userName eq "uid-1"').json()["totalResults"] == 1
    assert partner.find('externalId eq "uid-1"').json()["totalResults"] == 0
    refused = partner.patch(user["id"], {"op": "replace", "path": "userName", "value": "uid-2"})
    assert (refused.status_code, refused.json()["scimType"]) == (400, "mutability")
    assert partner.patch(user["id"], {"op": "replace", "path": "displayName", "value": "Uid"}).status_code == 200


def test_pages(scim_service: Service) -> None:
    partner = ScimClient(scim_service, OTHER_TOKEN)
    added = [partner.add(userName=f"page-{number}")["id"] for number in range(3)]
    whole = partner.send("GET", "Users").json()
    assert whole["totalResults"] == whole["itemsPerPage"] >= len(added)
    assert [user["id"] for user in whole["Resources"]][-3:] == added, "oldest first"
    start = whole["totalResults"] - 1
    page = partner.send("GET", "Users", params={"startIndex": str(start), "count": "1"}).json()
    assert [user["id"] for user in page["Resources"]] == [added[1]]
    assert (page["startIndex"], page["itemsPerPage"]) == (start, 1)
    for parameters in ({"count": "0"}, {"count": "-1"}, {"startIndex": "99999"}):
        empty = partner.send("GET", "Users", params=parameters).json()
        assert (empty["Resources"], empty["totalResults"]) == ([], whole["totalResults"])
    assert partner.send("GET", "Users", params={"startIndex": "0"}).json()["startIndex"] == 1


def test_the_documents(scim: ScimClient) -> None:
    config = scim.send("GET", "ServiceProviderConfig").json()
    assert config["patch"]["supported"] is True
    assert not any(config[name]["supported"] for name in ("bulk", "etag", "sort", "changePassword"))
    assert [entry["id"] for entry in scim.send("GET", "ResourceTypes").json()["Resources"]] == ["User"]
    (schema,) = scim.send("GET", "Schemas").json()["Resources"]
    assert schema["id"] == USER_SCHEMA
    for path in ("ResourceTypes/User", f"Schemas/{USER_SCHEMA}"):
        assert scim.send("GET", path).json()["id"] in {"User", USER_SCHEMA}
    paths = scim.service.http.get("/openapi.json").json()["paths"]
    assert set(paths["/scim/v2/Users/{user_id}"]) == {"get", "put", "patch", "delete"}
    assert paths["/scim/v2/Users"]["post"]["security"] == [{"bearer": []}]


def test_without_scim_in_the_declaration_there_is_no_endpoint(company: Service) -> None:
    answer = company.http.get("/scim/v2/Users")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")

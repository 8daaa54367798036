"""Items E138 to E149: wrong requests to the endpoints of SCIM, whose errors have the form of RFC 7644."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openid_provider import OpenIdProvider
from provider_users import USUAL_RULES, declare, in_redis
from running_auth import Service
from scim_clients import TOKEN, ScimClient, new_user

from auth_service.accounts.store import AccountStore
from auth_service.declaration import DeclarationInvalid
from auth_service.declaration_file import load_declaration
from auth_service.federation.identity_provider import load_providers
from auth_service.settings import AuthSettings

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


def error_of(answer: Any) -> tuple[int, str | None]:
    body = answer.json()
    assert body["schemas"] == [ERROR_SCHEMA]
    assert body["status"] == str(answer.status_code)
    assert body["detail"].isascii()
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, body.get("scimType")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
    ],
    ids=["none", "wrong", "empty", "another scheme", "longer"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "Users"),
        ("POST", "Users"),
        ("GET", "Users/x"),
        ("PUT", "Users/x"),
        ("PATCH", "Users/x"),
        ("DELETE", "Users/x"),
        ("GET", "ServiceProviderConfig"),
        ("POST", "Bulk"),
    ],
)
def test_item_e138_without_the_token_of_a_provider(
    scim: ScimClient, headers: dict[str, str], method: str, path: str
) -> None:
    answer = scim.send(method, path, headers=headers)
    assert error_of(answer) == (401, None)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "text",
    [
        'userName sw "a"',
        'userName ne "a"',
        'userName eq "a" or externalId eq "b"',
        'not (userName eq "a")',
        '(userName eq "a")',
        'title eq "a"',
        "userName eq a",
        "userName eq",
        "userName",
        'userName eq "a',
        'userName eq "a" and',
        'userName eq "a" and userName eq "b"',
        'userName eq "\\ud800"',
        'userName eq "\\x"',
        "userName pr",
        'userName eq "' + "a" * 1000 + '"',
        'userName eq "a" ' + "and " * 100,
    ],
)
def test_item_e142_other_filters(scim: ScimClient, text: str) -> None:
    assert error_of(scim.find(text)) == (400, "invalidFilter")


@pytest.mark.parametrize("value", ["x", "1.5", "--1", "9" * 30, "1e3"])
def test_a_page_that_is_not_a_number(scim: ScimClient, value: str) -> None:
    for name in ("startIndex", "count"):
        assert error_of(scim.send("GET", "Users", params={name: value})) == (400, "invalidValue")


PATCHES: dict[str, tuple[Any, int, str]] = {
    "E143 unknown attribute": ({"op": "replace", "path": "color", "value": "x"}, 400, "invalidPath"),
    "E143 unknown attribute without a path": ({"op": "replace", "value": {"color": "x"}}, 400, "invalidPath"),
    "E143 malformed path": ({"op": "replace", "path": "emails[", "value": "x"}, 400, "invalidPath"),
    "E143 path that is not text": ({"op": "replace", "path": 5, "value": "x"}, 400, "invalidPath"),
    "E143 other schema": ({"op": "replace", "path": "urn:example:User:x", "value": "x"}, 400, "invalidPath"),
    "E143 another address": ({"op": "replace", "path": 'emails[type eq "home"].value', "value": "x"}, 400, "noTarget"),
    "E143 part of an address": ({"op": "add", "path": "emails.display", "value": "x"}, 400, "invalidPath"),
    "E143 remove without a path": ({"op": "remove"}, 400, "noTarget"),
    "E144 id": ({"op": "replace", "path": "id", "value": "x"}, 400, "mutability"),
    "E144 meta": ({"op": "replace", "path": "meta.created", "value": "x"}, 400, "mutability"),
    "E144 another person": ({"op": "replace", "path": "externalId", "value": "x"}, 400, "mutability"),
    "E144 no person": ({"op": "remove", "path": "externalId"}, 400, "mutability"),
    "E141 active": ({"op": "replace", "path": "active", "value": "no"}, 400, "invalidValue"),
    "E141 active removed": ({"op": "remove", "path": "active"}, 400, "invalidValue"),
    "no name": ({"op": "replace", "path": "userName", "value": " "}, 400, "invalidValue"),
    "name as a number": ({"op": "replace", "path": "userName", "value": 5}, 400, "invalidValue"),
    "control character": ({"op": "replace", "path": "displayName", "value": "a\nb"}, 400, "invalidValue"),
    "value without a path": ({"op": "replace", "value": "x"}, 400, "invalidValue"),
    "unknown operation": ({"op": "move", "path": "active", "value": True}, 400, "invalidSyntax"),
    "no operation": ({"path": "active", "value": True}, 400, "invalidSyntax"),
    "operation as text": ("replace", 400, "invalidSyntax"),
}


@pytest.mark.parametrize("case", PATCHES)
def test_items_e141_to_e144_a_patch_that_is_refused(scim: ScimClient, case: str) -> None:
    operation, status, kind = PATCHES[case]
    user = scim.add()
    other = {"op": "replace", "path": "displayName", "value": "Changed"}
    assert error_of(scim.patch(user["id"], other, operation)) == (status, kind)
    assert scim.send("GET", f"Users/{user['id']}").json() == user, "none of the operations is done"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"userName": "a", "username": "b"}',
        b'{"a": NaN}',
        b"[" * 100,
        b"\xff",
        b'"\\ud800"',
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "Users"), ("PUT", "Users/{id}"), ("PATCH", "Users/{id}")])
def test_a_body_that_cannot_be_read(scim: ScimClient, body: bytes, method: str, path: str) -> None:
    user_id = scim.add()["id"] if "{id}" in path else ""
    answer = scim.send(method, path.format(id=user_id), content=body)
    assert error_of(answer) == (400, "invalidSyntax")


@pytest.mark.parametrize(
    "changes",
    [
        {"userName": None},
        {"userName": ""},
        {"userName": "a" * 257},
        {"userName": ["a", "b"]},
        {"externalId": None},
        {"externalId": "a" * 256},
        {"externalId": "a\u0000"},
        {"name": "Hong"},
        {"emails": "\U0001f600" * 300},
        {"emails": [5]},
        {"emails": 5},
        {"active": "yes"},
        {"active": 1},
    ],
)
def test_a_user_with_a_wrong_value(scim: ScimClient, changes: dict[str, Any]) -> None:
    assert error_of(scim.send("POST", "Users", new_user(**changes))) == (400, "invalidValue")


def test_operations_that_are_too_many_or_not_a_list(scim: ScimClient) -> None:
    user = scim.add()
    for operations in ([], None, {}, [{"op": "add", "path": "title", "value": "x"}] * 101):
        answer = scim.send("PATCH", f"Users/{user['id']}", {"Operations": operations})
        assert error_of(answer) == (400, "invalidSyntax")


def test_other_paths_methods_and_sizes(scim: ScimClient) -> None:
    assert error_of(scim.send("GET", "Groups")) == (404, None)
    assert error_of(scim.send("GET", "Users/u_unknown")) == (404, None)
    assert error_of(scim.send("POST", "ServiceProviderConfig")) == (405, None)
    assert scim.send("PUT", "Users").headers["allow"] == "GET, POST, HEAD"
    assert error_of(scim.send("POST", "Bulk", {"Operations": []})) == (501, None)
    assert error_of(scim.send("POST", "Users", content=b" " * 70_000)) == (413, None)
    repeated = scim.send("GET", 'Users?filter=userName+eq+"a"&filter=userName+eq+"b"')
    assert error_of(repeated) == (400, None)


def test_item_e150_roles_are_ignored(scim: ScimClient) -> None:
    user = scim.add(roles=[{"value": "auditor", "primary": True}])
    operation = {"op": "add", "path": "roles", "value": [{"value": "operator"}]}
    assert scim.patch(user["id"], operation).json() == user
    account = in_redis(scim.service, lambda connection: AccountStore(connection).find(user["id"]))
    assert account.roles == frozenset()


def test_item_e149_a_password_is_not_stored(scim: ScimClient) -> None:
    user = scim.add(password="a password that nobody stores")
    assert "password" not in json.dumps(user)
    patched = scim.patch(user["id"], {"op": "replace", "path": "password", "value": "another one"})
    assert patched.json() == user


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["userName", "externalId", "displayName", "name", "emails", "active", "schemas", "id", "meta"])
paths = names | st.sampled_from(['emails[type eq "work"].value', "emails[]", "name.givenName"]) | st.text(max_size=12)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove", "x"])}, optional={"path": paths | values, "value": values}
)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=settings().max_examples // 2)
@given(resource=st.dictionaries(names, values), changes=st.lists(operations | values, max_size=3))
def test_no_body_is_a_server_error(scim: ScimClient, resource: dict[str, Any], changes: list[Any]) -> None:
    user = scim.add()
    for answer in (
        scim.send("POST", "Users", resource),
        scim.send("PUT", f"Users/{user['id']}", {"userName": user["userName"], **resource}),
        scim.send("PATCH", f"Users/{user['id']}", {"Operations": changes}),
    ):
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            error_of(answer)


BAD_TOKENS = {
    "short": ("short", "not usable as a bearer token"),
    "with a space": ("a" * 20 + " " + "b" * 20, "not usable as a bearer token"),
    "not ASCII": ("\u00e9" * 40, "not usable as a bearer token"),
    "empty": ("", "is empty"),
    "twice": (TOKEN, "the same token"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_a_token_that_cannot_be_used(provider: OpenIdProvider, tmp_path: Path, case: str) -> None:
    token, expected = BAD_TOKENS[case]
    for name, content in (("provider.secret", "secret"), ("scim.token", TOKEN), ("previous.token", token)):
        (tmp_path / name).write_text(content)
    scim = "    scim: {token_file: scim.token, previous_token_file: previous.token}\n"
    (tmp_path / "auth.yaml").write_text(declare(provider, more=USUAL_RULES + scim))
    declared = load_declaration(AuthSettings(config=tmp_path / "auth.yaml")).identity_providers
    with pytest.raises(DeclarationInvalid, match=expected) as refused:
        load_providers(declared, issuer="https://auth.example.com")
    assert TOKEN not in str(refused.value)


def test_tokens_are_not_shown(scim_service: Service) -> None:
    connections = scim_service.app.state.parts.connections
    assert TOKEN not in repr([connection.provider for connection in connections])

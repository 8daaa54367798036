"""Which account a user has whom an identity provider manages over SCIM, and what happens to it."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from openid_provider import OpenIdProvider
from provider_users import LINKED_PASSWORD, CompanyUser, add_linked_account, in_redis, wait_until
from scim_clients import ScimClient, actions, new_user, sign_in_of_scim_user, subject_of
from signing_in import Page, Request, refresh

from auth_service.accounts.account import Account
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore


def test_a_provider_does_not_enable_what_an_operator_disabled(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    user = scim.add()

    async def disable(connection: Any) -> None:
        await AccountStore(connection).change(user["id"], lambda account: replace(account, disabled=True))

    in_redis(scim.service, disable)
    assert scim.patch(user["id"], {"op": "replace", "value": {"active": True}}).status_code == 200
    provider.claims = {"sub": user["externalId"], "groups": ["staff"]}
    assert scim_user.sign_in_at_provider(Request("app")).status_code == 403


def test_a_deleted_user_is_gone_until_the_provider_adds_the_user_again(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser
) -> None:
    sent = new_user()
    user = scim.send("POST", "Users", sent).json()
    tokens = sign_in_of_scim_user(provider, scim_user, sent["externalId"])
    assert scim.send("DELETE", f"Users/{user['id']}").status_code == 204
    assert refresh(scim_user.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert scim_user.sign_in_at_provider(Request("app")).status_code == 403
    assert scim.send("GET", f"Users/{user['id']}").status_code == 404
    assert scim.send("DELETE", f"Users/{user['id']}").status_code == 404
    assert scim.find(f'externalId eq "{sent["externalId"]}"').json()["totalResults"] == 0
    again = scim.send("POST", "Users", sent)
    assert again.status_code == 201
    assert again.json()["id"] != user["id"]
    assert subject_of(scim_user, sign_in_of_scim_user(provider, scim_user, sent["externalId"])) == again.json()["id"]
    assert actions(scim.service, user["id"])[-1] == "account_removed"


def test_a_deletion_that_was_interrupted_is_completed_when_the_user_is_added_again(
    provider: OpenIdProvider, scim: ScimClient
) -> None:
    sent = new_user()
    user = scim.send("POST", "Users", sent).json()

    async def delete_the_identity_only(connection: Any) -> None:
        identity = await Identities(connection).find(provider.issuer, sent["externalId"])
        assert identity is not None
        await Identities(connection).mark_identity_deleted(identity, by_provider=True)

    in_redis(scim.service, delete_the_identity_only)
    again = scim.send("POST", "Users", sent)
    assert (again.status_code, again.json()["id"] != user["id"]) == (201, True)


def test_an_account_that_an_operator_deleted_is_not_added_again(provider: OpenIdProvider, scim: ScimClient) -> None:
    sent = new_user()
    user = scim.send("POST", "Users", sent).json()
    in_redis(scim.service, lambda connection: Identities(connection).mark_deleted(user["id"]))
    refused = scim.send("POST", "Users", sent)
    assert (refused.status_code, "user allow" in refused.json()["detail"]) == (409, True)


def test_the_account_of_an_operator_keeps_its_name_and_is_not_deleted(
    provider: OpenIdProvider, scim: ScimClient
) -> None:
    subject = add_linked_account(scim.service, provider, "linked by an operator")
    (found,) = scim.find('externalId eq "linked by an operator"').json()["Resources"]
    assert found["id"] == subject
    changed = scim.patch(found["id"], {"op": "replace", "value": {"displayName": "Changed", "userName": "changed"}})
    assert (changed.status_code, changed.json()) == (200, found)
    assert scim.send("DELETE", f"Users/{found['id']}").status_code == 204
    stored = in_redis(scim.service, lambda connection: AccountStore(connection).find(subject))
    assert (stored.name, stored.disabled, stored.signed_out_at_seconds > 0) == ("linked by an operator", False, True)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_the_password_of_a_linked_account_is_refused_when_the_provider_ends_the_access(
    provider: OpenIdProvider, scim: ScimClient, scim_user: CompanyUser, method: str
) -> None:
    name, request = f"linked, {method}", Request("app", {"prompt": "login"})
    subject = add_linked_account(scim.service, provider, name)
    accepted = scim_user.sign_in(scim_user.open(request.path), name, LINKED_PASSWORD)
    assert Page(accepted.text).action == "/oauth2/consent"
    if method == "PATCH":
        scim.patch(subject, {"op": "replace", "value": {"active": False}})
    else:
        scim.send("DELETE", f"Users/{subject}")
    ended_at = time.time()
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    refused = scim_user.sign_in(scim_user.open(request.path), name, LINKED_PASSWORD)
    assert (refused.status_code, "belongs to your organization" in refused.text) == (400, True)


def test_a_user_who_is_added_several_times_at_once_has_one_account(scim: ScimClient) -> None:
    sent = new_user()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: scim.send("POST", "Users", sent), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert scim.find(f'userName eq "{sent["userName"]}"').json()["totalResults"] == 1


def test_a_user_whom_another_request_is_adding_is_left_alone(provider: OpenIdProvider, scim: ScimClient) -> None:
    sent = new_user()
    identity = Identity(
        provider="company",
        issuer=provider.issuer,
        subject=sent["externalId"],
        account="u_being_added",
        linked_at_seconds=time.time(),
        checked_at_seconds=0.0,
    )
    assert in_redis(scim.service, lambda connection: Identities(connection).link(identity))
    assert scim.send("POST", "Users", sent).status_code == 409
    abandoned = replace(identity, linked_at_seconds=time.time() - 3600)
    assert in_redis(scim.service, lambda connection: Identities(connection).save(abandoned))
    assert scim.send("POST", "Users", sent).status_code == 201


def test_a_name_that_was_given_up_can_be_used_again(scim: ScimClient) -> None:
    user = scim.add()
    scim.patch(user["id"], {"op": "replace", "path": "userName", "value": f"renamed-{user['userName']}"})
    assert scim.add(userName=user["userName"])["id"] != user["id"]
    same = scim.patch(user["id"], {"op": "replace", "path": "userName", "value": f"Renamed-{user['userName']}"})
    assert same.json()["userName"] == f"Renamed-{user['userName']}", "another spelling of the same name"


@pytest.mark.parametrize("changes", [{"userName": "kang@example.com"}, {"emails": [{"value": "Kang@example.com"}]}])
def test_item_e140_a_local_account_is_never_taken_over(scim: ScimClient, changes: dict[str, Any]) -> None:
    local = Account(subject="u_local_kang", username="kang@example.com", name="Kang")
    in_redis(scim.service, lambda connection: AccountStore(connection).add(local, PasswordHasher().hash("long enough")))
    refused = scim.send("POST", "Users", new_user(**changes))
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    assert scim.find('userName eq "kang@example.com"').json()["totalResults"] == 0
    assert scim.send("GET", "Users/u_local_kang").status_code == 404

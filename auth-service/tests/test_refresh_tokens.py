"""Items 64 to 72: rotation, the repeated response, and revocation of the family after reuse."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from running_auth import Service, StartService
from signing_in import Person, Request, redeem, refresh

from auth_service.accounts.local_accounts import DEMO_ACCOUNT

SCOPE = "openid offline_access mcp.access mcp.decrypt"


@pytest.fixture
def tokens(people: Service, person: Person) -> dict[str, Any]:
    request = Request("app", {"scope": SCOPE})
    return redeem(people.http, request, person.grant(request)["code"]).json()


def delete_stored_responses(redis_url: str) -> None:
    """As their expiry after 30 seconds does."""
    with redis.Redis.from_url(redis_url) as stored:
        for key in stored.scan_iter("auth:refresh-response:*"):
            stored.delete(key)


def test_item_65_a_repeated_refresh_token_gets_the_same_response(people: Service, tokens: dict[str, Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(people.http, "app", tokens["refresh_token"]), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 1
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert refresh(people.http, "app", answers[0].json()["refresh_token"]).status_code == 200


def test_item_65_the_stored_response_is_encrypted(people: Service, tokens: dict[str, Any], redis_url: str) -> None:
    family = tokens["refresh_token"].partition(".")[0]
    answer = refresh(people.http, "app", tokens["refresh_token"]).json()
    with redis.Redis.from_url(redis_url) as stored:
        lifetimes_ms = [stored.pttl(key) for key in stored.scan_iter(f"auth:refresh-response:{family}*")]
        everything = b"".join(stored.dump(key) or b"" for key in stored.scan_iter("auth:*"))
    assert len(lifetimes_ms) == 1
    assert 0 < lifetimes_ms[0] <= 30_000
    for secret in (answer["access_token"], answer["refresh_token"], tokens["refresh_token"]):
        assert secret.encode() not in everything


def test_item_64_reuse_after_the_grace_period_revokes_the_family(
    people: Service, tokens: dict[str, Any], redis_url: str
) -> None:
    following = refresh(people.http, "app", tokens["refresh_token"]).json()
    delete_stored_responses(redis_url)
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(people.http, "app", following["refresh_token"]).json()["error"] == "invalid_grant"
    bearer = {"authorization": f"Bearer {following['access_token']}"}
    assert people.http.get("/oauth2/userinfo", headers=bearer).status_code == 401


def test_a_wrong_secret_does_not_revoke_the_family(people: Service, tokens: dict[str, Any]) -> None:
    family, generation, secret = tokens["refresh_token"].split(".")
    for guess in (f"{family}.{generation}.{'A' * 43}", f"{family}.2.{secret}", f"{family}.{generation}."):
        assert refresh(people.http, "app", guess).json()["error"] == "invalid_grant"
    assert refresh(people.http, "app", tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"scope": "mcp.access profile"}, "invalid_scope", id="66 wider scope"),
        pytest.param({"resource": "https://other.example/"}, "invalid_target", id="70 another resource"),
    ],
)
def test_items_66_and_70_a_refresh_grants_no_more_than_the_user_did(
    people: Service, tokens: dict[str, Any], changes: dict[str, str], error: str
) -> None:
    answer = refresh(people.http, "app", tokens["refresh_token"], **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_item_66_a_smaller_scope_applies_to_this_access_token_only(people: Service, tokens: dict[str, Any]) -> None:
    narrow = refresh(people.http, "app", tokens["refresh_token"], scope="mcp.access").json()
    assert narrow["scope"] == "mcp.access"
    assert refresh(people.http, "app", narrow["refresh_token"]).json()["scope"] == SCOPE


def test_item_43_a_scope_of_spaces_counts_as_omitted(people: Service, tokens: dict[str, Any]) -> None:
    answer = refresh(people.http, "app", tokens["refresh_token"], scope="  ")
    assert (answer.status_code, answer.json()["scope"]) == (200, SCOPE)


def test_item_67_use_by_another_client_revokes_the_family(people: Service, tokens: dict[str, Any]) -> None:
    assert refresh(people.http, "other", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_item_68_a_client_without_the_grant_type_is_refused(
    people: Service, tokens: dict[str, Any], start_service: StartService, tmp_path: Path
) -> None:
    declared = people.settings.config.read_text()
    (tmp_path / "auth.yaml").write_text(declared.replace("[authorization_code, refresh_token]", "[authorization_code]"))
    service = start_service(config=tmp_path / "auth.yaml", issuer=people.issuer)
    answer = refresh(service.http, "app", tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_item_145_revoking_a_refresh_token_revokes_the_family(people: Service, tokens: dict[str, Any]) -> None:
    following = refresh(people.http, "app", tokens["refresh_token"]).json()
    form = {"token": following["refresh_token"], "client_id": "app"}
    answer = people.http.post("/oauth2/revoke", data=form)
    assert (answer.status_code, answer.content) == (200, b"")
    for token in (tokens["refresh_token"], following["refresh_token"]):
        assert refresh(people.http, "app", token).json()["error"] == "invalid_grant"
    for token in (tokens["access_token"], following["access_token"]):
        bearer = {"authorization": f"Bearer {token}"}
        assert people.http.get("/oauth2/userinfo", headers=bearer).status_code == 401


def test_item_145_revoking_a_rotated_refresh_token_revokes_the_family(people: Service, tokens: dict[str, Any]) -> None:
    """A client that did not receive the response can revoke only the old token."""
    following = refresh(people.http, "app", tokens["refresh_token"]).json()
    form = {"token": tokens["refresh_token"], "client_id": "app"}
    assert people.http.post("/oauth2/revoke", data={**form, "client_id": "other"}).status_code == 200
    following = refresh(people.http, "app", following["refresh_token"]).json()
    people.http.post("/oauth2/revoke", data=form)
    assert refresh(people.http, "app", following["refresh_token"]).json()["error"] == "invalid_grant"


def test_item_69_a_deleted_user_gets_no_tokens(
    people: Service, tokens: dict[str, Any], start_service: StartService
) -> None:
    """The demo user does not exist without demo mode; the Redis is the same."""
    service = start_service(config=people.settings.config, issuer=people.issuer, demo=False)
    assert refresh(service.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_withdrawing_the_consent_ends_the_family(people: Service, tokens: dict[str, Any], redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as stored:
        stored.delete(f"auth:consent:{DEMO_ACCOUNT.account.subject}")
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_item_71_a_family_ends_after_its_absolute_lifetime(
    people: Service, tokens: dict[str, Any], start_service: StartService
) -> None:
    later = people.settings.refresh_absolute_lifetime_seconds + 1
    service = start_service(config=people.settings.config, issuer=people.issuer, clock_ahead_seconds=later)
    assert refresh(service.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_stored_grant_names_its_family(people: Service, tokens: dict[str, Any], redis_url: str) -> None:
    """The member is called `family` in Redis since release 0.1.0."""
    family_id = tokens["refresh_token"].partition(".")[0]
    with redis.Redis.from_url(redis_url, decode_responses=True) as stored:
        assert json.loads(stored.hget(f"auth:family:{family_id}", "family"))["grant"]["family"] == family_id


def test_the_idle_lifetime_is_extended_by_a_refresh(people: Service, tokens: dict[str, Any], redis_url: str) -> None:
    key, idle_seconds = f"auth:family:{tokens['refresh_token'].partition('.')[0]}", 14 * 86400
    assert people.settings.refresh_idle_lifetime_seconds == idle_seconds
    with redis.Redis.from_url(redis_url) as stored:
        assert idle_seconds - 60 < stored.ttl(key) <= idle_seconds
        stored.expire(key, 120)
        following = refresh(people.http, "app", tokens["refresh_token"]).json()
        assert idle_seconds - 60 < stored.ttl(key) <= idle_seconds
        stored.pexpire(key, 1)
        while stored.exists(key):
            pass
    assert refresh(people.http, "app", following["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_does_not_extend_the_absolute_lifetime(
    people: Service, tokens: dict[str, Any], start_service: StartService, redis_url: str
) -> None:
    almost = people.settings.refresh_absolute_lifetime_seconds - 3600
    service = start_service(config=people.settings.config, issuer=people.issuer, clock_ahead_seconds=almost)
    assert refresh(service.http, "app", tokens["refresh_token"]).status_code == 200
    with redis.Redis.from_url(redis_url) as stored:
        assert 3500 < stored.ttl(f"auth:family:{tokens['refresh_token'].partition('.')[0]}") <= 3600


def test_item_72_an_access_token_is_not_a_refresh_token(people: Service, tokens: dict[str, Any]) -> None:
    assert refresh(people.http, "app", tokens["access_token"]).json()["error"] == "invalid_grant"


def test_an_openid_client_without_offline_access_gets_no_refresh_token(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "openid mcp.access"})
    assert "refresh_token" not in redeem(people.http, request, person.grant(request)["code"]).json()

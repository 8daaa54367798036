"""Items 52 to 63: a code is valid once, for its client, its redirect URI and its verifier."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from running_auth import Service, StartService
from signing_in import CALLBACK, Person, Request, redeem, refresh, sent_to_client

from auth_service.grants import authorization_code

CASES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "54 another client": ({"client_id": "other"}, "invalid_grant", "check_client"),
    "56 no redirect": ({"redirect_uri": None}, "invalid_grant", "check_redirect"),
    "56 another redirect": ({"redirect_uri": CALLBACK + "/"}, "invalid_grant", None),
    "57 no verifier": ({"code_verifier": None}, "invalid_grant", None),
    "58 another verifier": ({"code_verifier": "v" * 43}, "invalid_grant", "check_verifier"),
    "60 short verifier": ({"code_verifier": "v" * 42}, "invalid_grant", None),
    "60 long verifier": ({"code_verifier": "v" * 129}, "invalid_grant", None),
    "60 odd characters": ({"code_verifier": "v" * 42 + "+"}, "invalid_grant", None),
    "61 another resource": ({"resource": "https://other.example/mcp"}, "invalid_target", "check_granted_resource"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_redemption_is_refused_and_invalidates_the_code(people: Service, person: Person, case: str) -> None:
    changes, error, _rule = CASES[case]
    request = Request("app")
    code = person.grant(request)["code"]
    refused = redeem(people.http, request, code, **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert redeem(people.http, request, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("rule", authorization_code.CODE_RULES, ids=lambda rule: rule.__name__)
def test_each_rule_matters(people: Service, person: Person, monkeypatch: pytest.MonkeyPatch, rule: object) -> None:
    changes = next(changes for changes, _error, named in CASES.values() if named == rule.__name__)
    kept = tuple(each for each in authorization_code.CODE_RULES if each is not rule)
    monkeypatch.setattr(authorization_code, "CODE_RULES", kept)
    request = Request("app")
    assert redeem(people.http, request, person.grant(request)["code"], **changes).status_code == 200


def test_item_52_code_reuse_revokes_the_tokens_of_the_code(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "openid offline_access"})
    code = person.grant(request)["code"]
    tokens = redeem(people.http, request, code).json()
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert people.http.get("/oauth2/userinfo", headers=bearer).status_code == 200
    assert redeem(people.http, request, code).json()["error"] == "invalid_grant"
    assert people.http.get("/oauth2/userinfo", headers=bearer).status_code == 401
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert "code_reuse" in recorded(people)


def test_item_59_no_code_is_issued_without_a_code_challenge(people: Service, person: Person) -> None:
    """Otherwise a code could be redeemed with any verifier."""
    person.grant(Request("app"))
    answer = person.open(Request("app", {"code_challenge": None, "code_challenge_method": None}).path)
    assert sent_to_client(answer).keys() == {"error", "error_description", "state", "iss"}


def test_item_62_scope_at_the_token_endpoint_is_ignored(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "mcp.access"})
    answer = redeem(
        people.http, request, person.grant(request)["code"], scope="mcp.access mcp.decrypt mcp.audit"
    ).json()
    assert answer["scope"] == "mcp.access"


def test_item_53_of_twelve_parallel_redemptions_one_succeeds(people: Service, person: Person) -> None:
    request = Request("app")
    code = person.grant(request)["code"]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: redeem(people.http, request, code), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11


def test_item_55_a_code_expires_after_one_minute(people: Service, person: Person, redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as stored:
        earlier = set(stored.scan_iter("auth:code:*"))
        person.grant(Request("app"))
        lifetimes_ms = [stored.pttl(key) for key in set(stored.scan_iter("auth:code:*")) - earlier]
    assert len(lifetimes_ms) == 1
    assert 0 < lifetimes_ms[0] <= 60_000


def test_item_63_an_address_that_guesses_codes_has_to_wait(people: Service) -> None:
    def guess(address: str) -> httpx2.Response:
        form = {"grant_type": "authorization_code", "code": secrets.token_urlsafe(), "client_id": "app"}
        return people.http.post("/oauth2/token", data=form, headers={"x-forwarded-for": address})

    answers = [guess("192.0.2.70") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {400, 429}
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert guess("192.0.2.71").status_code == 400


def test_codes_and_tokens_of_one_replica_work_at_another(
    people: Service, person: Person, start_service: StartService
) -> None:
    other = start_service(config=people.settings.config, issuer=people.issuer)
    request = Request("app")
    tokens = redeem(other.http, request, person.grant(request)["code"]).json()
    assert refresh(people.http, "app", tokens["refresh_token"]).status_code == 200


def recorded(service: Service) -> list[str]:
    """The types of the events in the journal of the service."""
    journals = service.settings.security.audit_dir.rglob("security_audit.log")
    return [json.loads(line)["event_type"] for path in journals for line in path.read_text().splitlines()]

"""Status lists of access tokens: items E151, E152 and E158, and what sets the bit of a token."""

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from bad_input import demo
from exchanging_tokens import claims_of, exchange, is_active, user_tokens
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, let_time_pass, wait_until
from reading_status_lists import is_revoked, read_list, status_of
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import Person, Request, redeem, refresh

from auth_service.token_status.replay import RevocationReplay
from auth_service.token_status.status_indices import ListKind, StatusIndices, StatusReference
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.live_grants import LiveGrants
from auth_service.tokens.refresh_tokens import RefreshTokens

DAY_SECONDS = 86400


def client_token(service: Service, **changes: str) -> str:
    return service.http.post("/oauth2/token", data=demo(**changes)).json()["access_token"]


def revoke(service: Service, token: str, **client: str) -> None:
    assert service.http.post("/oauth2/revoke", data={"token": token, **client}).status_code == 200


@pytest.fixture
def tokens(people: Service, person: Person) -> dict[str, Any]:
    request = Request("app", {"scope": "openid offline_access mcp.access"})
    return redeem(people.http, request, person.grant(request)["code"]).json()


def test_a_client_has_one_index_until_one_of_its_tokens_is_revoked(start_service: StartService) -> None:
    service = start_service()
    first, second = client_token(service), client_token(service)
    assert status_of(first) == status_of(second)
    assert not is_revoked(service, first)
    revoke(service, first, client_id="mcp-client", client_secret="secret")
    third = client_token(service)
    assert is_revoked(service, second)
    assert not is_revoked(service, third)
    assert status_of(third) != status_of(first)


def test_tokens_of_a_client_assign_no_index(own_redis: tuple[str, Any], start_service: StartService) -> None:
    url, connection = own_redis
    service = start_service(redis_url=url)
    client_token(service)
    before = {key: connection.bitcount(key) for key in connection.keys("auth:{status}:assigned:*")}
    for _ in range(5):
        client_token(service)
    assert {key: connection.bitcount(key) for key in connection.keys("auth:{status}:assigned:*")} == before


def test_the_list_names_its_ttl_and_an_unchanged_one_has_no_body(service: Service) -> None:
    uri, _ = status_of(client_token(service))
    claims = read_list(service, uri)
    assert (claims["iss"], claims["ttl"], claims["status_list"]["bits"]) == (service.issuer, 15, 1)
    assert claims["exp"] - claims["iat"] >= 3600
    path = uri.removeprefix(service.issuer)
    etag = service.http.get(path).headers["etag"]
    assert service.http.get(path, headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("name", ["x", "gAAAAAAAAAAAAAAAA", "..%2f..%2fready", "g" * 500])
def test_a_list_that_was_never_made_is_not_signed(service: Service, name: str) -> None:
    assert service.http.get(f"/oauth2/status/{name}").status_code == 404


def test_the_metadata_says_from_when_on_tokens_have_a_status(service: Service) -> None:
    metadata = service.http.get("/.well-known/oauth-authorization-server").json()
    assert metadata["access_token_status_since"] > claims_of(client_token(service))["iat"]


def test_a_refresh_keeps_the_index_and_two_grants_have_two(people: Service, person: Person, tokens: Any) -> None:
    renewed = refresh(people.http, "app", tokens["refresh_token"]).json()
    assert status_of(renewed["access_token"]) == status_of(tokens["access_token"])
    request = Request("app")
    other = redeem(people.http, request, person.grant(request)["code"]).json()
    assert status_of(other["access_token"]) != status_of(tokens["access_token"])


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_a_token_of_a_user_sets_the_bit(people: Service, tokens: Any, kind: str) -> None:
    assert not is_revoked(people, tokens["access_token"])
    revoke(people, tokens[kind], client_id="app")
    assert is_revoked(people, tokens["access_token"])


def test_a_code_that_is_used_twice_sets_the_bit(people: Service, person: Person) -> None:
    request = Request("app")
    code = person.grant(request)["code"]
    token = redeem(people.http, request, code).json()["access_token"]
    assert redeem(people.http, request, code).status_code == 400
    assert is_revoked(people, token)


def test_a_refresh_token_of_another_client_sets_the_bit(people: Service, tokens: Any) -> None:
    assert refresh(people.http, "other", tokens["refresh_token"]).status_code == 400
    assert is_revoked(people, tokens["access_token"])


def test_an_exchanged_token_has_the_status_of_the_token_of_the_user(exchanging: Service, caller: Person) -> None:
    tokens = user_tokens(caller)
    exchanged = exchange(exchanging, tokens["access_token"]).json()["access_token"]
    assert status_of(exchanged) == status_of(tokens["access_token"])
    assert is_active(exchanging, exchanged)


def test_a_user_who_is_gone_at_the_provider_is_refused_at_once(
    company: Service, provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims |= {"sub": "leaver at once"}
    issued = employee.tokens(Request("app", {"scope": "openid mcp.access offline_access"})).json()
    let_time_pass(company, provider)
    provider.token_error, provider.description = "invalid_grant", "account not found"
    assert refresh(company.http, "app", issued["refresh_token"]).status_code == 400
    assert is_revoked(company, issued["access_token"])
    authorization = {"authorization": f"Bearer {issued['access_token']}"}
    assert company.http.get("/oauth2/userinfo", headers=authorization).status_code == 401


def test_a_family_from_before_there_were_lists_gets_an_index(people: Service, tokens: Any, redis_url: str) -> None:
    family_id = tokens["refresh_token"].partition(".")[0]
    subject = claims_of(tokens["access_token"])["sub"]

    async def remove_status() -> None:
        async with Redis.from_url(redis_url, decode_responses=True) as connection:
            family = json.loads(await connection.hget(f"auth:family:{family_id}", "family"))
            del family["grant"]["status"]
            await connection.hset(f"auth:family:{family_id}", "family", json.dumps(family))
            await connection.hdel(f"auth:account-grants:{subject}", family_id)

    anyio.run(remove_status)
    renewed = refresh(people.http, "app", tokens["refresh_token"]).json()
    again = refresh(people.http, "app", renewed["refresh_token"]).json()
    assert status_of(again["access_token"]) == status_of(renewed["access_token"])
    revoke(people, again["refresh_token"], client_id="app")
    assert is_revoked(people, renewed["access_token"])


def test_a_status_of_a_family_does_not_change_when_the_family_expires(own_redis: tuple[str, Any]) -> None:
    url, _ = own_redis
    first, second = StatusReference("g" + "a" * 16, 1), StatusReference("g" + "a" * 16, 2)

    async def set_statuses() -> None:
        async with Redis.from_url(url, decode_responses=True) as connection:
            tokens = RefreshTokens(
                redis=connection,
                pepper=b"p" * 32,
                clock=time.time,
                random_bytes=os.urandom,
                idle_seconds=3600,
                absolute_seconds=3600,
                grace_seconds=30,
            )
            await connection.hset("auth:family:known", "generation", "1")
            await connection.expire("auth:family:known", 60)
            assert await tokens.set_status("known", first) == first
            assert await tokens.set_status("known", second) == first
            assert await connection.ttl("auth:family:known") <= 60
            assert await tokens.set_status("revoked", first) == first
            assert not await connection.exists("auth:family:revoked")

    anyio.run(set_statuses)


@pytest.mark.parametrize(
    ("idle_seconds", "passed_seconds", "is_listed"),
    [
        (14 * DAY_SECONDS, 3600, False),
        (300, 3600, True),
        (14 * DAY_SECONDS, 90 * DAY_SECONDS + 600, True),
        (14 * DAY_SECONDS, 90 * DAY_SECONDS + 1801, False),
    ],
    ids=["not used", "not used for a short time", "lifetime has ended", "access token has expired too"],
)
def test_a_grant_is_known_while_its_last_access_token_can_outlive_its_refresh_tokens(
    own_redis: tuple[str, Any], idle_seconds: int, passed_seconds: int, is_listed: bool
) -> None:
    now = 1_800_000_000
    grant = AuthorizationGrant(
        family_id="f" * 16,
        client_id="app",
        subject="u_someone",
        resource="https://mcp.example.com/mcp",
        scopes=("mcp.access",),
        signed_in_at_seconds=now,
        methods=("pwd",),
    )

    async def is_known() -> bool:
        async with Redis.from_url(own_redis[0], decode_responses=True) as redis:
            times = iter([now, now + passed_seconds])
            grants = LiveGrants(
                redis=redis,
                clock=lambda: next(times),
                access_seconds=1800,
                refresh_seconds=90 * DAY_SECONDS,
                idle_seconds=idle_seconds,
            )
            await grants.add(grant, StatusReference("g" + "x" * 16, 1), has_refresh_token=True)
            return bool(await grants.all(grant.subject))

    assert anyio.run(is_known) == is_listed


def test_item_e158_two_replicas_never_assign_one_index(own_redis: tuple[str, Any]) -> None:
    """Their random numbers are equal, so that every index is proposed more than once."""
    url, _ = own_redis

    async def assign() -> list[StatusReference]:
        async with Redis.from_url(url, decode_responses=True) as connection:
            counters = [itertools.count(), itertools.count()]
            replicas = [
                StatusIndices(
                    redis=connection,
                    pepper=b"p" * 32,
                    random_bytes=lambda length, counter=counter: next(counter).to_bytes(length),
                    lifetime_seconds=60,
                )
                for counter in counters
            ]
            found: list[StatusReference] = []

            async def assign_one(indices: StatusIndices) -> None:
                found.append(await indices.assign(ListKind.GRANTS))

            async with anyio.create_task_group() as group:
                for _ in range(40):
                    for indices in replicas:
                        group.start_soon(assign_one, indices)
            return found

    assigned = anyio.run(assign)
    assert len(set(assigned)) == len(assigned) == 80


def test_revocations_are_restored_after_redis_lost_them(
    own_redis: tuple[str, Any], start_service: StartService
) -> None:
    url, connection = own_redis
    service = start_service(redis_url=url)
    token = client_token(service)
    revoke(service, token, client_id="mcp-client", client_secret="secret")
    assert is_revoked(service, token)
    lost = connection.keys("auth:{status}:*")
    connection.delete(*lost)
    assert not connection.keys("auth:{status}:revoked:*")
    wait_until(lambda: bool(connection.exists("auth:{status}:epoch")))
    wait_until(lambda: is_revoked(service, token))
    uri, _ = status_of(client_token(service))
    assert uri != status_of(token)[0]  # the indices of the list may be assigned already


def test_a_replay_reads_only_what_was_recorded_since_the_last_one(
    own_redis: tuple[str, Any], start_service: StartService, tmp_path: Path
) -> None:
    url, connection = own_redis
    service = start_service(redis_url=url)
    for _ in range(3):
        revoke(service, client_token(service), client_id="mcp-client", client_secret="secret")
    now = float(connection.get("auth:{status}:replayed"))

    async def replay(at_seconds: float) -> int:
        async with Redis.from_url(url, decode_responses=True) as other:
            directory = service.settings.security.audit_dir / "auth-service"
            return await RevocationReplay(
                redis=other, directory=directory, clock=lambda: at_seconds, lifetime_seconds=3600
            ).run()

    assert anyio.run(replay, now) == 0
    connection.delete(*connection.keys("auth:{status}:revoked:*"))
    assert anyio.run(replay, now) == 3
    connection.delete(*connection.keys("auth:{status}:revoked:*"))
    connection.set("auth:{status}:replayed", now + 3000)
    assert anyio.run(replay, now + 3000) == 0


def test_a_list_is_unavailable_and_not_empty_without_redis(
    own_redis: tuple[str, Any], start_service: StartService
) -> None:
    url, connection = own_redis
    service = start_service(redis_url=url)
    uri, _ = status_of(client_token(service))
    path = uri.removeprefix(service.issuer)
    name = path.rpartition("/")[2]
    connection.hset(f"auth:{{status}}:revoked:{name}", "not", "a bitmap")  # a command that fails, as without Redis
    answer: httpx2.Response = service.http.get(path)
    assert answer.status_code == 503

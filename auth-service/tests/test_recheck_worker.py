"""The checks in the background: who is checked, which replica does it, and what a provider without an answer delays."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openid_provider import OpenIdProvider, running_provider
from provider_users import CompanyUser, declare, identity_of, in_redis, let_time_pass, start_with_provider, wait_until
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import Request

from auth_service.accounts.identities import Identities, Identity
from auth_service.federation.recheck_schedule import RecheckSchedule

PEOPLE = 20


@pytest.fixture
def silent_provider() -> Iterator[OpenIdProvider]:
    with running_provider() as provider:
        provider.is_down = True
        yield provider


def identity(provider: str, issuer: str, subject: str) -> Identity:
    return Identity(
        provider=provider,
        issuer=issuer,
        subject=subject,
        account=f"u_{subject}",
        linked_at_seconds=1,
        checked_at_seconds=1,
    )


def test_a_provider_without_an_answer_delays_only_its_own_users(
    provider: OpenIdProvider,
    silent_provider: OpenIdProvider,
    start_service: StartService,
    tmp_path: Path,
    own_redis: tuple[str, Any],
) -> None:
    second = declare(silent_provider, identity="partner").partition("identity_providers:\n")[2]
    second = second.replace("Company account", "Partner account")
    service = start_with_provider(start_service, tmp_path, declare(provider) + second, redis_url=own_redis[0])
    parts = service.app.state.parts
    user = CompanyUser(service, source="10.18.1.1")
    provider.claims |= {"sub": "leaver beside a silent provider"}
    assert user.tokens(Request("app")).status_code == 200
    let_time_pass(service, provider)
    provider.token_error, provider.description = "invalid_grant", "account not found"
    key = identity_of(service, provider).key

    async def make_due(connection: Redis) -> None:
        await connection.hset("auth:family:live", "generation", "1")
        for number in range(PEOPLE):
            waiting = identity("partner", silent_provider.issuer, f"partner{number}")
            token = parts.refresh_token_encryption.encrypt("x", provider_id="partner", subject=waiting.subject)
            await Identities(connection).link(replace(waiting, refresh_token=token))
            await connection.zadd(f"auth:account-families:{waiting.account}", {"live": time.time() + 3600})
            await connection.zadd("auth:recheck:partner", {waiting.key: number})
        await connection.zadd("auth:recheck:company", {key: PEOPLE})

    in_redis(service, make_due)
    wait_until(lambda: identity_of(service, provider).must_sign_in)
    wait_until(lambda: parts.connections.find("partner").is_paused)
    assert 1 <= len(silent_provider.requests) <= 5, "the others wait until the pause has ended"
    user.http.close()


def test_two_replicas_do_not_check_the_same_users(company: Service) -> None:
    async def work(connection: Redis) -> tuple[list[str], list[str], list[str]]:
        now = [1000.0]
        schedule = RecheckSchedule(connection, lambda: now[0])
        await connection.zadd("auth:recheck:two-replicas", {f"{number:02}": number for number in range(60)})
        first, second = await schedule.claim("two-replicas"), await schedule.claim("two-replicas")
        now[0] += 121
        return first, second, await schedule.claim("two-replicas")

    first, second, again = in_redis(company, work)
    assert (first[0], len(first), len(second)) == ("00", 50, 10)
    assert not set(first) & set(second)
    assert len(again) == 50, "a replica that ended during a check is replaced"


def test_families_that_were_revoked_are_looked_up_once(company: Service) -> None:
    parts = company.app.state.parts

    async def work(connection: Redis) -> tuple[bool, bool, int]:
        tokens = replace(parts.refresh_tokens, redis=connection)
        key, later = "auth:account-families:u_many_families", time.time() + 3600
        await connection.zadd(key, {f"revoked{number}": later + number for number in range(250)})
        await connection.zadd(key, {"live": later - 1})
        await connection.hset("auth:family:live", "generation", "1")
        while_one_lives = await tokens.has_live_families("u_many_families")
        await connection.delete("auth:family:live")
        afterwards = await tokens.has_live_families("u_many_families")
        return while_one_lives, afterwards, await connection.zcard(key)

    assert in_redis(company, work) == (True, False, 0)

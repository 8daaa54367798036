"""Item E206: exchanging tokens of users who signed in at an identity provider, under the rules of that provider."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from exchanging_tokens import DECLARATION, FRONT, NEXT, TARGET, exchange, refusal, user_tokens
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, declare, identity_of, in_redis, start_with_provider
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import Request

from auth_service.accounts.account import Account
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore

IN_FRONT = Request("app", {"scope": "mcp.access", "resource": FRONT})


@pytest.fixture
def service(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Redis]
) -> Service:
    """A service whose provider gives the scope mcp.access only. `hong` has a local account that is linked to it."""
    (tmp_path / "secret").write_text("secret")
    providers = declare(provider).partition("identity_providers:")
    running = start_with_provider(start_service, tmp_path, DECLARATION + "".join(providers[1:]), redis_url=own_redis[0])
    provider.claims |= {"sub": "hong at the provider"}
    identity = Identity(
        provider="company",
        issuer=provider.issuer,
        subject="hong at the provider",
        account="u_hong",
        linked_at_seconds=1,
        checked_at_seconds=0,
        must_sign_in=True,
    )

    async def add(connection: Redis) -> None:
        assert await AccountStore(connection).add(Account(subject="u_hong", username="hong", name="Hong"))
        assert await Identities(connection).link(identity)

    in_redis(running, add)
    return running


@pytest.fixture
def user(service: Service) -> Iterator[CompanyUser]:
    user = CompanyUser(service, source="10.17.1.1")
    yield user
    user.http.close()


def require_sign_in(service: Service, provider: OpenIdProvider) -> None:
    waiting = replace(identity_of(service, provider), must_sign_in=True)
    assert in_redis(service, lambda connection: Identities(connection).save(waiting))


def test_the_new_token_has_no_scope_that_the_rules_do_not_give(service: Service, user: CompanyUser) -> None:
    token = user.tokens(IN_FRONT).json()["access_token"]
    assert exchange(service, token).json()["scope"] == "mcp.access"
    assert refusal(exchange(service, token, resource=NEXT)) == (400, "invalid_scope")


def test_a_sign_in_with_a_password_is_not_limited_by_the_rules(service: Service, user: CompanyUser) -> None:
    assert exchange(service, user_tokens(user)["access_token"], resource=NEXT).json()["scope"] == "next.use"


def test_exchanges_end_when_the_user_has_to_sign_in_again(
    service: Service, user: CompanyUser, provider: OpenIdProvider
) -> None:
    token = user.tokens(IN_FRONT).json()["access_token"]
    exchanged = exchange(service, token).json()["access_token"]
    require_sign_in(service, provider)
    assert refusal(exchange(service, token)) == (400, "invalid_request")
    assert refusal(exchange(service, exchanged, "inner-gateway", resource=TARGET)) == (400, "invalid_request")


def test_exchanges_end_when_the_rules_give_nothing_any_more(
    service: Service, user: CompanyUser, provider: OpenIdProvider
) -> None:
    token = user.tokens(IN_FRONT).json()["access_token"]
    fewer = replace(identity_of(service, provider), claims={"groups": ["guest"]})
    assert in_redis(service, lambda connection: Identities(connection).save(fewer))
    assert refusal(exchange(service, token)) == (400, "invalid_scope")

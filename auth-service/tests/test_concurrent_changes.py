"""A change of an account or identity that was made while another one is under way is not lost."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, identity_of, in_redis, let_time_pass
from redis.asyncio import Redis
from running_auth import Service
from signing_in import Request, refresh

from auth_service.accounts.account import Account
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore


async def delete(connection: Redis, identity: Identity) -> None:
    """As `auth-service user delete` does."""
    account = await AccountStore(connection).find(identity.account)
    assert account is not None
    await Identities(connection).mark_deleted(account.subject)
    await AccountStore(connection).delete(account)


async def move(connection: Redis, identity: Identity) -> None:
    """As `user unlink` and `user link` with another account do."""
    await Identities(connection).unlink(identity)
    assert await Identities(connection).link(replace(identity, account="u_another_account", must_sign_in=True))


@pytest.mark.parametrize("change", [delete, move])
def test_a_check_under_way_does_not_undo_the_command_of_an_operator(
    provider: OpenIdProvider,
    employee: CompanyUser,
    company: Service,
    change: Callable[[Redis, Identity], Awaitable[None]],
) -> None:
    provider.claims |= {"sub": f"{change.__name__} during a check", "groups": ["staff"]}
    token = employee.tokens(Request("app")).json()["refresh_token"]
    let_time_pass(company, provider)
    identity = identity_of(company, provider)

    def change_now(_: dict[str, Any]) -> None:
        """The provider answers after the command has ended."""
        with ThreadPoolExecutor(1) as threads:
            threads.submit(in_redis, company, lambda connection: change(connection, identity)).result()

    provider.change_tokens = change_now
    assert refresh(employee.http, "app", token).json()["error"] == "invalid_grant"
    changed = identity_of(company, provider)
    assert (changed.is_deleted, changed.account) == (
        (True, identity.account) if change is delete else (False, "u_another_account")
    )


def test_a_sign_in_during_the_deletion_is_refused(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "deleted during a sign-in", "groups": ["staff"]}
    employee.tokens(Request("app"))
    identity = identity_of(company, provider)

    def delete_now(_: dict[str, Any]) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(in_redis, company, lambda connection: delete(connection, identity)).result()

    provider.change_tokens = delete_now
    assert employee.sign_in_at_provider(Request("app", {"prompt": "login"})).status_code == 403
    assert not in_redis(company, lambda connection: Identities(connection).save(identity))


def test_changes_at_the_same_moment_are_all_stored(company: Service) -> None:
    async def work(connection: Redis) -> Account | None:
        store = AccountStore(connection)
        await store.add(Account(subject="u_changed_often", username="changed-often", name="Often"))

        def count(account: Account) -> Account:
            return replace(account, signed_out_at_seconds=account.signed_out_at_seconds + 1)

        await asyncio.gather(*(store.change("u_changed_often", count) for _ in range(20)))
        return await store.find("u_changed_often")

    assert in_redis(company, work).signed_out_at_seconds == 20


def test_an_account_is_added_once_under_whatever_name(company: Service) -> None:
    async def work(connection: Redis) -> tuple[bool, bool, str | None]:
        store = AccountStore(connection)
        account = Account(subject="u_added_twice", username="added-twice", name="Twice")
        first = await store.add(account)
        second = await store.add(replace(account, username="added-twice#company"))
        return first, second, await connection.get("auth:account-name:added-twice#company")

    assert in_redis(company, work) == (True, False, None)


def test_a_deleted_account_is_not_made_again_by_a_change(company: Service) -> None:
    async def work(connection: Redis) -> tuple[Account | None, Account | None]:
        store = AccountStore(connection)
        changed = await store.change("u_does_not_exist", lambda account: replace(account, disabled=False))
        return changed, await store.find("u_does_not_exist")

    assert in_redis(company, work) == (None, None)

"""Finds the account that a command is about, and changes it with an audit event."""

import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from auth_service.accounts.account import Account
from auth_service.accounts.local_accounts import DEMO_ACCOUNT, find_built_in
from auth_service.accounts.store import AccountStore
from auth_service.audit_recorder import AuditRecorder
from auth_service.cli.operator_session import Operator, run_audited_change
from auth_service.settings import AuthSettings
from auth_service.tokens.grant_revocation import GrantRevocation
from security_common.audit import Action
from security_common.errors import SecurityError

__all__ = ["UserRefused", "change_account", "find_account", "find_changeable_account", "grant_revocation"]


class UserRefused(SecurityError):
    """The command is not possible for this user."""

    error = "user_refused"


async def find_account(settings: AuthSettings, redis: Redis, username: str) -> Account:
    """The account with this username, the demo user included. Raises `UserRefused`."""
    built_in = find_built_in((DEMO_ACCOUNT,) if settings.demo else (), username)
    if built_in is not None:
        return built_in.account
    account = await AccountStore(redis).find_by_name(username)
    if account is None:
        raise UserRefused(f"there is no user {username}", hint="`auth-service user list` shows the names")
    return account


async def find_changeable_account(operator: Operator, username: str) -> Account:
    """The stored account with this username. Raises `UserRefused`, also for the demo user."""
    account = await find_account(operator.settings, operator.redis, username)
    if account is DEMO_ACCOUNT.account:
        raise UserRefused("the demo user cannot be changed", hint="set AUTH_DEMO=false to remove it")
    return account


def change_account(username: str, action: Action, change: Callable[[Operator, Account], Awaitable[None]]) -> None:
    """Runs `change` for the account and records `action`. Raises `UserRefused`."""

    async def work(operator: Operator) -> None:
        account = await find_changeable_account(operator, username)
        await change(operator, account)
        await operator.record(action, user_id=account.subject)

    run_audited_change(work)


def grant_revocation(operator: Operator) -> GrantRevocation:
    """Ends the authorization grants of a user, so that resource servers refuse the access tokens."""
    recorder = AuditRecorder(operator.journal, clock=time.time)
    return GrantRevocation.of(operator.settings, operator.redis, recorder, clock=time.time)

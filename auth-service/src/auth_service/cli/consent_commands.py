"""`auth-service consent ...`: what users have allowed clients."""

from cyclopts import App
from redis.asyncio import Redis

from auth_service.accounts.consents import Consent, Consents
from auth_service.cli.operator_session import Operator, run_audited_change, run_with_redis
from auth_service.cli.output import Json, format_time, print_rows
from auth_service.cli.user_lookup import UserRefused, find_account, grant_revocation
from auth_service.clients.store import ClientStore
from auth_service.declaration_file import load_declaration
from auth_service.scopes import format_scope
from auth_service.settings import AuthSettings
from security_common.audit import Action

__all__ = ["consents"]

consents = App(
    name="consent",
    help="What users have allowed clients: list, revoke.",
    result_action="return_value",
    version_flags=[],
)


@consents.command(name="list")
def list_consents(username: str, *, json: Json = False) -> None:
    """Show what this user has allowed.

    For example: auth-service consent list hong
    """

    async def work(settings: AuthSettings, redis: Redis) -> list[tuple[Consent, str]]:
        account = await find_account(settings, redis, username)
        declared = {client.client_id: client.name for client in load_declaration(settings).clients}
        store = ClientStore(redis)
        consents_with_names: list[tuple[Consent, str]] = []
        for consent in await Consents(redis).all(account.subject):
            name = declared.get(consent.client_id)
            if name is None:
                stored = await store.find(consent.client_id)
                name = stored.name if stored is not None else consent.client_id
            consents_with_names.append((consent, name or consent.client_id))
        return consents_with_names

    rows = [
        {
            "client_id": consent.client_id,
            "name": name,
            "resource": consent.resource,
            "scopes": format_scope(consent.scopes),
            "since": format_time(consent.granted_at_seconds),
        }
        for consent, name in run_with_redis(work)
    ]
    print_rows(rows, as_json=json)


@consents.command
def revoke(username: str, client_id: str) -> None:
    """Withdraw what this user has allowed a client: its tokens stop working, and it has to ask again.

    For example: auth-service consent revoke hong https://claude.ai/oauth/claude-code-client-metadata
    """

    async def work(operator: Operator) -> None:
        account = await find_account(operator.settings, operator.redis, username)
        if not await Consents(operator.redis).withdraw(account.subject, client_id):
            raise UserRefused(
                f"{username} has allowed {client_id} nothing", hint="`auth-service consent list` shows the consents"
            )
        await grant_revocation(operator).revoke_all(
            account.subject, concerns=lambda grant: grant.client_id == client_id
        )
        await operator.record(Action.CONSENT_WITHDRAWN, client_id=client_id, user_id=account.subject)

    run_audited_change(work)

"""`auth-service client ...`: declared and stored clients."""

import time
from collections.abc import Iterable
from dataclasses import replace
from secrets import token_bytes
from typing import Annotated, Any

from cyclopts import App, Parameter
from redis.asyncio import Redis

from auth_service.cli.operator_session import Operator, run_audited_change, run_with_redis
from auth_service.cli.output import Json, print_rows
from auth_service.cli.user_lookup import grant_revocation
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.clients.store import ClientStore
from auth_service.declaration import check_client_id
from auth_service.declaration_file import load_declaration
from auth_service.protocol import SECRET_METHODS, GrantType
from auth_service.scopes import Scope, format_scope
from auth_service.settings import AuthSettings
from auth_service.token_status.client_statuses import end_present_status
from security_common.audit import Action
from security_common.errors import SecurityError
from security_common.service import read_secret

__all__ = ["clients"]

clients = App(name="client", help="Clients: list, create, delete.", result_action="return_value", version_flags=[])


class ClientRefused(SecurityError):
    """The command is not possible for this client."""

    error = "client_refused"


@clients.command(name="list")
def list_clients(*, json: Json = False) -> None:
    """Show every client: declared, created by a command, registered by itself.

    For example: auth-service client list --json
    """

    async def work(settings: AuthSettings, redis: Redis) -> list[Client]:
        secrets = _client_secrets(settings)
        declared = [make_client(client, secrets) for client in load_declaration(settings).clients]
        stored = [client async for client in ClientStore(redis).all()]
        return [*declared, *sorted(stored, key=lambda client: client.client_id)]

    print_rows([_row(client) for client in run_with_redis(work)], as_json=json)


@clients.command
def create(
    client_id: str,
    *,
    name: Annotated[str | None, Parameter(help="The name that pages show.")] = None,
    scope: Annotated[list[str] | None, Parameter(negative="", help="A scope that it may request; repeatable.")] = None,
    redirect_uri: Annotated[
        list[str] | None, Parameter(negative="", help="A URI that a browser may be redirected to; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Create a confidential client and print its secret, which is shown only once.

    With a redirect URI the client signs users in; without one it acts on its own behalf.

    For example: auth-service client create batch --scope mcp.access
    """
    scopes, redirects = tuple(scope or (Scope.MCP_ACCESS,)), tuple(redirect_uri or ())
    _check(client_id, redirects)

    async def work(operator: Operator) -> str:
        _check_scopes(scopes, operator.settings)
        store, secrets = ClientStore(operator.redis), _client_secrets(operator.settings)
        if client_id in _declared_ids(operator.settings) or await store.find(client_id) is not None:
            raise ClientRefused(f"the client {client_id} already exists", hint="choose another id, or delete it first")
        secret = secrets.generate()
        client = _new_client(client_id, scopes, redirects)
        await store.save(replace(client, name=name or client_id, secret=secrets.hash(secret)))
        await operator.record(Action.CLIENT_CREATED, client_id=client_id)
        return secret

    print_rows([{"client_id": client_id, "client_secret": run_audited_change(work)}], as_json=json)


@clients.command
def delete(client_id: str) -> None:
    """Delete a stored client. Its refresh tokens stop working at once, and so do access tokens that it got for itself.

    Access tokens that it got for users are valid until they expire. For a client that was removed from auth.yaml, this
    ends the access tokens that it got for itself before.

    For example: auth-service client delete batch
    """

    async def work(operator: Operator) -> None:
        was_stored = await ClientStore(operator.redis).delete(client_id)
        if not was_stored and client_id in _declared_ids(operator.settings):
            hint = f"remove it from {operator.settings.config}, restart the service, and repeat this command"
            raise ClientRefused(f"the client {client_id} is declared", hint=hint)
        had_tokens = await end_present_status(operator.redis, client_id, grant_revocation(operator).statuses)
        if not was_stored and not had_tokens:
            raise ClientRefused(f"there is no client {client_id}", hint="`auth-service client list` shows the ids")
        await operator.record(Action.CLIENT_DELETED, client_id=client_id)

    run_audited_change(work)


def _check(client_id: str, redirect_uris: Iterable[str]) -> None:
    hint = "use letters, digits, - and _, not starting with u_"
    try:
        check_client_id(client_id)
    except ValueError as error:
        raise ClientRefused(f"this client id is not allowed: {error}", hint=hint) from error
    if "://" in client_id:
        raise ClientRefused("this client id is not allowed: a URL is the id of a metadata document", hint=hint)
    for uri in redirect_uris:
        check_redirect_uri(uri)


def _check_scopes(scopes: Iterable[str], settings: AuthSettings) -> None:
    known = load_declaration(settings).known_scopes
    unknown = sorted(set(scopes) - known)
    if unknown:
        raise ClientRefused(
            f"no resource has the scope {unknown[0]}", hint=f"choose from {', '.join(sorted(known))} with --scope"
        )


def _new_client(client_id: str, scopes: tuple[str, ...], redirects: tuple[str, ...]) -> Client:
    grants = {GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN} if redirects else {GrantType.CLIENT_CREDENTIALS}
    return Client(
        client_id=client_id,
        name=client_id,
        origin=ClientOrigin.OPERATOR,
        auth_methods=SECRET_METHODS,
        grant_types=frozenset(grants),
        scopes=frozenset(scopes),
        default_scopes=scopes[:1],
        redirect_uris=redirects,
        created_at_seconds=time.time(),
    )


def _declared_ids(settings: AuthSettings) -> set[str]:
    return {client.client_id for client in load_declaration(settings).clients}


def _client_secrets(settings: AuthSettings) -> ClientSecrets:
    return ClientSecrets(read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE"), token_bytes)


def _row(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "origin": client.origin.value,
        "authentication": " ".join(sorted(client.auth_methods)),
        "grants": " ".join(sorted(client.grant_types)),
        "scopes": format_scope(client.scopes),
    }

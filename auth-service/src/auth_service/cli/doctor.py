"""`auth-service doctor`: what an operator would otherwise find out one failure at a time."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx2
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from auth_service.cli.operator import Json
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.clients.outgoing_fetches import KNOWN_DOCUMENTS, FetchAttempt, OutgoingFetches, try_documents
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.clients.store import ClientStore
from auth_service.declaration import (
    APPLIED_KEY,
    BUILT_IN_FILES,
    Declaration,
    Openness,
    RegistrationPolicy,
    load_declaration,
)
from auth_service.errors import InvalidRedirectUri
from auth_service.keys.rotation import SigningKeyState
from auth_service.keys.signing_key import PrivateKeyEncryption
from auth_service.keys.store import KeyStore
from auth_service.redis_identity import redis_identity
from auth_service.scopes import IDENTITY_SCOPES, format_scope
from auth_service.settings import AuthSettings
from auth_service.tokens.resources import comparison_key
from security_common.errors import SecurityError
from security_common.secret_files import ExposedSecret, find_exposed_secrets, who_can_read
from security_common.service import (
    CheckResult,
    check_exposed_secrets,
    check_redis_connection,
    check_redis_server,
    connect_redis,
    is_loopback_url,
    print_check_results,
    read_secret,
)

__all__ = ["CHECKS", "CHECKS_IN_REDIS", "doctor", "examine"]


def doctor(*, json: Json = False) -> None:
    """Look at declaration, Redis, keys, clock and issuer, and say how to fix what is wrong; exit 1 in that case.

    For example: auth-service doctor --json
    """
    print_check_results(asyncio.run(_examine(AuthSettings())), as_json=json)


async def _examine(settings: AuthSettings) -> list[CheckResult]:
    async with connect_redis(settings) as redis:
        return await examine(settings, redis)


_CLOCK_TOLERANCE_SECONDS = 5.0
_TIMEOUT_SECONDS = 5.0
_METADATA_PATH = "/.well-known/oauth-authorization-server"


async def examine(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """Every check in order; one that fails does not keep the next from running.

    A Redis that cannot be used is reported once, and what is kept in it is not looked at.
    """
    found: list[CheckResult] = []
    for check in CHECKS:
        found += await _attempt(check(settings))
    away = await check_redis_connection(settings, redis)
    if away is not None:
        return [*found, away]
    for check in CHECKS_IN_REDIS:
        found += await _attempt(check(settings, redis))
    return found


async def _attempt(check: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    try:
        return await check
    except SecurityError as failure:
        return [CheckResult(failure.description, ok=False, hint=failure.hint)]
    except NoPermissionError as failure:
        return [CheckResult(f"redis: does not permit this: {failure}", ok=False, hint=_ACL_HINT)]
    except (RedisError, OSError) as failure:
        hint = "is it overloaded? run `auth-service doctor` again"
        return [CheckResult(f"redis: {type(failure).__name__}", ok=False, hint=hint)]


async def check_declaration(settings: AuthSettings) -> list[CheckResult]:
    """The declaration and its secrets can be read."""
    declaration = load_declaration(settings)
    pepper = read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE")
    clients = [make_client(client, ClientSecrets(pepper, os.urandom)) for client in declaration.clients]
    read = CheckResult(f"declaration: resources: {len(declaration.resources)}, clients: {len(clients)}", ok=True)
    return [read, *_urls(declaration)]


async def check_applied_declaration(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """The running service has applied the declaration that is read here."""
    applied = await redis.get(APPLIED_KEY)
    same = applied in {None, load_declaration(settings).fingerprint}
    hint = "restart the replicas that started with another auth.yaml"
    return [CheckResult("declaration: the running service applied this one", ok=same, hint=hint)]


async def check_secret_files(settings: AuthSettings) -> list[CheckResult]:
    """Who can read the files with secrets, those of declared clients included.

    The secret of the demo client is published, so its file is left out.
    """
    clients: list[ExposedSecret] = []
    for client in load_declaration(settings).clients:
        if client.secret_file is None or client.secret_file.parent == BUILT_IN_FILES:
            continue
        readers = who_can_read(client.secret_file)
        if readers:
            clients.append(ExposedSecret(f"client {client.client_id}: secret_file", client.secret_file, readers))
    return check_exposed_secrets([*find_exposed_secrets(settings), *clients])


def _urls(declaration: Declaration) -> list[CheckResult]:
    """Resources must be what their own metadata says, and travel encrypted."""
    return [
        CheckResult(
            f"resource: {resource.url}", ok=_is_safe(resource.url), hint="declare it with https and as it is named"
        )
        for resource in declaration.resources
    ]


def _is_safe(url: str) -> bool:
    return comparison_key(url) == url.removesuffix("/") and (url.startswith("https://") or is_loopback_url(url))


async def check_clients(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """What stored clients may do is declared still, and their redirects are ones that may be registered today."""
    declaration = load_declaration(settings)
    declared = {client.client_id for client in declaration.clients}
    known = {scope for resource in declaration.resources for scope in resource.scopes} | IDENTITY_SCOPES
    stored = [client async for client in ClientStore(redis).all()]
    found = [CheckResult(f"redirects: {len(declared)} declared and {len(stored)} stored clients", ok=True)]
    for client in stored:
        delete = f"`auth-service client delete {client.client_id}`"
        if client.client_id in declared:
            hint = f"the declared one is used; {delete} is rid of the other"
            found.append(CheckResult(f"declaration: {client.client_id} is stored too", ok=False, hint=hint))
        if not client.scopes <= known:
            missing = format_scope(client.scopes - known)
            hint = f"declare them with a resource, or {delete} and make it again"
            found.append(
                CheckResult(f"declaration: no resource has {missing} of {client.client_id}", ok=False, hint=hint)
            )
        if not all(map(_is_registrable, client.redirect_uris)):
            hint = f"{delete} and let it register again"
            found.append(CheckResult(f"redirects: one of {client.client_id} is not acceptable", ok=False, hint=hint))
    return found


def _is_registrable(uri: str) -> bool:
    try:
        check_redirect_uri(uri)
    except InvalidRedirectUri:
        return False
    return True


async def check_redis(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """Redis is the one that was used before, loses nothing, and keeps this user from the resource service's keys."""
    return [
        *await check_redis_server(redis, redis_identity(settings, redis), settings),
        CheckResult("redis: the other service's keys are out of reach", ok=await _is_confined(redis), hint=_ACL_HINT),
    ]


_ACL_HINT = "use the ACL file that `security-common setup` writes, and its user `auth`"


async def _is_confined(redis: Redis) -> bool:
    try:
        await redis.get("mcp:doctor")
    except NoPermissionError:
        return True
    return False


async def check_keys(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """One key signs, the next is published, and both can be opened with this KEK."""
    records = (await KeyStore(redis).read()).records
    encryption = PrivateKeyEncryption.load(settings.signing_key_kek_file)
    for record in records:
        if record.encrypted_private_key is not None:
            encryption.decrypt(record.encrypted_private_key, key_id=record.key_id)
    states = [record.state for record in records]
    good = states.count(SigningKeyState.ACTIVE) == states.count(SigningKeyState.NEXT) == 1
    hint = "start the service once; it makes its keys"
    return [CheckResult(f"keys: {', '.join(states) or 'none'}", ok=good, hint=hint)]


async def check_clock(_settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """Tokens carry this clock's time to machines that go by their own."""
    seconds, microseconds = await redis.time()
    apart = abs(time.time() - (seconds + microseconds / 1e6))
    hint = "synchronise the clocks of both machines (NTP)"
    return [CheckResult(f"clock: {apart:.1f} s from that of Redis", ok=apart < _CLOCK_TOLERANCE_SECONDS, hint=hint)]


async def check_issuer(settings: AuthSettings) -> list[CheckResult]:
    """The metadata is served at the public address, names this issuer and satisfies RFC 8414.

    A loopback issuer is the machine around a container, which the container does not reach: there the service is asked
    where it listens.
    """
    base = settings.issuer
    hint = "is the service running, and does AUTH_ISSUER lead to it from here?"
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
            if is_loopback_url(settings.issuer) and not await _is_reachable(http, settings.issuer):
                base = f"http://127.0.0.1:{settings.port}"
            metadata = (await http.get(f"{base}{_METADATA_PATH}")).json()
            keys = await http.get(metadata["jwks_uri"].replace(settings.issuer, base, 1))
        if not is_loopback_url(settings.issuer):
            AuthorizationServerMetadata(metadata).validate()
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as failure:
        return [
            CheckResult(f"issuer: {settings.issuer}{_METADATA_PATH}: {type(failure).__name__}", ok=False, hint=hint)
        ]
    named = metadata.get("issuer") == settings.issuer
    return [
        CheckResult(
            f"issuer: the metadata names {metadata.get('issuer')}", ok=named, hint="set AUTH_ISSUER to that address"
        ),
        CheckResult("issuer: its keys can be read", ok=keys.is_success, hint=hint),
    ]


async def _is_reachable(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        await http.get(f"{url}/livez")
    except httpx2.ConnectError:
        return False
    return True


_HINT = (
    "allow outgoing HTTPS to this host; where that cannot be, set registration.metadata_documents to off in auth.yaml,"
    " and clients register instead, or keep copies of the documents in registration.pinned_directory"
)


async def check_documents(settings: AuthSettings) -> list[CheckResult]:
    """A warning for each published document that cannot be fetched: a machine may be offline on purpose."""
    policy = load_declaration(settings).registration
    outgoing = OutgoingFetches.of(policy, None)
    try:
        attempts = await try_documents(outgoing.fetcher, _documents_of(policy))
    finally:
        await outgoing.close()
    return [_describe(attempt) for attempt in attempts]


def _documents_of(policy: RegistrationPolicy) -> list[str]:
    if policy.metadata_documents is Openness.OFF or policy.pinned_directory is not None:
        return []
    listed = policy.metadata_documents is Openness.LISTED
    return [url for url in KNOWN_DOCUMENTS if not listed or urlsplit(url).hostname in policy.hosts]


def _describe(attempt: FetchAttempt) -> CheckResult:
    if attempt.problem is None:
        return CheckResult(f"metadata documents: {attempt.host} can be reached", ok=True)
    told = f"metadata documents: {attempt.host}: {attempt.problem}: {attempt.description}"
    return CheckResult(told, ok=True, hint=_HINT, warning=True)


CHECKS: tuple[Callable[[AuthSettings], Awaitable[list[CheckResult]]], ...] = (
    check_declaration,
    check_secret_files,
    check_issuer,
    check_documents,
)
CHECKS_IN_REDIS: tuple[Callable[[AuthSettings, Redis], Awaitable[list[CheckResult]]], ...] = (
    check_applied_declaration,
    check_clients,
    check_redis,
    check_keys,
    check_clock,
)

"""`auth-service doctor`: checks the set-up of the service. Each failed check says how to fix it."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from auth_service.applied_declaration import find_applied_fingerprint
from auth_service.cli.output import Json
from auth_service.cli.provider_checks import check_providers
from auth_service.cli.status_list_checks import check_status_lists
from auth_service.cli.workload_checks import check_workload_issuers
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.clients.outgoing_fetches import FetchAttempt, OutgoingFetches, try_documents
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.clients.store import ClientStore
from auth_service.declaration import KNOWN_DOCUMENTS, Declaration, Openness, ResolvedRegistrationPolicy
from auth_service.declaration_file import DEMO_SECRET_FILE, load_declaration
from auth_service.errors import InvalidRedirectUri
from auth_service.keys.rotation import SigningKeyState
from auth_service.keys.signing_key import PrivateKeyEncryption
from auth_service.keys.store import KeyStore
from auth_service.paths import METADATA_PATHS
from auth_service.redis_identity import open_redis_identity
from auth_service.scopes import format_scope
from auth_service.settings import SERVICE, AuthSettings
from auth_service.tokens.resources import comparison_key, declared_resources
from security_common.secret_files import ExposedSecret, who_can_read
from security_common.service import (
    CheckResult,
    check_redis_connection,
    check_redis_server,
    connect_redis,
    print_check_results,
    read_secret,
)
from security_common.service.doctor import check_clock, check_environment, check_secrets, run_check
from security_common.web_urls import is_loopback_url

__all__ = ["CHECKS", "CHECKS_IN_REDIS", "doctor", "run_checks"]


def doctor(*, json: Json = False) -> None:
    """Prints the result of every check; the help text is in `cli.commands`."""
    print_check_results(asyncio.run(_run_with_redis(AuthSettings())), as_json=json, catalogues=["auth_service.cli"])


async def _run_with_redis(settings: AuthSettings) -> list[CheckResult]:
    async with connect_redis(settings) as redis:
        return await run_checks(settings, redis)


_CLOCK_TOLERANCE_SECONDS = 5.0
_EXPIRY_WARNING = timedelta(days=14)
_TIMEOUT_SECONDS = 5.0
_METADATA_PATH = METADATA_PATHS[0]


async def run_checks(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """The results of all checks; an error in one does not prevent the others.

    If Redis cannot be used, that is one result, and the checks of its content are left out.
    """
    results: list[CheckResult] = []
    for check in CHECKS:
        results += await run_check(check(settings), settings=settings)
    connection_failure = await check_redis_connection(settings, redis)
    if connection_failure is not None:
        return [*results, connection_failure]
    for check_in_redis in CHECKS_IN_REDIS:
        results += await run_check(check_in_redis(settings, redis), settings=settings)
    return results


async def _check_environment(settings: AuthSettings) -> list[CheckResult]:
    """Every variable is a setting, the ports are free or the service's own, and the journal folder can be written."""
    return await check_environment(
        settings, service=SERVICE, path=_METADATA_PATH, marker=b'"token_endpoint"', metric="auth_tokens_issued"
    )


async def check_declaration(settings: AuthSettings) -> list[CheckResult]:
    """The declaration is valid, and its secrets can be read."""
    declaration = load_declaration(settings)
    pepper = read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE")
    clients = [make_client(client, ClientSecrets(pepper, os.urandom)) for client in declaration.clients]
    counts = f"resources: {len(declaration.resources)}, clients: {len(clients)}"
    declared_resources(declaration)  # raises DeclarationInvalid
    return [
        CheckResult(f"declaration: {counts}", ok=True),
        *_check_resource_urls(declaration),
        *_check_default_resource(declaration),
        *_check_secret_expiry(declaration),
        *_describe_exchanges(declaration),
    ]


def _check_default_resource(declaration: Declaration) -> Iterator[CheckResult]:
    resources = declaration.resources
    if len(resources) > 1 and not any(resource.default for resource in resources):
        what = f"declaration: no resource is the default, so requests that name none get tokens for {resources[0].url}"
        yield CheckResult(what, ok=False, hint="write `default: true` at one of the resources in auth.yaml")


def _check_secret_expiry(declaration: Declaration) -> Iterator[CheckResult]:
    """Secrets of declared clients that have expired, or will within 14 days."""
    now = datetime.now(UTC)
    for client in declaration.clients:
        expires_at = client.secret_expires_at
        if expires_at is None or expires_at - now > _EXPIRY_WARNING:
            continue
        hint = "give the client a new secret, and change secret_file and secret_expires_at in auth.yaml"
        if expires_at <= now:
            yield CheckResult(f"declaration: the secret of {client.client_id} has expired", ok=False, hint=hint)
        else:
            moment = expires_at.isoformat(timespec="minutes")
            what = f"declaration: the secret of {client.client_id} expires at {moment}"
            yield CheckResult(what, ok=True, hint=hint, warning=True)


def _describe_exchanges(declaration: Declaration) -> Iterator[CheckResult]:
    """What each client may exchange: a rule gives scopes without asking the user again."""
    for client in declaration.clients:
        for rule in client.may_exchange:
            scopes = "; ".join(f"{scope} gives {' '.join(given)}" for scope, given in rule.scopes.items())
            what = f"{client.client_id} may exchange tokens for {', '.join(rule.sources)} for {rule.target}: {scopes}"
            yield CheckResult(f"declaration: {what}", ok=True)


async def check_resource_metadata(settings: AuthSettings) -> list[CheckResult]:
    """Each resource server names itself as it is declared here, and trusts this issuer (RFC 9728)."""
    resources = load_declaration(settings).resources
    async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
        return [await _check_one_resource(http, resource.url, settings.issuer) for resource in resources]


async def _check_one_resource(http: httpx2.AsyncClient, url: str, issuer: str) -> CheckResult:
    parts = urlsplit(url)
    address = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    try:
        metadata = (await http.get(address)).json()
        named, issuers = metadata["resource"], metadata.get("authorization_servers", [])
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, AttributeError):
        return CheckResult(f"resource: {url}: its metadata cannot be read from here and was not checked", ok=True)
    if named != url:
        hint = "make MCP_RESOURCE of the resource service and AUTH_RESOURCE (or `url` in auth.yaml) the same URL"
        return CheckResult(f"resource: {url}: its metadata names {named}", ok=False, hint=hint)
    if issuer not in issuers:
        hint = "set MCP_ISSUER of the resource service to AUTH_ISSUER"
        return CheckResult(f"resource: {url} does not accept tokens of {issuer}", ok=False, hint=hint)
    return CheckResult(f"resource: {url} accepts tokens of this issuer", ok=True)


async def check_applied_declaration(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """The running service has applied this declaration."""
    applied = await find_applied_fingerprint(redis)
    if applied is None:
        return [CheckResult("declaration: the service has not run yet, so none was applied", ok=True)]
    if applied == load_declaration(settings).fingerprint:
        return [CheckResult("declaration: the running service applied this one", ok=True)]
    hint = "restart the replicas that run with another auth.yaml"
    return [CheckResult("declaration: the running service applied another one", ok=False, hint=hint)]


async def check_secret_files(settings: AuthSettings) -> list[CheckResult]:
    """Keys are long enough, and only the service can read secret files, including those of declared clients.

    The secret of the demo client is public, so its file is not checked.
    """
    declaration = load_declaration(settings)
    exposed: list[ExposedSecret] = []
    for provider in declaration.identity_providers:
        scim = provider.scim
        paths = (
            provider.client_secret_file or provider.private_key_file,
            scim.token_file if scim is not None else None,
            scim.previous_token_file if scim is not None else None,
        )
        for path in paths:
            readers = who_can_read(path) if path is not None else ""
            if path is not None and readers:
                exposed.append(ExposedSecret(f"identity provider {provider.id}: secret, key or token", path, readers))
    for client in declaration.clients:
        if client.secret_file is None or client.secret_file == DEMO_SECRET_FILE:
            continue
        readers = who_can_read(client.secret_file)
        if readers:
            exposed.append(ExposedSecret(f"client {client.client_id}: secret_file", client.secret_file, readers))
    return check_secrets(settings, exposed)


def _check_resource_urls(declaration: Declaration) -> list[CheckResult]:
    """Resource identifiers are normalized, and https except on loopback."""
    return [
        CheckResult(
            f"resource: {resource.url}",
            ok=_is_valid_resource(resource.url),
            hint="declare it with https, exactly as in its own metadata",
        )
        for resource in declaration.resources
    ]


def _is_valid_resource(url: str) -> bool:
    return comparison_key(url) == url.removesuffix("/") and (url.startswith("https://") or is_loopback_url(url))


async def check_clients(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """The scopes of stored clients are still declared, and their redirect URIs are still allowed."""
    declaration = load_declaration(settings)
    declared = {client.client_id for client in declaration.clients}
    known = declaration.known_scopes
    stored = [client async for client in ClientStore(redis).all()]
    results = [CheckResult(f"clients: {len(declared)} declared and {len(stored)} stored clients", ok=True)]
    for client in stored:
        delete = f"`auth-service client delete {client.client_id}`"
        if client.client_id in declared:
            hint = f"the declared client is used; {delete} removes the stored one"
            results.append(
                CheckResult(f"declaration: the client {client.client_id} is also stored in Redis", ok=False, hint=hint)
            )
        if not client.scopes <= known:
            missing = format_scope(client.scopes - known)
            hint = f"declare them with a resource, or {delete} and create it again"
            results.append(
                CheckResult(
                    f"declaration: no resource has the scopes {missing} of {client.client_id}", ok=False, hint=hint
                )
            )
        if not all(map(_is_registrable, client.redirect_uris)):
            hint = f"{delete}, and let the client register again"
            results.append(
                CheckResult(
                    f"redirects: {client.client_id} has a redirect URI that is not allowed", ok=False, hint=hint
                )
            )
    return results


def _is_registrable(uri: str) -> bool:
    try:
        check_redirect_uri(uri)
    except InvalidRedirectUri:
        return False
    return True


async def check_redis(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """Redis is the one that was used before, is durable, and denies access to the resource service's keys."""
    results = await check_redis_server(redis, open_redis_identity(settings, redis), settings)
    if await _is_confined(redis):
        confined = CheckResult("redis: this user cannot read the keys of the resource service", ok=True)
    else:
        confined = CheckResult("redis: this user can read the keys of the resource service", ok=False, hint=_ACL_HINT)
    return [*results, confined]


_ACL_HINT = "use the ACL file that `security-common setup` writes, and its user `auth`"


async def _is_confined(redis: Redis) -> bool:
    try:
        await redis.get("mcp:doctor")
    except NoPermissionError:
        return True
    return False


async def check_keys(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """One key is active, one is next, and the KEK decrypts both."""
    records = (await KeyStore(redis).read()).records
    encryption = PrivateKeyEncryption.load(settings.signing_key_kek_file)
    for record in records:
        if record.encrypted_private_key is not None:
            encryption.decrypt(record.encrypted_private_key, key_id=record.key_id)
    states = [record.state for record in records]
    is_complete = states.count(SigningKeyState.ACTIVE) == states.count(SigningKeyState.NEXT) == 1
    hint = "start the service once; it creates its keys"
    return [CheckResult(f"keys: {', '.join(states) or 'none'}", ok=is_complete, hint=hint)]


async def check_redis_clock(_settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    """The clock agrees with that of Redis: other machines verify the times in tokens with their own clocks."""
    seconds, microseconds = await redis.time()
    difference_seconds = time.time() - (seconds + microseconds / 1e6)
    return [check_clock(difference_seconds, "the clock of Redis", tolerance_seconds=_CLOCK_TOLERANCE_SECONDS)]


async def check_issuer(settings: AuthSettings) -> list[CheckResult]:
    """The metadata at the public address names this issuer and complies with RFC 8414.

    In a container, a loopback issuer is an address of the host, which the container cannot reach. Then the metadata is
    fetched from the port that the service listens on.
    """
    base = settings.issuer
    hint = "check that the service is running, and that AUTH_ISSUER leads to it from this machine"
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
    is_named = metadata.get("issuer") == settings.issuer
    return [
        CheckResult(
            f"issuer: the metadata names {metadata.get('issuer')}", ok=is_named, hint="set AUTH_ISSUER to that address"
        ),
        CheckResult("issuer: the key set can be fetched", ok=keys.is_success, hint=hint),
    ]


async def _is_reachable(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        await http.get(f"{url}/livez")
    except httpx2.ConnectError:
        return False
    return True


_DOCUMENT_HINT = (
    "allow outgoing HTTPS to this host. Otherwise set registration.metadata_documents to off in auth.yaml, so that"
    " clients register instead, or put copies of the documents into registration.pinned_directory"
)


async def check_documents(settings: AuthSettings) -> list[CheckResult]:
    """A warning for each published metadata document that cannot be fetched. A machine may be offline on purpose."""
    policy = load_declaration(settings).registration.resolve_auto(settings.issuer)
    outgoing = OutgoingFetches.of(policy.hosts, None)
    try:
        attempts = await try_documents(outgoing.fetcher, _documents_of(policy))
    finally:
        await outgoing.close()
    return [_describe(attempt) for attempt in attempts]


def _documents_of(policy: ResolvedRegistrationPolicy) -> list[str]:
    if policy.metadata_documents is Openness.OFF or policy.pinned_directory is not None:
        return []
    listed = policy.metadata_documents is Openness.LISTED
    return [url for url in KNOWN_DOCUMENTS if not listed or urlsplit(url).hostname in policy.hosts]


def _describe(attempt: FetchAttempt) -> CheckResult:
    if attempt.problem is None:
        return CheckResult(f"metadata documents: {attempt.host} can be reached", ok=True)
    what = f"metadata documents: {attempt.host}: {attempt.problem}: {attempt.description}"
    return CheckResult(what, ok=True, hint=_DOCUMENT_HINT, warning=True)


CHECKS: tuple[Callable[[AuthSettings], Awaitable[list[CheckResult]]], ...] = (
    _check_environment,
    check_declaration,
    check_secret_files,
    check_issuer,
    check_resource_metadata,
    check_documents,
    check_providers,
    check_workload_issuers,
)
CHECKS_IN_REDIS: tuple[Callable[[AuthSettings, Redis], Awaitable[list[CheckResult]]], ...] = (
    check_applied_declaration,
    check_clients,
    check_status_lists,
    check_redis,
    check_keys,
    check_redis_clock,
)

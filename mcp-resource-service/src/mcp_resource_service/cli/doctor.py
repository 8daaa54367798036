"""`mcp-resource-service doctor`: checks the settings, the issuers, Redis, the secrets and the encryption.

The checks that all services share are in `security_common.service.doctor` and `security_common.service.redis_checks`.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2

from mcp_resource_service.audit_page.oauth_sign_in import CLIENT_ID, make_client_assertion, read_private_key
from mcp_resource_service.issuer_endpoints import own_issuer, trusted_issuers
from mcp_resource_service.redis_identity import open_redis_identity
from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.service import CheckResult, check_redis_connection, check_redis_server, connect_redis
from security_common.service.doctor import Listener, check_clock, check_secrets, check_service_environment, run_check
from security_common.tokens import TrustedIssuer
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_metadata import read_jwks_uri, read_metadata
from security_common.tokens.validation_rules import LEEWAY_SECONDS
from security_common.tokens.verification_keys import read_key_set

__all__ = ["examine"]

KEYS_HINT = "its jwks_uri must return a key for a declared algorithm; RSA keys need at least 2048 bits"


async def examine(settings: ResourceSettings) -> list[CheckResult]:
    """The results of all checks, in order. A check that fails does not keep the next one from running."""
    results: list[CheckResult] = []
    for check in CHECKS:
        results += await run_check(check(settings), settings=settings)
    return results


async def _check_environment(settings: ResourceSettings) -> list[CheckResult]:
    """Every variable is a setting, the ports are free or the service's own, and the journal folder can be written."""
    demo = ", demo mode, for loopback addresses only" if settings.demo else ""
    listeners = (
        Listener(
            host=settings.host,
            port=settings.port,
            setting="MCP_PORT",
            path="/.well-known/oauth-protected-resource",
            marker=b'"authorization_servers"',
        ),
        Listener(
            host=settings.metrics_host,
            port=settings.metrics_port,
            setting="MCP_METRICS_PORT",
            path="/metrics",
            marker=b"mcp_journal_writable",
        ),
    )
    return [
        CheckResult(f"settings: {settings.resource} trusts {settings.issuer}{demo}", ok=True),
        *await check_service_environment(settings, service=SERVICE, listeners=listeners),
    ]


async def _check_issuers(settings: ResourceSettings) -> list[CheckResult]:
    results: list[CheckResult] = []
    for issuer in trusted_issuers(settings):
        results += await _check_issuer(issuer)
    return results


async def _check_issuer(issuer: TrustedIssuer) -> list[CheckResult]:
    ahead_seconds: list[float] = []

    async def compare_clocks(response: httpx2.Response) -> None:
        with suppress(KeyError, ValueError):  # the Date header is optional
            ahead_seconds.append(time.time() - parsedate_to_datetime(response.headers["date"]).timestamp())

    try:
        async with httpx2.AsyncClient(timeout=5.0, event_hooks={"response": [compare_clocks]}) as http:
            url = await read_jwks_uri(http, issuer)
            document = await fetch_document(http, url)
            keys = read_key_set(document.body, issuer.algorithms)
    except SecurityError as failure:
        return [CheckResult(f"issuer: {failure.description}", ok=False, hint=failure.hint or KEYS_HINT)]
    except ValueError:
        return [
            CheckResult(
                f"issuer: {issuer.issuer} has no key for {' or '.join(issuer.algorithms)}", ok=False, hint=KEYS_HINT
            )
        ]
    # The smallest difference contains the least network time.
    ahead = min(ahead_seconds, key=abs, default=0.0)
    return [
        CheckResult(f"issuer: {issuer.issuer}, {len(keys)} keys at {url}", ok=True),
        check_clock(ahead, issuer.issuer, tolerance_seconds=LEEWAY_SECONDS),
    ]


async def _check_registration_at_issuer(settings: ResourceSettings) -> list[CheckResult]:
    """The issuer issues tokens for this resource, and has the public half of the audit page's key.

    An issuer that cannot be reached is reported by the check of the issuers.
    """
    async with httpx2.AsyncClient(timeout=5.0) as http:
        try:
            metadata = await read_metadata(http, own_issuer(settings))
        except SecurityError:
            return []
        return [*_check_resource(settings, metadata), *await _check_audit_page_key(settings, metadata, http)]


def _check_resource(settings: ResourceSettings, metadata: Mapping[str, Any]) -> list[CheckResult]:
    """The issuer announces its resources (RFC 9728 section 4). Other issuers than auth-service may not do that."""
    resources: Any = metadata.get("protected_resources")
    if not isinstance(resources, list) or settings.resource in resources:
        return []
    names = ", ".join(map(str, cast("list[Any]", resources))) or "no resource"
    hint = "make MCP_RESOURCE here and AUTH_RESOURCE (or `url` in auth.yaml) in auth-service the same URL"
    what = f"resource: tokens of {settings.issuer} have the audience {names}, not {settings.resource}"
    return [CheckResult(what, ok=False, hint=hint)]


async def _check_audit_page_key(
    settings: ResourceSettings, metadata: Mapping[str, Any], http: httpx2.AsyncClient
) -> list[CheckResult]:
    """Authenticates as the audit page at the revocation endpoint, with a token that does not exist (RFC 7009)."""
    path, endpoint = settings.audit_page_private_key_file, metadata.get("revocation_endpoint")
    if path is None or not isinstance(endpoint, str):
        return []
    assertion = make_client_assertion(read_private_key(path), audience=settings.issuer, now_seconds=time.time())
    form = {
        "client_id": CLIENT_ID,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "token": "doctor",
    }
    try:
        response = await http.post(own_issuer(settings).back_channel_url(endpoint), data=form)
    except httpx2.HTTPError:
        return []
    if response.is_success:
        return [CheckResult("audit page: the issuer accepts its key", ok=True)]
    hint = (
        "AUTH_AUDIT_PAGE_PUBLIC_KEY_FILE of auth-service must contain the public half of this key: remove both files, "
        "run `security-common setup`, and restart both services"
    )
    what = f"audit page: {settings.issuer} does not accept the key of MCP_AUDIT_PAGE_PRIVATE_KEY_FILE"
    return [CheckResult(what, ok=False, hint=hint)]


async def _check_redis(settings: ResourceSettings) -> list[CheckResult]:
    async with connect_redis(settings) as redis:
        failure = await check_redis_connection(settings, redis)
        if failure is not None:
            return [failure]
        return await check_redis_server(redis, open_redis_identity(settings, redis), settings)


async def _check_secrets(settings: ResourceSettings) -> list[CheckResult]:
    return check_secrets(settings)


async def _check_encryption(settings: ResourceSettings) -> list[CheckResult]:
    try:
        service = open_encryption_service(settings.security)
        ok = service.decrypt(service.encrypt("doctor")) == "doctor"
    except SecurityError as failure:
        return [CheckResult(f"encryption: {failure.description}", ok=False, hint=failure.hint)]
    return [CheckResult("encryption: the keyring encrypts and decrypts", ok)]


CHECKS: tuple[Callable[[ResourceSettings], Awaitable[list[CheckResult]]], ...] = (
    _check_environment,
    _check_issuers,
    _check_registration_at_issuer,
    _check_redis,
    _check_secrets,
    _check_encryption,
)

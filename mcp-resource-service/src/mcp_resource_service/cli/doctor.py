"""The checks of `mcp-resource-service doctor`: settings, issuers, clocks, Redis, secrets, keyring, audit folder."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime

import httpx2
from redis.exceptions import RedisError

from mcp_resource_service.issuer_endpoints import trusted_issuers
from mcp_resource_service.redis_identity import open_redis_identity
from mcp_resource_service.settings import ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.secret_files import find_exposed_secrets
from security_common.service import (
    CheckResult,
    check_exposed_secrets,
    check_redis_connection,
    check_redis_server,
    connect_redis,
)
from security_common.tokens import TrustedIssuer
from security_common.tokens.bounded_fetch import fetch_document
from security_common.tokens.issuer_metadata import read_jwks_uri
from security_common.tokens.validation_rules import LEEWAY_SECONDS
from security_common.tokens.verification_keys import read_key_set

__all__ = ["examine"]

KEYS_HINT = "its jwks_uri must return a key for a declared algorithm; RSA keys need at least 2048 bits"
CLOCK_HINT = "valid tokens are refused as expired or not yet valid: synchronize both machines with a time server"


async def examine(settings: ResourceSettings) -> list[CheckResult]:
    """Runs every check in order, also after a failed one, and returns the results."""
    results: list[CheckResult] = []
    for check in CHECKS:
        results += await _attempt(check(settings))
    return results


async def _attempt(check: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    try:
        return await check
    except SecurityError as failure:
        return [CheckResult(failure.description, ok=False, hint=failure.hint)]


async def _check_settings(settings: ResourceSettings) -> list[CheckResult]:
    demo = ", demo mode, for loopback addresses only" if settings.demo else ""
    return [CheckResult(f"settings: {settings.resource} trusts {settings.issuer}{demo}", ok=True)]


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
            keys = read_key_set((await fetch_document(http, url)).body or b"", issuer.algorithms)
    except SecurityError as failure:
        return [CheckResult(f"issuer: {failure.description}", ok=False, hint=failure.hint or KEYS_HINT)]
    except ValueError:
        return [
            CheckResult(
                f"issuer: {issuer.issuer} has no key for {' or '.join(issuer.algorithms)}", ok=False, hint=KEYS_HINT
            )
        ]
    # The smallest difference contains the least network time.
    ahead = round(min(ahead_seconds, key=abs, default=0))
    difference = f"{abs(ahead)} s {'behind' if ahead < 0 else 'ahead of'} {issuer.issuer}"
    return [
        CheckResult(f"issuer: {issuer.issuer}, {len(keys)} keys at {url}", ok=True),
        CheckResult(f"clock: {difference}", ok=abs(ahead) <= LEEWAY_SECONDS, hint=CLOCK_HINT),
    ]


async def _check_redis(settings: ResourceSettings) -> list[CheckResult]:
    async with connect_redis(settings) as redis:
        failure = await check_redis_connection(settings, redis)
        if failure is not None:
            return [failure]
        try:
            return await check_redis_server(redis, open_redis_identity(settings, redis), settings)
        except (RedisError, OSError) as error:
            hint = "use the ACL file that `security-common setup` writes, and its user `mcp`"
            return [CheckResult(f"redis: {error}", ok=False, hint=hint)]


async def _check_exposed_secrets(settings: ResourceSettings) -> list[CheckResult]:
    return check_exposed_secrets(find_exposed_secrets(settings))


async def _check_encryption(settings: ResourceSettings) -> list[CheckResult]:
    try:
        service = open_encryption_service(settings.security)
        ok = service.decrypt(service.encrypt("doctor")) == "doctor"
    except SecurityError as failure:
        return [CheckResult(f"encryption: {failure.description}", ok=False, hint=failure.hint)]
    return [CheckResult("encryption: the keyring encrypts and decrypts", ok)]


async def _check_audit_folder(settings: ResourceSettings) -> list[CheckResult]:
    folder = settings.security.audit_dir
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as failure:
        return [CheckResult(f"audit: {folder}: {failure.strerror}", ok=False, hint="set SECURITY_AUDIT_DIR")]
    return [CheckResult(f"audit: {folder} can be written", ok=True)]


CHECKS: tuple[Callable[[ResourceSettings], Awaitable[list[CheckResult]]], ...] = (
    _check_settings,
    _check_issuers,
    _check_redis,
    _check_exposed_secrets,
    _check_encryption,
    _check_audit_folder,
)

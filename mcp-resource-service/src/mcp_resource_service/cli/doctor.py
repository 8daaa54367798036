"""`doctor`: what an operator would otherwise find out one failure at a time."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime

import httpx2
from redis.exceptions import RedisError

from mcp_resource_service.issuer_endpoints import trusted_issuers
from mcp_resource_service.redis_identity import redis_identity
from mcp_resource_service.settings import ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.secret_files import find_exposed_secrets
from security_common.service import Finding, connect, find_redis_failure, find_redis_weaknesses, judge_secret_files
from security_common.tokens import TrustedIssuer
from security_common.tokens.fetch import fetch
from security_common.tokens.keys import read_keys
from security_common.tokens.metadata import read_jwks_uri
from security_common.tokens.rules import LEEWAY_SECONDS

__all__ = ["examine"]

KEYS_HINT = "its jwks_uri must answer here, with a key for a declared algorithm; RSA keys need 2048 bits or more"
CLOCK_HINT = "good tokens are refused as expired, or as from the future: let both machines follow a time server"


async def examine(settings: ResourceSettings) -> list[Finding]:
    """Every check in order; one that fails does not keep the next from running."""
    return [finding for check in CHECKS for finding in await _attempt(check(settings))]


async def _attempt(check: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await check
    except SecurityError as failure:
        return [Finding(failure.description, ok=False, hint=failure.hint)]


async def _check_settings(settings: ResourceSettings) -> list[Finding]:
    demo = ", demo mode: not for the Internet" if settings.demo else ""
    return [Finding(f"settings: {settings.resource} trusts {settings.issuer}{demo}", ok=True)]


async def _check_issuers(settings: ResourceSettings) -> list[Finding]:
    return [finding for issuer in trusted_issuers(settings) for finding in await _check_issuer(issuer)]


async def _check_issuer(issuer: TrustedIssuer) -> list[Finding]:
    ahead_seconds: list[float] = []

    async def compare_clocks(response: httpx2.Response) -> None:
        with suppress(KeyError, ValueError):  # an answer may have no Date
            ahead_seconds.append(time.time() - parsedate_to_datetime(response.headers["date"]).timestamp())

    try:
        async with httpx2.AsyncClient(timeout=5.0, event_hooks={"response": [compare_clocks]}) as http:
            url = await read_jwks_uri(http, issuer)
            keys = read_keys((await fetch(http, url)).body or b"", issuer.algorithms)
    except SecurityError as failure:
        return [Finding(f"issuer: {failure.description}", ok=False, hint=failure.hint or KEYS_HINT)]
    except ValueError:
        return [
            Finding(
                f"issuer: {issuer.issuer} has no key for {' or '.join(issuer.algorithms)}", ok=False, hint=KEYS_HINT
            )
        ]
    ahead = round(min(ahead_seconds, key=abs, default=0))
    apart = f"{abs(ahead)} s {'behind' if ahead < 0 else 'ahead of'} {issuer.issuer}"
    return [
        Finding(f"issuer: {issuer.issuer}, {len(keys)} keys at {url}", ok=True),
        Finding(f"clock: {apart}", ok=abs(ahead) <= LEEWAY_SECONDS, hint=CLOCK_HINT),
    ]


async def _check_redis(settings: ResourceSettings) -> list[Finding]:
    async with connect(settings) as redis:
        away = await find_redis_failure(settings, redis)
        if away is not None:
            return [away]
        try:
            return await find_redis_weaknesses(redis, redis_identity(settings, redis), settings)
        except (RedisError, OSError) as failure:
            hint = "use the ACL file that `security-common setup` writes, and its user `mcp`"
            return [Finding(f"redis: {failure}", ok=False, hint=hint)]


async def _check_secret_files(settings: ResourceSettings) -> list[Finding]:
    return judge_secret_files(find_exposed_secrets(settings))


async def _check_encryption(settings: ResourceSettings) -> list[Finding]:
    try:
        service = open_encryption_service(settings.security)
        ok = service.decrypt(service.encrypt("doctor")) == "doctor"
    except SecurityError as failure:
        return [Finding(f"encryption: {failure.description}", ok=False, hint=failure.hint)]
    return [Finding("encryption: the keyring encrypts and decrypts", ok)]


async def _check_audit_folder(settings: ResourceSettings) -> list[Finding]:
    folder = settings.security.audit_dir
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as failure:
        return [Finding(f"audit: {folder}: {failure.strerror}", ok=False, hint="set SECURITY_AUDIT_DIR")]
    return [Finding(f"audit: {folder} can be written", ok=True)]


CHECKS: tuple[Callable[[ResourceSettings], Awaitable[list[Finding]]], ...] = (
    _check_settings,
    _check_issuers,
    _check_redis,
    _check_secret_files,
    _check_encryption,
    _check_audit_folder,
)

"""`mcp-resource-service doctor`: checks the settings, the issuers, Redis, the secrets, the encryption and the index.

The checks that services share are in `security_common.service`: `doctor`, `issuer_checks` and `redis_checks`.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import httpx2

from mcp_resource_service.audit_page.oauth_sign_in import CLIENT_ID, make_client_assertion, read_private_key
from mcp_resource_service.issuer_endpoints import own_issuer, trusted_issuers
from mcp_resource_service.redis_identity import open_redis_identity
from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.audit.event_index import IndexReader, IndexUnavailable, index_files
from security_common.errors import SecurityError
from security_common.service import CheckResult, check_redis
from security_common.service.doctor import check_encryption, check_environment, check_secrets, run_check
from security_common.service.issuer_checks import announced_resources, check_issuer
from security_common.tokens.issuer_metadata import read_metadata

__all__ = ["examine"]


async def examine(settings: ResourceSettings) -> list[CheckResult]:
    """The results of all checks, in order. A check that fails does not keep the next one from running."""
    results: list[CheckResult] = []
    for check in CHECKS:
        results += await run_check(check(settings), settings=settings)
    return results


async def _check_environment(settings: ResourceSettings) -> list[CheckResult]:
    """Every variable is a setting, the ports are free or the service's own, and the journal folder can be written."""
    demo = [CheckResult("settings: demo mode, for loopback addresses only", ok=True)] if settings.demo else []
    return [
        CheckResult(f"settings: {settings.resource} trusts {settings.issuer}", ok=True),
        *demo,
        *await check_environment(
            settings,
            service=SERVICE,
            path="/.well-known/oauth-protected-resource",
            marker=b'"authorization_servers"',
            metric="mcp_journal_writable",
        ),
    ]


async def _check_issuers(settings: ResourceSettings) -> list[CheckResult]:
    results: list[CheckResult] = []
    for issuer in trusted_issuers(settings):
        results += await check_issuer(issuer)
    return results


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
    resources = announced_resources(metadata)
    if resources is None or settings.resource in resources:
        return []
    names = ", ".join(resources) or "no resource"
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
    return await check_redis(settings, partial(open_redis_identity, settings))


async def _check_index(settings: ResourceSettings) -> list[CheckResult]:
    """The index of the audit trail can be read, and no line is missing in it."""
    files = index_files(settings.security, service=SERVICE)
    if files.newest() is None:
        return [CheckResult("audit index: the service creates it when it starts", ok=True)]
    try:
        coverage = IndexReader(files).coverage()
    except IndexUnavailable as failure:
        return [CheckResult(failure.description, ok=False, hint=failure.hint)]
    if coverage.missing:
        what = f"audit index: {coverage.missing} events are missing that Redis and the journals here do not have"
        hint = "read them where they were written: `security-common audit export --journals`"
        return [CheckResult(what, ok=True, warning=True, hint=hint)]
    return [CheckResult(f"audit index: {coverage.events} events", ok=True)]


async def _check_secrets(settings: ResourceSettings) -> list[CheckResult]:
    return check_secrets(settings)


async def _check_encryption(settings: ResourceSettings) -> list[CheckResult]:
    return check_encryption(settings.security)


CHECKS: tuple[Callable[[ResourceSettings], Awaitable[list[CheckResult]]], ...] = (
    _check_environment,
    _check_issuers,
    _check_registration_at_issuer,
    _check_redis,
    _check_secrets,
    _check_encryption,
    _check_index,
)

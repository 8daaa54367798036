"""`gateway-service doctor`: checks the settings, the upstreams, the issuer, Redis and the secrets.

The checks that all services share are in `security_common.service.doctor` and `security_common.service.redis_checks`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx2

from gateway_service.cli.tools import UpstreamTools, ask_upstreams
from gateway_service.declaration import GatewayDeclaration
from gateway_service.redis_identity import open_redis_identity
from gateway_service.settings import SERVICE, GatewaySettings
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.service import CheckResult, check_redis_connection, check_redis_server, connect_redis
from security_common.service.doctor import Listener, check_secrets, check_service_environment, run_check
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_metadata import read_jwks_uri, read_metadata
from security_common.tokens.verification_keys import read_key_set
from security_common.tool_policy.policy import PIIPolicy

__all__ = ["examine"]

HTTP_SECONDS = 5.0


async def examine(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """The results of all checks, in order. A check that fails does not keep the next one from running."""
    results: list[CheckResult] = []
    for check in CHECKS:
        results += await run_check(check(settings, declaration), settings=settings)
    return results


async def _check_environment(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    listeners = (
        Listener(
            host=settings.host,
            port=settings.port,
            setting="GATEWAY_PORT",
            path="/.well-known/oauth-protected-resource",
            marker=b'"authorization_servers"',
        ),
        Listener(
            host=settings.metrics_host,
            port=settings.metrics_port,
            setting="GATEWAY_METRICS_PORT",
            path="/metrics",
            marker=b"gateway_journal_writable",
        ),
    )
    return [
        CheckResult(f"settings: {settings.resource} trusts {settings.issuer}", ok=True),
        CheckResult(f"upstreams: {settings.upstreams} declares {', '.join(declaration.names)}", ok=True),
        *[
            CheckResult(f"upstreams: {notice}", ok=True, warning=True, hint="docs/gateway.md explains it")
            for notice in declaration.notices
        ],
        *await check_service_environment(settings, service=SERVICE, listeners=listeners),
    ]


async def _check_upstreams(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    found = await ask_upstreams(settings, declaration)
    return [result for upstream in found for result in _check_upstream(settings, declaration, upstream)]


def _check_upstream(
    settings: GatewaySettings, declaration: GatewayDeclaration, upstream: UpstreamTools
) -> list[CheckResult]:
    if upstream.problem is not None:
        return [CheckResult(f"{upstream.name}: {upstream.problem.description}", ok=False, hint=upstream.problem.hint)]
    count = len(upstream.tools)
    results = [CheckResult(f"{upstream.name}: {upstream.version}, {count} tools can be called", ok=count > 0)]
    hint = "gateway.yaml has the rules of the tools: docs/gateway.md"
    results += [CheckResult(f"{upstream.name}: {each}", ok=True, warning=True, hint=hint) for each in upstream.findings]
    declared = next(each for each in declaration.upstreams if each.name == upstream.name)
    if declared.tools is None and settings.is_local:
        what = f"{upstream.name}: every tool is open to mcp.access, because the file names none"
        results.append(
            CheckResult(what, ok=True, warning=True, hint="name them in `tools` before the gateway is public")
        )
    encrypting = [tool.name for tool in upstream.tools if tool.rule.arguments is PIIPolicy.ENCRYPT]
    if encrypting:
        what = f"{upstream.name}: {', '.join(encrypting)} receive ciphertext, which is longer than the value"
        advice = "use `encrypt` for tools that store and return texts; `tokenize` suits the others"
        results.append(CheckResult(what, ok=True, warning=True, hint=advice))
    return results


async def _check_issuer(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """The issuer publishes keys, and knows the addresses of the gateway as resources (RFC 9728 section 4)."""
    issuer = settings.trusted_issuer(declaration.names)
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        document = await fetch_document(http, await read_jwks_uri(http, issuer))
        metadata = await read_metadata(http, issuer)
    try:
        keys = read_key_set(document.body, issuer.algorithms)
    except ValueError:
        hint = "its jwks_uri must return an RSA key of at least 2048 bits for RS256"
        return [CheckResult(f"issuer: {issuer.issuer} has no key for RS256", ok=False, hint=hint)]
    results = [CheckResult(f"issuer: {issuer.issuer}, {len(keys)} keys", ok=True)]
    resources: Any = metadata.get("protected_resources")
    if isinstance(resources, list):
        known = cast("list[Any]", resources)
        hint = "`gateway-service auth-declaration` prints the `resources:` for auth.yaml"
        results += [
            CheckResult(f"issuer: it does not issue tokens for {url}", ok=False, hint=hint)
            for url in issuer.audiences
            if url not in known
        ]
    return results


async def _check_redis(settings: GatewaySettings, _: GatewayDeclaration) -> list[CheckResult]:
    async with connect_redis(settings) as redis:
        failure = await check_redis_connection(settings, redis)
        if failure is not None:
            return [failure]
        return await check_redis_server(redis, open_redis_identity(settings, redis), settings)


async def _check_secrets(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    results = check_secrets(settings)
    if PIIPolicy.ENCRYPT not in declaration.policies:
        return results
    try:
        open_encryption_service(settings.security).encrypt("doctor")
    except SecurityError as failure:
        return [*results, CheckResult(f"encryption: {failure.description}", ok=False, hint=failure.hint)]
    return [*results, CheckResult("encryption: the keyring encrypts", ok=True)]


CHECKS: tuple[Callable[[GatewaySettings, GatewayDeclaration], Awaitable[list[CheckResult]]], ...] = (
    _check_environment,
    _check_upstreams,
    _check_issuer,
    _check_redis,
    _check_secrets,
)

"""`gateway-service doctor`: checks the settings, the upstreams, the issuer, Redis and the secrets.

The checks that services share are in `security_common.service`: `doctor`, `issuer_checks` and `redis_checks`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import NOTHING_PINNED_HINT
from gateway_service.catalogue.lock_signatures import load_lock
from gateway_service.cli.pin import pending_file
from gateway_service.cli.program_checks import check_programs
from gateway_service.cli.tools import ListedUpstream, ask_upstreams
from gateway_service.credentials.exchanged_tokens import TOKEN_EXCHANGE
from gateway_service.declaration import GatewayDeclaration, TokenExchange, UpstreamDeclaration, credential_file
from gateway_service.redis_identity import open_redis_identity
from gateway_service.settings import SERVICE, GatewaySettings
from security_common.errors import SecurityError
from security_common.secret_files import ExposedSecret, who_can_read
from security_common.service import CheckResult, check_redis
from security_common.service.doctor import check_encryption, check_environment, check_secrets, run_check
from security_common.service.issuer_checks import announced_resources, check_issuer
from security_common.tokens.issuer_metadata import read_metadata
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
    return [
        CheckResult(f"settings: {settings.resource} trusts {settings.issuer}", ok=True),
        CheckResult(f"upstreams: {settings.upstreams} declares {', '.join(declaration.names)}", ok=True),
        *[
            CheckResult(f"upstreams: {notice}", ok=True, warning=True, hint="docs/gateway.md explains it")
            for notice in declaration.notices
        ],
        *await check_environment(
            settings,
            service=SERVICE,
            path="/.well-known/oauth-protected-resource",
            marker=b'"authorization_servers"',
            metric="gateway_journal_writable",
        ),
    ]


async def _check_lock(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """What clients get was approved: gateway.lock exists, can be read, and has every upstream at its address."""
    pending = pending_file(settings)
    hint = "leave out `list: live` if its tools are the same for every caller"
    results = [
        CheckResult(f"lock: {each.name} has a live list, so its tools are not pinned", ok=True, warning=True, hint=hint)
        for each in declaration.upstreams
        if each.is_live
    ]
    if pending.exists():
        hint = "`gateway-service approve` approves what `pin` has printed; `pin` prints it again"
        results.append(CheckResult(f"lock: {pending} was not approved yet", ok=True, warning=True, hint=hint))
    lock = load_lock(settings.lock_file, settings.lock_keys_file)
    if lock is None:
        what = f"lock: nothing is pinned: {settings.lock_file} does not exist"
        return [CheckResult(what, ok=True, warning=True, hint=NOTHING_PINNED_HINT), *results]
    count = sum(len(each.of(kind)) for each in lock.upstreams.values() for kind in DefinitionKind)
    pinned = CheckResult(f"lock: {settings.lock_file}, {count} approved definitions, sha256 {lock.digest}", ok=True)
    return [pinned, *results]


async def _check_upstreams(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    found = await ask_upstreams(settings, declaration)
    return [result for upstream in found for result in _check_upstream(settings, declaration, upstream)]


def _check_upstream(
    settings: GatewaySettings, declaration: GatewayDeclaration, upstream: ListedUpstream
) -> list[CheckResult]:
    if upstream.problem is not None:
        return [CheckResult(f"{upstream.name}: {upstream.problem.description}", ok=False, hint=upstream.problem.hint)]
    count = len(upstream.tools)
    what = f"{upstream.name}: {upstream.version}, {count} tools can be called"
    results = [CheckResult(what, ok=count > 0 or upstream.has_components)]
    hint = "gateway.yaml has the rules of the tools: docs/gateway.md"
    results += [CheckResult(f"{upstream.name}: {each}", ok=True, warning=True, hint=hint) for each in upstream.notices]
    declared = next(each for each in declaration.upstreams if each.name == upstream.name)
    if declared.prompts.rules or declared.resources.rules:
        what = (
            f"{upstream.name}: {len(upstream.prompts)} prompts, {len(upstream.resources)} resources and "
            f"{len(upstream.templates)} resource templates are listed"
        )
        advice = "none matches a rule: `prompts` and `resources` in gateway.yaml: docs/gateway.md"
        results.append(CheckResult(what, ok=True, warning=not upstream.has_components, hint=advice))
    if declared.tools is None and settings.is_local:
        what = f"{upstream.name}: every tool is open to mcp.access, because the file names none"
        results.append(
            CheckResult(what, ok=True, warning=True, hint="name them in `tools` before the gateway is public")
        )
    named = (*upstream.tools, *upstream.prompts)
    encrypting = [each.name for each in named if each.rule.arguments is PIIPolicy.ENCRYPT]
    if encrypting:
        what = f"{upstream.name}: {', '.join(encrypting)} receive ciphertext, which is longer than the value"
        advice = "use `encrypt` for what stores and returns texts; `tokenize` suits the others"
        results.append(CheckResult(what, ok=True, warning=True, hint=advice))
    return results


async def _check_issuer(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    return await check_issuer(settings.trusted_issuer(declaration.names))


async def _check_addresses_at_issuer(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """The issuer issues tokens for every address. One that cannot be reached is reported by the check of the issuer."""
    issuer = settings.trusted_issuer(declaration.names)
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        try:
            resources = announced_resources(await read_metadata(http, issuer))
        except SecurityError:
            return []
    if resources is None:
        return []
    hint = "`gateway-service auth-declaration` prints the `resources:` for auth.yaml"
    return [
        CheckResult(f"issuer: it does not issue tokens for {url}", ok=False, hint=hint)
        for url in issuer.audiences
        if url not in resources
    ]


async def _check_exchanges(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """The issuer exchanges tokens, if an upstream needs that. Which ones, only its own doctor knows."""
    names = [each.name for each in declaration.upstreams if isinstance(each.credential, TokenExchange)]
    if not names:
        return []
    issuer = settings.trusted_issuer(declaration.names)
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        try:
            grants: Any = (await read_metadata(http, issuer)).get("grant_types_supported")
        except SecurityError:
            return []
    is_supported = isinstance(grants, list) and TOKEN_EXCHANGE in grants
    what = f"credentials: {issuer.issuer} exchanges tokens for {', '.join(names)}"
    return [CheckResult(what, ok=is_supported, hint="docs/token-exchange.md shows what it needs in auth.yaml")]


async def _check_redis(settings: GatewaySettings, _: GatewayDeclaration) -> list[CheckResult]:
    return await check_redis(settings, partial(open_redis_identity, settings))


async def _check_secrets(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    exposed: list[ExposedSecret] = []
    for upstream in declaration.upstreams:
        for what, file in _secret_files(upstream).items():
            readers = who_can_read(file)
            if readers:
                exposed.append(ExposedSecret(f"{what} of {upstream.name}", file, readers))
    uses_keyring = PIIPolicy.ENCRYPT in declaration.policies
    return [*check_secrets(settings, exposed), *(check_encryption(settings.security) if uses_keyring else [])]


def _secret_files(upstream: UpstreamDeclaration) -> dict[str, Path]:
    """The files with secrets of an upstream, by what they contain."""
    files = dict(upstream.program.secret_files) if upstream.program is not None else {}
    file = credential_file(upstream.credential) if upstream.credential is not None else None
    return files if file is None else {**files, "credential": file}


CHECKS: tuple[Callable[[GatewaySettings, GatewayDeclaration], Awaitable[list[CheckResult]]], ...] = (
    _check_environment,
    _check_lock,
    check_programs,
    _check_upstreams,
    _check_issuer,
    _check_addresses_at_issuer,
    _check_exchanges,
    _check_redis,
    _check_secrets,
)

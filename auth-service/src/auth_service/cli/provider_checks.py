"""The doctor's checks of identity providers: address, keys, secret and clock, and what to register there."""

import os
import time
from collections.abc import Awaitable, Callable

from auth_service.declaration_file import load_declaration
from auth_service.federation.identity_provider import IdentityProvider, load_providers
from auth_service.federation.provider_connection import ProviderConnection
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.settings import AuthSettings
from security_common.service.doctor import CheckResult

__all__ = ["check_providers"]


async def check_providers(settings: AuthSettings) -> list[CheckResult]:
    """What each provider answers, and the callback URL that has to be registered there."""
    declared = load_declaration(settings).identity_providers
    results: list[CheckResult] = []
    for provider in load_providers(declared, issuer=settings.issuer).values():
        connection = ProviderConnection(provider, clock=time.time)
        try:
            results += await _check(connection)
        finally:
            await connection.close()
    return results


async def _check(connection: ProviderConnection) -> list[CheckResult]:
    provider = connection.provider
    place = f"identity provider {provider.id}"
    results = [
        CheckResult(f"{place}: register the callback URL {provider.redirect_uri} there", ok=True),
        CheckResult(f"{place}: issuer {provider.issuer}, scopes {' '.join(provider.scopes)}", ok=True),
        *_check_rules(provider, place),
    ]
    steps: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("its metadata can be used", connection.metadata),
        ("its keys can be used", connection.signing_keys.read),
        ("it accepts the client secret or key", lambda: _try_secret(connection)),
    )
    for what, step in steps:
        try:
            await step()
        except ProviderFailure as failure:
            hint = failure.hint or "see docs/company-sign-in.md"
            return [*results, CheckResult(f"{place}: {failure.description}", ok=False, hint=hint)]
        results.append(CheckResult(f"{place}: {what}", ok=True))
    return results


def _check_rules(provider: IdentityProvider, place: str) -> list[CheckResult]:
    if provider.declared.rules:
        return []
    hint = "write rules, for example [{everyone: true, scopes: [mcp.access]}]"
    return [CheckResult(f"{place}: no rules, so its users can allow apps nothing", ok=True, hint=hint, warning=True)]


async def _try_secret(connection: ProviderConnection) -> None:
    """Sends an authorization code that does not exist: a provider checks the secret before the code."""
    try:
        await connection.redeem_code(os.urandom(16).hex(), code_verifier=os.urandom(32).hex(), nonce="doctor")
    except ProviderFailure as failure:
        if failure.problem in {ProviderProblem.CLIENT_REFUSED, ProviderProblem.UNREACHABLE}:
            raise

"""The checks of identity providers, for the doctor and `provider try`: addresses, keys, and the client secret."""

import os
import time
from collections.abc import Awaitable, Callable

from auth_service.declaration_file import load_declaration
from auth_service.federation.identity_provider import IdentityProvider, load_providers
from auth_service.federation.provider_connection import ProviderConnection
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.settings import AuthSettings
from security_common.service.doctor import CheckResult

__all__ = ["check_provider", "check_providers"]

_UNCLEAR_HINT = (
    "the client may lack the grant authorization_code at the provider, or the callback URL is not registered there;"
    " sign in once to be sure"
)

# Names and addresses: at some providers people can write them into their own profiles.
_CHANGEABLE_CLAIMS = frozenset({"email", "name", "preferred_username", "upn"})


async def check_providers(settings: AuthSettings) -> list[CheckResult]:
    """What each provider answers, and the addresses that have to be registered there."""
    declared = load_declaration(settings).identity_providers
    results: list[CheckResult] = []
    for provider in load_providers(declared, issuer=settings.issuer).values():
        results += await check_provider(provider)
    return results


async def check_provider(provider: IdentityProvider) -> list[CheckResult]:
    """What this provider answers, and the addresses that have to be registered there."""
    place = f"identity provider {provider.id}"
    connection = ProviderConnection(provider, clock=time.time)
    try:
        return [
            CheckResult(f"{place}: register the callback URL {provider.redirect_uri} there", ok=True),
            CheckResult(f"{place}: the address for back-channel logout is {provider.backchannel_logout_uri}", ok=True),
            CheckResult(f"{place}: issuer {provider.issuer}, scopes {' '.join(provider.scopes)}", ok=True),
            *_describe_scim(provider, place),
            *_describe_assertions(provider, place),
            *_check_rules(provider, place),
            *await _check_answers(connection, place),
        ]
    finally:
        await connection.close()


async def _check_answers(connection: ProviderConnection, place: str) -> list[CheckResult]:
    """The results of the requests, up to the first failure."""
    results: list[CheckResult] = []
    steps: tuple[Callable[[ProviderConnection], Awaitable[CheckResult]], ...] = (
        _check_metadata,
        _check_logout_support,
        _check_keys,
        _check_client,
    )
    for step in steps:
        try:
            result = await step(connection)
        except ProviderFailure as failure:
            hint = failure.hint or "see docs/company-sign-in.md"
            return [*results, CheckResult(f"{place}: {failure.description}", ok=False, hint=hint)]
        results.append(CheckResult(f"{place}: {result.what}", ok=result.ok, hint=result.hint, warning=result.warning))
    return results


def _describe_scim(provider: IdentityProvider, place: str) -> list[CheckResult]:
    if not provider.scim_tokens:
        return []
    what = f"{place}: the address for SCIM is {provider.scim_uri}, and {provider.scim_subject} must have the subject"
    return [CheckResult(what, ok=True)]


def _describe_assertions(provider: IdentityProvider, place: str) -> list[CheckResult]:
    if provider.declared.enterprise_managed is None:
        return []
    what = f"{place}: assertions (ID-JAG) that it issues to clients are accepted, with AUTH_ISSUER as audience"
    return [CheckResult(what, ok=True)]


def _check_rules(provider: IdentityProvider, place: str) -> list[CheckResult]:
    declared, warnings = provider.declared, dict[str, str]()
    if not declared.rules:
        warnings["no rules, so its users can allow apps nothing"] = (
            "write rules, for example [{everyone: true, scopes: [mcp.access]}]"
        )
    changeable = sorted({condition.claim for condition in declared.conditions} & _CHANGEABLE_CLAIMS)
    if changeable:
        warnings[f"a condition reads {', '.join(changeable)}, which users can change at some providers"] = (
            "use groups or roles that only administrators assign"
        )
    if declared.acr_values is not None and not declared.require:
        warnings["acr_values is only a wish: a provider may ignore it"] = (
            "write require as well, for example [{claim: acr, has: ...}]"
        )
    return [CheckResult(f"{place}: {what}", ok=True, hint=hint, warning=True) for what, hint in warnings.items()]


async def _check_metadata(connection: ProviderConnection) -> CheckResult:
    await connection.metadata()
    return CheckResult("its metadata can be used", ok=True)


async def _check_logout_support(connection: ProviderConnection) -> CheckResult:
    if (await connection.metadata()).reports_logouts:
        return CheckResult("it reports sign-outs, if the address for back-channel logout is registered there", ok=True)
    return CheckResult(
        "it does not announce back-channel logout: that a user has left is found by the next check, after"
        f" {connection.provider.declared.recheck_seconds} s at most",
        ok=True,
    )


async def _check_keys(connection: ProviderConnection) -> CheckResult:
    await connection.signing_keys.read()
    return CheckResult("its keys can be used", ok=True)


async def _check_client(connection: ProviderConnection) -> CheckResult:
    """Sends an authorization code that does not exist: a provider checks the secret before the code.

    So the answer is `invalid_grant` if the client is accepted, and `invalid_client` if it is not.
    """
    try:
        await connection.redeem_code(os.urandom(16).hex(), code_verifier=os.urandom(32).hex(), nonce="doctor")
    except ProviderFailure as failure:
        if failure.problem is ProviderProblem.CODE_REFUSED:
            return CheckResult("it accepts the client secret or key", ok=True)
        if failure.problem in {ProviderProblem.CLIENT_REFUSED, ProviderProblem.UNREACHABLE}:
            raise
        return CheckResult(
            f"whether it accepts the client secret or key is not certain: {failure.description}, in place of"
            " invalid_grant for a code that does not exist",
            ok=True,
            hint=_UNCLEAR_HINT,
            warning=True,
        )
    return CheckResult(
        "it accepted an authorization code that does not exist",
        ok=False,
        hint="do not use this provider: anyone could sign in as anyone",
    )

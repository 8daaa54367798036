"""`auth-service provider try`: checks one identity provider, and what a sign-in there would lead to."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import App, Parameter

from auth_service.cli.claim_preview import preview_claims
from auth_service.cli.output import Json
from auth_service.cli.provider_checks import check_provider
from auth_service.declaration_file import load_declaration
from auth_service.federation.identity_provider import IdentityProvider, load_providers
from auth_service.settings import AuthSettings
from security_common.errors import SecurityError
from security_common.service import print_check_results
from security_common.strict_json import parse_json

__all__ = ["providers"]

_MAX_DEPTH = 16
_MAX_BYTES = 256 * 1024

providers = App(name="provider", help="Identity providers: try.", result_action="return_value", version_flags=[])


class ProviderCommandRefused(SecurityError):
    """The command is not possible: the provider is unknown, or the file of claims cannot be used."""

    error = "provider_refused"


@providers.command(name="try")
def try_provider(
    provider: Annotated[str, Parameter(help="The id of the identity provider in auth.yaml.")],
    *,
    claims: Annotated[
        Path | None, Parameter(help="A JSON file with the claims of an ID token: shows what the rules would give.")
    ] = None,
    json: Json = False,
) -> None:
    """Check an identity provider: metadata, keys, client secret or key, and what to register there.

    Nobody signs in, and nothing is stored. Exit status 1 if something is wrong.

    For example: auth-service provider try contoso --claims claims.json
    """
    found = _find_provider(AuthSettings(), provider)
    content = _read_claims(claims) if claims is not None else None
    results = asyncio.run(check_provider(found))
    if content is not None:
        results += preview_claims(found, content)
    print_check_results(results, as_json=json, catalogues=["auth_service.cli"])


def _find_provider(settings: AuthSettings, provider_id: str) -> IdentityProvider:
    declared = load_declaration(settings).identity_providers
    found = [each for each in declared if each.id == provider_id]
    if not found:
        known = ", ".join(each.id for each in declared) or "none"
        raise ProviderCommandRefused(
            f"there is no identity provider {provider_id}", hint=f"auth.yaml declares: {known}"
        )
    return load_providers(found, issuer=settings.issuer)[provider_id]


def _read_claims(file: Path) -> Mapping[str, Any]:
    """The claims. Raises `ProviderCommandRefused` without quoting the file: it can contain a token by mistake."""
    hint = (
        'it must be a JSON object, for example {"sub": "...", "groups": ["mcp-users"]}; a token must be decoded first'
    )
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ProviderCommandRefused(f"{file} is larger than {_MAX_BYTES // 1024} KiB", hint=hint)
        content = parse_json(raw.removeprefix(b"\xef\xbb\xbf"), max_depth=_MAX_DEPTH)
    except (OSError, ValueError):
        raise ProviderCommandRefused(f"{file} cannot be read as JSON", hint=hint) from None
    if not isinstance(content, dict):
        raise ProviderCommandRefused(f"{file} is not a JSON object", hint=hint)
    return cast("Mapping[str, Any]", content)

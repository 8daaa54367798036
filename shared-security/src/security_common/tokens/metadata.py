"""Where an issuer keeps its keys: its own metadata, which must name it (RFC 8414, OpenID Connect Discovery 1.0)."""

from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from security_common.tokens.errors import IssuerMismatch, IssuerUnreachable
from security_common.tokens.fetch import fetch
from security_common.tokens.issuers import OWN_SETTING, TrustedIssuer
from security_common.tokens.strict_json import parse_json

__all__ = ["metadata_urls", "read_jwks_uri", "read_metadata"]

MAX_DEPTH = 8
MAX_TOLD_CHARACTERS = 200
AUTHORIZATION_SERVER, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


def metadata_urls(base_url: str) -> tuple[str, ...]:
    """The places to look, in the order MCP clients use.

    A trailing slash is dropped, whether the well-known path is inserted (RFC 8414 section 3.1) or appended (OpenID
    Connect Discovery section 4.1).
    """
    parts = urlsplit(base_url.removesuffix("/"))
    origin = f"{parts.scheme}://{parts.netloc}"
    inserted = tuple(f"{origin}{name}{parts.path}" for name in (AUTHORIZATION_SERVER, OPENID))
    return (*inserted, f"{origin}{parts.path}{OPENID}") if parts.path else inserted


async def read_metadata(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> dict[str, Any]:
    """The issuer's metadata, fetched at its internal URL and checked to be its own.

    A server with several issuers may answer at one place for another of them, so every place is tried.

    Raises:
        IssuerUnreachable: no place has a metadata document.
        IssuerMismatch: there is one, and it names another issuer.

    """
    failure, mismatch = IssuerUnreachable("no metadata"), None
    for url in metadata_urls(issuer.base_url):
        try:
            document = _read_object((await fetch(http, url)).body or b"", url)
        except IssuerUnreachable as error:
            failure = error
            continue
        named = document.get("issuer")
        if named == issuer.issuer:
            return document
        mismatch = IssuerMismatch(
            f"the issuer at {issuer.base_url} calls itself {_excerpt(named)}, not {issuer.issuer!r}",
            hint=_mismatch_hint(issuer),
        )
    if mismatch is not None:
        raise mismatch
    raise IssuerUnreachable(failure.description, hint=_unreachable_hint(issuer)) from failure


async def read_jwks_uri(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> str:
    """Where the keys are, as reached from here. Raises as `read_metadata` does."""
    uri: Any = (await read_metadata(http, issuer)).get("jwks_uri")
    if not isinstance(uri, str):
        raise IssuerUnreachable(f"the metadata of {issuer.issuer} has no jwks_uri")
    url = issuer.back_channel(uri)
    if not url.startswith("https://") and _origin(url) != _origin(issuer.base_url):
        raise IssuerUnreachable(f"the metadata of {issuer.issuer} sends us elsewhere without https for its keys")
    return url


def _excerpt(value: Any) -> str:
    """What is told of a value that somebody else wrote."""
    text = repr(value)
    return text if len(text) <= MAX_TOLD_CHARACTERS else f"{text[:MAX_TOLD_CHARACTERS]}..."


def _mismatch_hint(issuer: TrustedIssuer) -> str:
    if issuer.setting == OWN_SETTING:
        return "make both the same URL, to the last byte: AUTH_ISSUER in auth-service, MCP_ISSUER here"
    return f"write it in {issuer.setting} exactly as it calls itself, with or without a slash at the end"


def _unreachable_hint(issuer: TrustedIssuer) -> str:
    if issuer.setting != OWN_SETTING:
        return f"is the issuer up, and its entry in {issuer.setting} right? internal_url says where it is reached"
    setting = "MCP_AUTH_INTERNAL_URL" if issuer.internal_url else OWN_SETTING
    return f"start the issuer, or set {setting} to where this process reaches it"


def _read_object(raw: bytes, url: str) -> dict[str, Any]:
    try:
        document: Any = parse_json(raw, max_depth=MAX_DEPTH)
    except ValueError as error:
        raise IssuerUnreachable(f"{url} did not answer with JSON") from error
    if not isinstance(document, dict):
        raise IssuerUnreachable(f"{url} did not answer with a JSON object")
    return cast("dict[str, Any]", document)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc

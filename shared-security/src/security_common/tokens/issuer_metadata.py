"""The metadata of an issuer and the URL of its keys (RFC 8414, OpenID Connect Discovery 1.0)."""

import math
from collections.abc import Mapping
from typing import Any, cast

import httpx2

from security_common.strict_json import parse_json
from security_common.tokens.errors import IssuerMismatch, IssuerUnreachable
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.trusted_issuer import TrustedIssuer
from security_common.web_urls import parse_web_url

__all__ = [
    "AUTHORIZATION_SERVER_METADATA_PATH",
    "OPENID_CONFIGURATION_PATH",
    "STATUS_SINCE_MEMBER",
    "jwks_uri_in",
    "metadata_urls",
    "read_jwks_uri",
    "read_metadata",
    "status_since_in",
]

MAX_JSON_DEPTH = 8
MAX_EXCERPT_CHARACTERS = 200
AUTHORIZATION_SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION_PATH = "/.well-known/openid-configuration"
STATUS_SINCE_MEMBER = "access_token_status_since"


def metadata_urls(base_url: str) -> tuple[str, ...]:
    """The URLs where the metadata may be, in the order in which MCP clients try them.

    A trailing slash is dropped, whether the well-known path is inserted (RFC 8414 section 3.1) or appended (OpenID
    Connect Discovery section 4.1).
    """
    url = parse_web_url(base_url.removesuffix("/"))
    inserted = (
        f"{url.origin}{AUTHORIZATION_SERVER_METADATA_PATH}{url.path}",
        f"{url.origin}{OPENID_CONFIGURATION_PATH}{url.path}",
    )
    return (*inserted, f"{url.origin}{url.path}{OPENID_CONFIGURATION_PATH}") if url.path else inserted


async def read_metadata(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> dict[str, Any]:
    """The issuer's metadata, fetched at its internal URL. Its `issuer` must be the expected one.

    All URLs are tried, since a server with several issuers may serve the metadata of another one at the first.

    Raises:
        IssuerUnreachable: there is no metadata document at any of the URLs.
        IssuerMismatch: there is one, but it names another issuer.

    """
    failures: list[IssuerUnreachable] = []
    mismatch: IssuerMismatch | None = None
    for url in metadata_urls(issuer.base_url):
        try:
            document = await fetch_document(http, url)
            metadata = _parse_metadata(document.body, url)
        except IssuerUnreachable as error:
            failures.append(error)
            continue
        named = metadata.get("issuer")
        if named == issuer.issuer:
            return metadata
        mismatch = IssuerMismatch(
            f"the metadata at {issuer.base_url} names the issuer {_excerpt(named)}, not {issuer.issuer!r}",
            hint=_mismatch_hint(issuer),
        )
    if mismatch is not None:
        raise mismatch
    raise IssuerUnreachable(failures[-1].description, hint=_unreachable_hint(issuer)) from failures[-1]


async def read_jwks_uri(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> str:
    """The URL of the issuer's key set, as this process reaches it. Raises the same errors as `read_metadata`."""
    return jwks_uri_in(await read_metadata(http, issuer), issuer)


def jwks_uri_in(metadata: Mapping[str, Any], issuer: TrustedIssuer) -> str:
    """The URL of the key set in this metadata, as this process reaches it. Raises `IssuerUnreachable`."""
    uri: Any = metadata.get("jwks_uri")
    if not isinstance(uri, str):
        raise IssuerUnreachable(f"the metadata of {issuer.issuer} has no jwks_uri")
    url = issuer.back_channel_url(uri)
    if not _may_serve_keys(url, issuer):
        raise IssuerUnreachable(f"the metadata of {issuer.issuer} names a jwks_uri on another host without https")
    return url


def status_since_in(metadata: Mapping[str, Any]) -> float:
    """From when on every access token of the issuer has a status, in seconds since the epoch; infinite if never.

    auth-service announces it with a member of its own. A token without a status from before is valid until it expires.
    """
    since: Any = metadata.get(STATUS_SINCE_MEMBER)
    is_time = isinstance(since, int | float) and not isinstance(since, bool)
    return float(since) if is_time else math.inf


def _may_serve_keys(url: str, issuer: TrustedIssuer) -> bool:
    """Whether the URL is https, or http on the same host and port as the issuer itself."""
    try:
        keys_url = parse_web_url(url)
    except ValueError as error:
        raise IssuerUnreachable(f"the metadata of {issuer.issuer} has a jwks_uri that is not a valid URL") from error
    return keys_url.scheme == "https" or keys_url.origin == parse_web_url(issuer.base_url).origin


def _excerpt(value: Any) -> str:
    """A value from another server, shortened for an error message."""
    text = repr(value)
    return text if len(text) <= MAX_EXCERPT_CHARACTERS else f"{text[:MAX_EXCERPT_CHARACTERS]}..."


def _mismatch_hint(issuer: TrustedIssuer) -> str:
    if issuer.is_own:
        return f"set AUTH_ISSUER in auth-service and {issuer.setting} here to exactly the same URL"
    return f"write it in {issuer.setting} exactly as its metadata does, with or without a slash at the end"


def _unreachable_hint(issuer: TrustedIssuer) -> str:
    if not issuer.is_own:
        return f"start the issuer, or correct its entry in {issuer.setting}: internal_url is where it is reached"
    internal_url_setting = f"{issuer.setting.removesuffix('ISSUER')}AUTH_INTERNAL_URL"
    setting = internal_url_setting if issuer.internal_url else issuer.setting
    return f"start the issuer, or set {setting} to the URL at which this process reaches it"


def _parse_metadata(raw: bytes, url: str) -> dict[str, Any]:
    try:
        document: Any = parse_json(raw, max_depth=MAX_JSON_DEPTH)
    except ValueError as error:
        raise IssuerUnreachable(f"{url} did not answer with JSON") from error
    if not isinstance(document, dict):
        raise IssuerUnreachable(f"{url} did not answer with a JSON object")
    return cast("dict[str, Any]", document)
